"""Blocks that take too long."""

from engine.graphs import (
    block,
    caught,
    child,
    go_on_with,
    handle,
    parallel,
    put,
    ref,
    retry,
    sequence,
    sleep,
    step,
    wait,
    workflow,
)
from engine.matchers import has_ended, live, sent, told, waiting
from engine.play import started

PAIR = sequence("s", step("a", undo="u"), step("b", undo="u"))


def limited(*rules, body=PAIR, **fields):
    """A workflow of one block that may take 100 ms, and a step after it."""
    return workflow(block("t", body, *rules, timeout_ms=100, **fields), step("z"), output=ref("steps", "t"))


def test_a_block_that_takes_too_long_fails():
    """What is under way is given up and what was done is undone, as after any other failure of the block."""
    play = started(limited(caught("Timeout", go_on_with("late"))))
    play.succeeds("t[1].a", 1)
    play.passes(100)
    assert live(play.run) == {"t[1].b": "COMPENSATING"}
    play.succeeds("t[1].b", undo=True)
    play.succeeds("t[1].a", undo=True)
    assert live(play.run) == {"t": "SUCCEEDED", "z": "SCHEDULED"}
    play.succeeds("z")
    assert play.run.output == b'"late"'


def test_without_a_rule_the_failure_goes_on():
    """Nobody answers it: the run is undone, and says which block took too long."""
    play = started(limited(body=wait("w", "go")))
    play.passes(100)
    has_ended(play, "FAILED")
    assert play.run.error.type == "Timeout"
    assert play.run.error.message == "t: attempt 1 of the block took longer than 100 ms"


def test_a_block_in_time_has_no_timer_any_more():
    """Neither the next step nor what always follows is limited by it."""
    play = started(limited(body=step("a"), always=step("last")))
    assert list(waiting(play.run)) == ["wake of t"]
    play.succeeds("t[1]", 7)
    assert waiting(play.run) == {}
    play.passes(1_000)
    assert live(play.run) == {"t.last": "SCHEDULED"}


def test_each_attempt_has_its_time():
    """The time between two attempts does not count, and the next one has all of it again."""
    play = started(limited(caught("Timeout", retry(2, initial_ms=1_000)), body=step("a")))
    play.passes(100)
    assert waiting(play.run) == {"wake of t": play.now + 1_000}
    play.passes(1_000)
    assert live(play.run) == {"t[2]": "SCHEDULED"}
    assert waiting(play.run) == {"wake of t": play.now + 100}
    play.passes(100)
    has_ended(play, "FAILED")


def test_a_failure_takes_the_timer_with_it():
    """A block that failed is over: its handler is not limited."""
    play = started(limited(caught(None, handle(step("h"))), body=step("a")))
    play.fails("t[1]")
    assert waiting(play.run) == {}
    assert live(play.run) == {"t.h": "SCHEDULED"}


def test_everything_inside_is_given_up():
    """Waits, sleeps, steps in branches and runs of their own: nothing of the block goes on behind its back."""
    body = parallel("p", wait("w", "go"), sleep("n", 5_000), step("a"), child("c"))
    play = started(limited(caught(None, go_on_with(0)), body=body))
    play.passes(100)
    assert live(play.run) == {"t[1].c": "COMPENSATING"}
    assert any("child_given_up" in each for each in told(play.transitions[-1].event))
    assert waiting(play.run) == {}


def test_the_time_goes_on_in_a_pause():
    """As every other: what follows is held until somebody resumes the run."""
    play = started(limited(caught("Timeout", go_on_with("late")), body=step("a", undo="u")))
    play.pauses()
    play.passes(100)
    assert live(play.run) == {}
    play.resumes()
    assert live(play.run) == {"t[1]": "COMPENSATING"}


def test_a_run_that_went_over_to_a_version_without_a_limit():
    """Its timer still fires, and changes nothing."""
    play = started(limited(body=step("a")))
    after = workflow(block("t", step("a")), step("z"), output=ref("steps", "t"), version="2")
    play.migrates(after)
    play.passes(100)
    assert live(play.run) == {"t[1]": "SCHEDULED"}
    assert sent(play) == ["t[1]/1"]
    play.succeeds("t[1]", 3)
    assert live(play.run) == {"t": "SUCCEEDED", "z": "SCHEDULED"}


def test_a_block_that_needs_nobody_is_in_time():
    """It is over within its transition."""
    play = started(limited(body=put("v", 5)))
    assert live(play.run) == {"t": "SUCCEEDED", "z": "SCHEDULED"}
    assert waiting(play.run) == {}
