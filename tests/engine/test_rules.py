"""Rules of steps with a condition, and times that a step may wait for a worker."""

import pytest

from engine.graphs import PAUSE, cel, fallback, go_on_with, on, policy, ref, retry, step, workflow
from engine.matchers import has_ended, live, sent, story, waiting
from engine.play import START, started

FIRST = cel("attempt == 1", attempt=ref("attempt"))
LATE = cel("elapsed > 1000", elapsed=ref("elapsed_ms"))
CODE = cel("error.details.code == 422", error=ref("error"))


def test_a_condition_over_the_error():
    """A rule is passed over where its condition does not hold, and the next one decides."""
    play = started(
        workflow(
            step("a", on("Rejected", go_on_with(1), when=CODE), on("Rejected", go_on_with(2))), output=ref("steps", "a")
        )
    )
    play.fails("a", "Rejected", details=b'{"code":500}')
    assert play.run.output == b"2"
    assert any("decided continue_with by rule 2" in each for each in story(play))


def test_a_condition_over_the_attempt():
    """A rule may be about the first attempt only."""
    play = started(workflow(step("a", on(None, retry(9, initial_ms=0), when=FIRST), on(None, fallback("f")))))
    play.fails("a")
    play.fails("a")
    assert sent(play) == ["a/1", "a/2", "a.f/1"]


def test_a_condition_over_the_time():
    """Milliseconds count from the first attempt on."""
    play = started(
        workflow(
            step("a", on(None, go_on_with("late"), when=LATE), on(None, retry(9, initial_ms=600, factor=1))),
            output=ref("steps", "a"),
        )
    )
    play.fails("a")
    play.passes(600)
    play.fails("a")
    play.passes(600)
    play.fails("a")
    assert play.run.output == b'"late"'


def test_a_rule_with_a_condition_does_not_wait_for_the_retries():
    """A condition says what it is about, as an error type does: the step's own policy is not asked first."""
    play = started(workflow(step("a", on(None, go_on_with(1), when=True), retry=policy(5))))
    play.fails("a")
    has_ended(play, "COMPLETED")


@pytest.mark.parametrize("when", [cel("error.details.code == 1", error=ref("error")), 7, ref("error", "details")])
def test_a_condition_without_an_answer_does_not_hold(when):
    """The rule is passed over, and the decision says why."""
    play = started(workflow(step("a", on(None, go_on_with(1), when=when))))
    play.fails("a")
    has_ended(play, "FAILED")
    assert "the condition of rule 1 has no answer" in " ".join(story(play))


def test_an_operator_is_called_after_the_retries():
    """A rule for any error waits for the step's own policy, also when it calls an operator."""
    play = started(workflow(step("a", on(None, PAUSE), retry=policy(2))))
    play.fails("a")
    assert live(play.run) == {"a": "BACKING_OFF"}
    play.passes(1_000)
    play.fails("a")
    assert (live(play.run), play.run.incident.step) == ({"a": "FAILED"}, "a")


def test_no_worker_in_time():
    """An attempt that nobody begins has failed with Timeout, and its rules decide."""
    play = started(workflow(step("a", on("Timeout", fallback("f")), schedule_to_start_ms=100)))
    assert waiting(play.run) == {"schedule_to_start of a": START + 100}
    play.passes(100)
    assert live(play.run) == {"a": "FAILED", "a.f": "SCHEDULED"}
    assert play.run.timers == ()


def test_a_worker_in_time():
    """An attempt that has begun is not waited for any more; the next attempt has a time of its own."""
    play = started(workflow(step("a", schedule_to_start_ms=100, retry=policy(2, initial_ms=0))))
    play.begins("a")
    assert list(waiting(play.run)) == ["start_to_close of a"]
    play.fails("a")
    assert list(waiting(play.run)) == ["schedule_to_start of a"]
    play.succeeds("a")
    has_ended(play, "COMPLETED")
