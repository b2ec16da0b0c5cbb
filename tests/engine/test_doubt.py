"""Nobody knows whether an attempt had its effect: the step waits for a person, and whoever comes late with the truth counts."""

import pytest

from actionbus.contracts.definitions import Effect, KeyPolicy
from actionbus.contracts.requests import RequestKind
from actionbus.engine.forsaken import forsaken
from actionbus.engine.transition import Outcome
from engine.graphs import COMPENSATE, action, fallback, go_on_with, on, policy, ref, step, workflow
from engine.matchers import has_ended, is_ignored, is_refused, live, sent, story, told, waiting
from engine.play import started

ONCE = action("a", effect=Effect.AT_MOST_ONCE, retry=policy(5))


def in_doubt(*rules, undo=None):
    """A run whose first step is in doubt."""
    play = started(workflow(step("a", *rules, undo=undo), step("b"), actions=[ONCE], output=ref("steps", "a")))
    play.doubts("a")
    return play


def test_a_step_in_doubt_waits_for_an_operator():
    """It stands where everybody sees it, with its reason; nothing is sent, no timer runs, and nobody forgot it."""
    play = in_doubt()
    assert told(play.last.event) == [
        "a#1 in_doubt OutcomeUnknown",
        "a#1 incident_opened (nobody knows whether attempt 1 had its effect: the worker was killed)",
    ]
    assert (live(play.run), waiting(play.run), sent(play)) == ({"a": "UNKNOWN"}, {}, ["a/1"])
    assert play.run.incident.step == "a"
    assert not forsaken(play.definition, play.run)


def test_it_is_completed_by_hand():
    """Somebody looked, and it had happened: the run goes on with what they say."""
    play = in_doubt()
    play.completes("a", {"id": 7})
    play.succeeds("b")
    has_ended(play, "COMPLETED")
    assert play.run.output == b'{"id":7}'


def test_it_is_skipped():
    """Somebody decides that the run goes on without it."""
    play = in_doubt()
    play.skips("a", "none")
    play.succeeds("b")
    assert play.run.output == b'"none"'


def test_it_is_tried_again_when_somebody_says_so():
    """Another attempt, with an id of its own, in which it may be in doubt once more."""
    play = in_doubt()
    play.retries("a")
    assert sent(play) == ["a/1", "a/2"]
    is_ignored(play, play.doubts("a", attempt=1))
    play.doubts("a")
    assert live(play.run) == {"a": "UNKNOWN"}


def test_it_is_cancelled_with_its_run():
    """What undoes it is called, because it may have happened."""
    play = in_doubt(undo="undo-a")
    play.cancels()
    assert sent(play) == ["a/1", "a/undo/1"]


def test_a_run_that_is_resumed_does_not_try_it_again():
    """Trying again is a decision about this very step, never one that comes along with another."""
    play = in_doubt()
    is_refused(play.resumes(), "complete, skip or retry")
    play.pauses()
    play.resumes()
    assert (live(play.run), sent(play)) == ({"a": "UNKNOWN"}, ["a/1"])


def test_a_late_success_is_the_truth():
    """A worker that was only cut off tells what happened: nobody has to look any more."""
    play = in_doubt()
    play.succeeds("a", {"id": 7}, attempt=1)
    assert told(play.last.event)[0] == "a incident_closed"
    assert play.run.incident is None
    play.succeeds("b")
    assert play.run.output == b'{"id":7}'


def test_a_late_failure_is_the_truth():
    """The rules decide as they would have, and an action that runs at most once is not tried again."""
    play = in_doubt(on("Closed", go_on_with("closed")))
    play.fails("a", "Closed")
    assert play.run.incident is None
    play.succeeds("b")
    assert play.run.output == b'"closed"'
    play = in_doubt()
    play.fails("a")
    has_ended(play, "FAILED")


def test_a_second_word_of_doubt_changes_nothing():
    """A command that comes three times opens one incident."""
    play = in_doubt()
    is_ignored(play, play.doubts("a"), Outcome.REPEATED)
    play.completes("a")
    is_ignored(play, play.doubts("a", attempt=1))


def test_a_rule_that_names_the_doubt_decides():
    """An author may know better than an operator; a rule for any error does not mean this one."""
    play = in_doubt(on("OutcomeUnknown", fallback("look")))
    assert sent(play) == ["a/1", "a.look/1"]
    play = in_doubt(on(None, COMPENSATE))
    assert live(play.run) == {"a": "UNKNOWN"}


@pytest.mark.parametrize("heartbeat_ms", [None, 5_000])
def test_an_attempt_that_took_too_long_is_in_doubt(heartbeat_ms):
    """It began, and nobody heard how it ended."""
    play = started(workflow(step("a", heartbeat_ms=heartbeat_ms), actions=[ONCE]))
    play.begins("a")
    play.passes(60_000)
    kinds = [each.split()[1] for each in told(play.last.event)]
    assert kinds == ["timed_out", "in_doubt", "incident_opened"]
    assert (live(play.run), waiting(play.run)) == ({"a": "UNKNOWN"}, {})


def test_an_attempt_that_found_no_worker_is_not():
    """It never began, so the rules decide as ever."""
    play = started(workflow(step("a", schedule_to_start_ms=100), actions=[ONCE]))
    play.passes(100)
    has_ended(play, "FAILED")


@pytest.mark.parametrize("error", ["StoreUnavailable", "DeadlinePassed"])
def test_what_never_began_is_tried_again(error):
    """Its journal could not be written, or it came too late: its code did not run."""
    play = started(workflow(step("a"), actions=[ONCE]))
    play.fails("a", error)
    play.passes(60_000)
    assert sent(play) == ["a/1", "a/2"]


def test_attempts_that_ask_anew_are_not_followed_by_another_in_doubt():
    """With a key for each attempt a second one could do it a second time; with one for the step it cannot."""
    for key, expected in ((KeyPolicy.ATTEMPT, ["a/1"]), (KeyPolicy.STEP, ["a/1", "a/2"])):
        spec = action("a", effect=Effect.HTTP, key=key, retry=policy(5))
        play = started(workflow(step("a"), actions=[spec]))
        play.begins("a")
        play.passes(62_000)
        assert sent(play) == expected
        play.retries("a") if key is KeyPolicy.ATTEMPT else None
        play.fails("a")
        play.passes(10_000)
        assert sent(play)[: len(expected) + 1] == [*expected, f"a/{len(expected) + 1}"]


def test_an_undo_in_doubt_waits_for_an_operator():
    """It stays an undo; somebody says that it is done, or wants it tried again."""
    undo = action("undo-a", effect=Effect.AT_MOST_ONCE)
    for ask in ("completes", "retries"):
        play = started(workflow(step("a", undo="undo-a"), step("b"), actions=[undo]))
        play.succeeds("a")
        play.fails("b", retryable=False)
        play.doubts("a", undo=True)
        assert live(play.run) == {"a": "COMPENSATING"}
        assert "nobody knows whether it is undone" in play.run.incident.reason
        getattr(play, ask)("a")
        assert sent(play)[2:] == ["a/undo/1", "a/undo/2"][: 2 if ask == "retries" else 1]
        if ask == "retries":
            play.undoes("a")
        has_ended(play, "FAILED")


def test_an_undo_that_runs_at_most_once_is_not_tried_again():
    """Undos are tried again for ever, but not this one."""
    undo = action("undo-a", effect=Effect.AT_MOST_ONCE)
    play = started(workflow(step("a", undo="undo-a"), step("b"), actions=[undo]))
    play.succeeds("a")
    play.fails("b", retryable=False)
    play.fails("a", undo=True)
    play.passes(3_600_000)
    assert sent(play) == ["a/1", "b/1", "a/undo/1"]
    assert "runs at most once" in play.run.incident.reason
    assert play.asks(RequestKind.SKIP_STEP, step="a").outcome is Outcome.APPLIED
    assert story(play)[-1].startswith("run_ended")
