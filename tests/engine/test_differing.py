"""Two attempts of one step that both succeeded: what they gave has to be the same, and where it is not, that is told."""

import pytest

from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.engine.rebuild import rebuild
from actionbus.engine.replay import replay
from engine.graphs import policy, step, workflow
from engine.matchers import has_ended, is_ignored, told
from engine.play import started

DIFFERS = "a#1 results_differ {out} (the output of attempt 2 was accepted, and is another one)"


def answered(*more, output=7):
    """A run whose first step was answered by its second attempt."""
    play = started(workflow(step("a", retry=policy(3)), *more))
    play.begins("a")
    play.passes(61_000)
    play.succeeds("a", output, attempt=2)
    return play


def test_a_late_success_that_differs_is_told_once():
    """The run goes on as it does, its story says so, and the same answer again says nothing new."""
    play = answered(step("b"))
    late = play.succeeds("a", 8, attempt=1)
    assert told(late.event) == [DIFFERS.format(out="8")]
    assert late.event.entries[0].action == "a"
    is_ignored(play, play.succeeds("a", 8, attempt=1))
    play.succeeds("b")
    has_ended(play, "COMPLETED")


def test_it_is_told_of_a_run_that_has_ended():
    """Late answers are late: mostly the run is over."""
    play = answered()
    has_ended(play, "COMPLETED")
    assert told(play.succeeds("a", 8, attempt=1).event) == [DIFFERS.format(out="8")]
    has_ended(play, "COMPLETED")


@pytest.mark.parametrize("more", [(), (step("b"),)])
def test_a_late_success_that_is_the_same_says_nothing(more):
    """That is what a repeat is for."""
    play = answered(*more)
    is_ignored(play, play.succeeds("a", 7, attempt=1))


def test_the_same_attempt_and_an_answer_by_token_are_not_compared():
    """An attempt that comes twice is delivered twice, and people may change their minds."""
    play = answered(step("b"))
    is_ignored(play, play.succeeds("a", 8, attempt=2))
    is_ignored(play, play.succeeds("a", 8, attempt=1, by_token=True))


def test_a_step_of_one_attempt_costs_nothing():
    """Nothing is kept of it, however long the run."""
    play = started(workflow(step("a"), step("b")))
    play.succeeds("a")
    assert play.run.answered == ()


def test_only_the_latest_are_kept():
    """A run of many retries does not grow with them."""
    kept = DEFAULT_LIMITS.answers_kept
    names = [f"s-{n}" for n in range(kept + 3)]
    play = started(workflow(*(step(name, retry=policy(2)) for name in names)))
    for name in names:
        play.fails(name)
        play.passes(1_000)
        play.succeeds(name)
    assert [each.step for each in play.run.answered] == names[-kept:]


def test_its_history_is_told_from_its_events():
    """What came late stands in the event as it came."""
    play = answered(step("b"))
    play.succeeds("a", {"x": 8}, attempt=1)
    play.succeeds("b")
    assert list(replay(rebuild(play.first, play.events, ""))) == []
