"""The engine as a whole: pure, and strict about what it is given."""

import pytest

from actionbus.contracts import payloads
from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.results import ResultKind
from actionbus.contracts.run import WorkflowRun
from actionbus.engine.advance import advance
from engine.graphs import call, fallback, on, policy, ref, step, workflow
from engine.matchers import has_ended, is_ignored
from engine.play import started

EVERYTHING = workflow(
    step("a", input={"n": ref("input", "n")}, undo=call("undo-a", id=ref("made", "id"))),
    step("b", on("Full", fallback("c", id=ref("steps", "a", "id"))), retry=policy(2, jitter=0.5), undo="undo-b"),
    step("d", schedule_to_close_ms=60_000),
    output=ref("steps", "b"),
    run_timeout_ms=600_000,
)


def everything():
    """A run that meets most of the engine."""
    play = started(EVERYTHING, {"n": 1})
    play.begins("a")
    play.succeeds("a", {"id": 7})
    play.fails("b")
    play.passes(5_000)
    play.fails("b", "Full")
    play.undoes("b")
    play.succeeds("b.c", "letter")
    play.passes(60_000)
    play.undoes("a")
    has_ended(play, "FAILED")
    return play


def test_the_same_inputs_give_the_same_bytes():
    """Two replays of the same inputs give byte-identical runs and events."""
    first, second = everything(), everything()
    assert [dumped(each) for each in first.transitions] == [dumped(each) for each in second.transitions]


def test_a_run_may_be_stored_between_any_two_inputs():
    """What the engine knows of a run stands in its record: nothing is lost by writing and reading it."""
    play = everything()
    run = None
    for (event, now, seq), expected in zip(play.inputs, play.transitions, strict=True):
        transition = advance(EVERYTHING, run, event, now, seq)
        assert dumped(transition) == dumped(expected)
        run = WorkflowRun.from_plain(transition.run.plain()) if transition.run else None


def test_the_run_that_is_given_is_not_changed():
    """A transition makes a new run; whoever holds the old one still holds what it was."""
    play = everything()
    seen = [transition.run for transition in play.transitions]
    kept = [run.model_dump_json() for run in seen]
    for run, (event, now, seq) in zip(seen, play.inputs[1:], strict=False):
        advance(EVERYTHING, run, event, now, seq)
    assert [run.model_dump_json() for run in seen] == kept


def test_a_run_of_another_definition_is_a_mistake():
    """A run is pinned to the content it was started with: any other graph would misread it."""
    play = started(workflow(step("a")))
    play.definition = workflow(step("a"), step("b"))
    with pytest.raises(InvariantBroken, match="pinned to another definition"):
        play.succeeds("a")


def test_a_result_of_an_unknown_kind_changes_nothing():
    """What only a newer version knows is no answer."""
    play = started(workflow(step("a")))
    is_ignored(play, play.answers("a", ResultKind.UNKNOWN))


def test_a_failure_without_an_error_is_a_failure():
    """A worker that forgets to say why has still failed."""
    play = started(workflow(step("a", undo="undo-a")))
    play.answers("a", ResultKind.FAILED)
    assert play.run.error.type == "Unreadable"
    play.answers("a", ResultKind.FAILED, undo=True)
    assert play.run.steps[0].status == "COMPENSATING"


def test_an_error_whose_details_are_no_json_is_kept_readable():
    """Details are information only: broken ones do not hide the error."""
    play = started(workflow(step("a")))
    play.fails("a", details=b"\xffnot json")
    assert payloads.decode(play.events[-1].entries[0].data)["details"] == "\ufffdnot json"


def dumped(transition):
    """Everything a transition would write."""
    parts = [transition.run, transition.event, *transition.emits]
    return [transition.outcome, *(part and part.model_dump_json() for part in parts)]
