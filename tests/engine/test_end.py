"""How runs end."""

from actionbus.contracts.limits import Limits
from engine.graphs import DAY_MS, call, ref, step, workflow
from engine.matchers import has_ended, sent, story
from engine.play import START, started


def test_the_output_is_made_of_what_the_run_knows():
    """The run's result may read its input and every step."""
    play = started(workflow(step("a"), output={"a": ref("steps", "a"), "in": ref("input", "n"), "k": [1]}), {"n": 1})
    play.succeeds("a", "x")
    assert play.run.output == b'{"a":"x","in":1,"k":[1]}'
    has_ended(play, "COMPLETED")


def test_an_output_that_cannot_be_made_fails_the_run():
    """A result that reads what is not there fails the run, and what it did is undone."""
    play = started(workflow(step("a", undo="undo-a"), output=ref("steps", "a", "id")))
    play.succeeds("a", {})
    assert sent(play) == ["a/1", "a/undo/1"]
    play.undoes("a")
    has_ended(play, "FAILED")
    assert play.run.error.type == "OutputRefused"
    assert "the run's output: the reference steps.a.id finds nothing" in play.run.error.message
    assert "decided compensate" in story(play)[-5]


def test_an_output_that_breaks_the_schema_fails_the_run():
    """A result of another type than the workflow declares is none."""
    play = started(workflow(step("a"), output=ref("steps", "a"), output_schema={"type": "string"}))
    play.succeeds("a", 5)
    has_ended(play, "FAILED")
    assert play.run.output is None


def test_an_output_beyond_the_limit_fails_the_run():
    """A result that no record should carry is none."""
    play = started(workflow(step("a"), output=[ref("steps", "a")] * 3, limits=Limits(payload_bytes=20)))
    play.succeeds("a", "12345678")
    has_ended(play, "FAILED")


def test_an_ended_run_keeps_little():
    """What is left of a run is its result, its latest decisions and the time when it will be forgotten."""
    play = started(workflow(step("a"), step("b", undo=call("undo-b", a=ref("steps", "a"))), run_timeout_ms=10**6))
    play.succeeds("a", "x" * 1_000)
    play.succeeds("b")
    has_ended(play, "COMPLETED")
    assert play.run.timers[0].due_at == START + DAY_MS
    assert len(play.run.model_dump_json()) < 900


def test_a_failed_run_says_why():
    """The last event of a run that did not complete carries its error, and its reason in words."""
    play = started(workflow(step("a")))
    play.fails("a", "Declined", message="no funds", details=b'{"code":51}')
    last = play.events[-1].entries[-1]
    assert last.kind == "run_ended"
    assert last.reason == "Declined: no funds"
    assert last.data == b'{"details":{"code":51},"message":"no funds","retryable":true,"type":"Declined"}'
