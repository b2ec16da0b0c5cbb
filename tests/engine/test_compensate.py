"""Undoing what a run did."""

import pytest

from actionbus.contracts import payloads, templates
from actionbus.contracts.definitions import Effect
from actionbus.contracts.limits import Limits
from actionbus.engine.transition import Outcome
from engine.graphs import action, call, fallback, on, policy, ref, step, workflow
from engine.matchers import has_ended, is_ignored, live, sent, story, told, waiting
from engine.play import START, started

IN_DATABASE = (action("a", effect=Effect.TRANSACTIONAL), action("undo-a", effect=Effect.TRANSACTIONAL))


def test_undos_run_last_first_and_one_at_a_time():
    """The last step that was dispatched is undone first, and the next undo waits for it."""
    play = started(workflow(*(step(name, input=ref("input"), undo=f"undo-{name}") for name in "abc")))
    play.succeeds("a")
    play.succeeds("b")
    play.fails("c")
    assert live(play.run) == {"c": "COMPENSATING"}
    assert (play.run.input, play.run.scopes) == (None, ())
    assert [undo.step for undo in play.run.compensations] == ["a", "b"]
    play.undoes("c")
    assert live(play.run) == {"b": "COMPENSATING"}
    play.undoes("b")
    play.undoes("a")
    assert sent(play)[3:] == ["c/undo/1", "b/undo/1", "a/undo/1"]
    has_ended(play, "FAILED")


def test_an_undo_is_registered_when_its_step_is_dispatched():
    """Before anybody knows whether the step happened, the run knows how to undo it."""
    play = started(
        workflow(step("a", undo=call("undo-a", who=ref("input", "who"), id=ref("made", "id")))), {"who": "Ada"}
    )
    (undo,) = play.run.compensations
    assert (undo.step, undo.action, undo.output) == ("a", "undo-a", None)
    assert payloads.decode(undo.input) == {"who": {"$literal": "Ada"}, "id": {"$ref": ["made", "id"]}}


def test_the_failed_step_is_undone_too():
    """Whatever it reported: an earlier attempt, delivered again, may still succeed."""
    play = started(workflow(step("a", undo="undo-a")))
    play.fails("a", retryable=False)
    assert sent(play) == ["a/1", "a/undo/1"]
    assert play.run.status == "COMPENSATING"


def test_a_command_to_compensate():
    """It goes to the undo's action, under the step's key, with a count of its own."""
    play = started(workflow(step("a", undo="undo-a", retry=policy(2, initial_ms=0))))
    play.fails("a")
    play.fails("a")
    command = play.sent[-1]
    assert (command.command_id, command.step_key) == ("r-1:0/a/undo/1", "r-1:0/a")
    assert (command.kind, command.action, command.step, command.attempt) == ("compensate", "undo-a", "a", 1)
    assert command.deadline is None


def test_the_undo_sees_what_the_step_made():
    """Where the worker keeps no inbox, the output that the engine saw fills the undo's input."""
    play = started(workflow(step("a", undo=call("undo-a", id=ref("made", "id"))), step("b")))
    play.succeeds("a", {"id": 7, "more": "x"})
    play.fails("b")
    command = play.sent[-1]
    assert (command.input, command.original_output) == (b'{"id":7}', b'{"id":7,"more":"x"}')
    assert command.template is False


def test_the_undo_of_an_unseen_output_gets_null():
    """When nobody ever saw an output, what the undo would read of it is null."""
    play = started(workflow(step("a", undo=call("undo-a", id=ref("made", "id")))))
    play.fails("a")
    assert play.sent[-1].input == b'{"id":null}'


def test_the_undo_of_a_transactional_step_stays_open():
    """The worker fills in what the step made, from the inbox row: the engine may never have seen it."""
    undo = call("undo-a", id=ref("made", "id"), n=ref("input"))
    play = started(workflow(step("a", undo=undo), step("b"), actions=IN_DATABASE), 5)
    play.succeeds("a", {"id": 7})
    assert play.run.compensations[0].output is None
    play.fails("b")
    command = play.sent[-1]
    assert command.template is True
    template = payloads.decode(command.input)
    assert list(templates.references(template)) == [("made", "id")]
    assert templates.fill(template, {"made": {"id": 7}}) == {"id": 7, "n": 5}


def test_an_output_that_looks_like_a_reference_is_data():
    """What came from outside is never followed."""
    sly = {"$ref": ["made", "secret"]}
    play = started(workflow(step("a", undo=call("undo-a", x=ref("input"))), actions=IN_DATABASE), sly)
    play.fails("a")
    assert templates.fill(payloads.decode(play.sent[-1].input), {"made": {"secret": 1}}) == {"x": sly}


def test_an_output_that_no_undo_reads_is_not_kept():
    """A compensation carries the output only where the undo asks for it."""
    play = started(workflow(step("a", undo="undo-a"), step("b")))
    play.succeeds("a", {"id": 7})
    assert play.run.compensations[0].output is None


def test_an_undo_is_tried_again_without_limit():
    """A compensation is retried by the graph's policy, which has no limit unless one is stated."""
    play = started(workflow(step("a", undo="undo-a")))
    play.fails("a")
    for attempt in range(1, 30):
        play.fails("a", undo=True)
        assert waiting(play.run).keys() == {"retry of a"}
        play.passes(60_000)
        assert sent(play)[-1] == f"a/undo/{attempt + 1}"
    play.undoes("a")
    has_ended(play, "FAILED")


def test_the_worker_may_name_the_delay_of_an_undo():
    """RetryAfter holds for undos as well, and zero means at once."""
    play = started(workflow(step("a", undo="undo-a")))
    play.fails("a")
    play.fails("a", undo=True, retry_after_ms=123)
    assert waiting(play.run) == {"retry of a": START + 123}
    play.passes(123)
    play.fails("a", undo=True, retry_after_ms=0)
    assert sent(play)[-1] == "a/undo/3"


@pytest.mark.parametrize("how", ["used up", "for good"])
def test_an_undo_that_cannot_succeed_is_an_incident(how):
    """It is never dropped: the run waits for an operator, and nothing before it is undone meanwhile."""
    play = started(workflow(step("a", undo="undo-a"), step("b", undo="undo-b"), undo_retry=policy(2, initial_ms=0)))
    play.succeeds("a")
    play.fails("b")
    if how == "used up":
        play.fails("b", "Stuck", undo=True)
        play.fails("b", "Stuck", undo=True)
        reason = "all 2 attempts to undo it failed, the last: Stuck: it broke"
    else:
        play.fails("b", "Stuck", undo=True, retryable=False)
        reason = "undoing it failed for good: Stuck: it broke"
    assert (play.run.incident.reason, play.run.incident.step) == (reason, "b")
    assert told(play.last.event)[-1].endswith(f"incident_opened ({reason})")
    assert play.run.status == "COMPENSATING"
    assert play.passes(10**9) == []
    assert [undo.step for undo in play.run.compensations] == ["a"]
    is_ignored(play, play.fails("b", undo=True), Outcome.REPEATED)


def test_a_late_word_of_an_undo_closes_the_incident():
    """When an attempt that was given up succeeds after all, the run goes on by itself."""
    play = started(workflow(step("a", undo="undo-a"), step("b", undo="undo-b"), undo_retry=policy(1)))
    play.succeeds("a")
    play.fails("b")
    play.fails("b", undo=True)
    play.undoes("b", attempt=1)
    assert told(play.last.event)[:2] == ['b#1 compensated {"outcome":"undone"}', "b incident_closed"]
    assert play.run.incident is None
    play.undoes("a")
    has_ended(play, "FAILED")


def test_an_undo_whose_input_cannot_be_made_is_an_incident():
    """What the step gave lacks what the undo reads: an operator has to look, nothing is skipped."""
    play = started(workflow(step("a", undo=call("undo-a", id=ref("made", "id"))), step("b")))
    play.succeeds("a", {})
    play.fails("b")
    assert "the input of the undo cannot be made: the reference made.id finds nothing" in play.run.incident.reason
    assert live(play.run) == {"a": "COMPENSATING"}
    assert sent(play) == ["a/1", "b/1"]


def test_any_attempt_may_undo_a_step():
    """A success of an earlier attempt counts; a failure only of the current one."""
    play = started(workflow(step("a", undo="undo-a"), undo_retry=policy(None, initial_ms=0)))
    play.fails("a")
    play.fails("a", undo=True)
    is_ignored(play, play.fails("a", undo=True, attempt=1))
    is_ignored(play, play.undoes("a", attempt=3))
    is_ignored(play, play.undoes("a", attempt=0))
    play.undoes("a", attempt=1)
    has_ended(play, "FAILED")
    is_ignored(play, play.undoes("a", attempt=2))


def test_what_never_happened_needs_no_undo():
    """The story says whether the step was undone or had never happened."""
    play = started(workflow(step("a", undo="undo-a")))
    play.fails("a")
    play.undoes("a", "never_happened")
    assert story(play)[-2] == 'a#1 compensated {"outcome":"never_happened"}'


def test_an_undo_may_emit():
    """Records of an undo are published like those of a step, and refused like them."""
    undo = action("undo-a", emits=("apologies",))
    play = started(workflow(step("a", undo="undo-a"), actions=[undo]))
    play.fails("a")
    play.undoes("a", emits=("apologies",))
    assert [emit.topic for emit in play.emits] == ["apologies"]
    other = started(play.definition)
    other.fails("a")
    other.undoes("a", emits=("bills",))
    assert other.emits == []
    assert "EmitRefused" in other.run.incident.reason


def test_a_large_answer_of_an_undo_is_not_kept():
    """What an undo says is only for the story, and the story carries no more than a payload."""
    play = started(workflow(step("a", undo="undo-a"), limits=Limits(payload_bytes=50)))
    play.fails("a")
    play.undoes("a", "x" * 60)
    has_ended(play, "FAILED")
    assert "x" * 60 not in str(story(play))


def test_an_undone_step_is_not_undone_again():
    """A step that was undone for its fallback is not undone a second time when the run fails later."""
    play = started(workflow(step("a", on(None, fallback("b")), undo="undo-a"), step("c", undo="undo-c")))
    play.fails("a")
    play.undoes("a")
    play.succeeds("a.b")
    play.fails("c")
    play.undoes("c")
    has_ended(play, "FAILED")
    assert sent(play) == ["a/1", "a/undo/1", "a.b/1", "c/1", "c/undo/1"]
