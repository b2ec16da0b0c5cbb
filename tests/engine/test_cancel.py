"""Somebody asks for the end of a run, or for something that this version cannot do."""

import pytest

from actionbus.contracts.definitions import Effect
from actionbus.contracts.requests import RequestKind
from actionbus.engine.transition import Outcome
from engine.graphs import action, fallback, on, policy, step, workflow
from engine.matchers import has_ended, is_ignored, sent, told
from engine.play import Play, started


def test_a_cancelled_run_is_undone():
    """What has happened and what may happen is undone, last first; then the run is CANCELLED."""
    play = started(workflow(step("a", undo="undo-a"), step("b"), step("c", undo="undo-c"), step("d")))
    play.succeeds("a")
    play.succeeds("b")
    play.cancels("no money")
    assert told(play.last.event) == [
        "request_accepted",
        "cancel_requested (ada: no money)",
        "decided cancel: ada: no money",
        "c#1 cancelled",
        "run_compensating (Cancelled: ada: no money)",
        "c#1 compensation_scheduled {}",
    ]
    play.undoes("c", "never_happened")
    play.undoes("a")
    has_ended(play, "CANCELLED")
    assert sent(play) == ["a/1", "b/1", "c/1", "c/undo/1", "a/undo/1"]
    assert play.run.error.message == "ada: no money"


def test_a_run_with_nothing_to_undo_ends_at_once():
    """A live step without an undo is given up: its late result changes nothing."""
    play = started(workflow(step("a")))
    play.cancels()
    assert told(play.last.event)[-2] == "a#1 cancelled"
    has_ended(play, "CANCELLED")
    is_ignored(play, play.succeeds("a", attempt=1))


def test_a_step_that_backs_off_is_given_up():
    """A step that waits for its next attempt is undone as well: an earlier attempt may have happened."""
    play = started(workflow(step("a", undo="undo-a", retry=policy(3))))
    play.fails("a")
    play.cancels()
    assert sent(play) == ["a/1", "a/undo/1"]
    assert play.passes(60_000) == []


def test_a_late_success_of_a_cancelled_step_is_ignored():
    """While a step is undone the word of its success changes nothing: its compensation finds out what happened."""
    play = started(workflow(step("a", undo="undo-a"), actions=[action("a", effect=Effect.TRANSACTIONAL)]))
    play.cancels()
    is_ignored(play, play.succeeds("a", attempt=1))
    is_ignored(play, play.fails("a", "Cancelled", attempt=1))
    play.undoes("a")
    has_ended(play, "CANCELLED")


def test_a_cancel_of_no_run_is_rejected():
    """Whoever cancels what is not there hears so."""
    play = Play(workflow(step("a")))
    refused = play.cancels()
    assert (refused.outcome, refused.run) == (Outcome.REJECTED, None)
    assert told(refused.event) == ["request_rejected (there is no run of that id)"]
    assert (refused.event.version, refused.event.incarnation) == (0, "")


def test_a_cancel_of_an_ended_run_is_rejected():
    """The reason says how the run has ended."""
    play = started(workflow(step("a")))
    play.succeeds("a")
    refused = play.cancels()
    assert refused.outcome is Outcome.REJECTED
    assert refused.run is play.transitions[-2].run
    assert told(refused.event) == ["request_rejected (the run has ended already: it is COMPLETED)"]


def test_a_cancel_of_a_run_that_is_undone_is_accepted_as_repeated():
    """The run is on its way to an ending already: nothing changes, and the caller hears which ending."""
    play = started(workflow(step("a", undo="undo-a")))
    play.fails("a")
    again = play.cancels()
    assert again.outcome is Outcome.REPEATED
    assert again.run is play.transitions[-2].run
    assert told(again.event) == ["request_accepted (the run undoes what it did and will be FAILED)"]


def test_a_cancel_while_a_step_is_undone_for_its_fallback():
    """The undo that is under way goes on and counts; the fallback never begins."""
    play = started(workflow(step("a", undo="undo-a"), step("b", on(None, fallback("c")), undo="undo-b")))
    play.succeeds("a")
    play.fails("b")
    play.cancels()
    assert sent(play) == ["a/1", "b/1", "b/undo/1"]
    play.undoes("b")
    play.undoes("a")
    has_ended(play, "CANCELLED")
    assert sent(play) == ["a/1", "b/1", "b/undo/1", "a/undo/1"]


def test_an_undo_that_backs_off_goes_on_after_a_cancel():
    """The timer of an undo that waits for its next attempt outlives the cancel."""
    play = started(
        workflow(step("b", on(None, fallback("c")), undo="undo-b"), undo_retry=policy(None), run_timeout_ms=10**6)
    )
    play.fails("b")
    play.fails("b", undo=True)
    play.cancels()
    play.passes(1_000)
    assert sent(play) == ["b/1", "b/undo/1", "b/undo/2"]
    play.undoes("b")
    has_ended(play, "CANCELLED")


@pytest.mark.parametrize("kind", [RequestKind.START, RequestKind.UNKNOWN])
def test_what_this_version_cannot_do_is_rejected(kind):
    """A request that is not understood is answered, never skipped."""
    play = started(workflow(step("a")))
    refused = play.cancels(kind=kind)
    assert refused.outcome is Outcome.REJECTED
    assert refused.run is play.transitions[-2].run
    assert told(refused.event) == [f"request_rejected (a run cannot be asked to {kind} in this version)"]
