"""Runs that schedule nothing new for a while."""

import pytest

from engine.graphs import (
    PAUSE,
    block,
    caught,
    each,
    fallback,
    go_on_with,
    handle,
    on,
    parallel,
    policy,
    put,
    ref,
    repeat,
    sleep,
    step,
    wait,
    workflow,
)
from engine.matchers import has_ended, is_refused, live, sent, waiting
from engine.play import started


def held(play):
    """What a paused run holds back."""
    return [f"{each.kind} {each.below or each.path}" for each in play.run.held]


def paused(*nodes, given=None, **fields):
    """A run that was paused as soon as it began."""
    play = started(workflow(*nodes, **fields), given)
    play.pauses()
    assert play.run.status == "PAUSED"
    return play


def test_what_is_out_is_taken_in_and_nothing_follows():
    """A result of a paused run counts; the next step waits for the resume."""
    play = paused(step("a"), step("b", input=ref("steps", "a")))
    play.succeeds("a", 1)
    assert (live(play.run), held(play)) == ({"a": "SUCCEEDED"}, ["enter b"])
    assert sent(play) == ["a/1"]
    play.resumes()
    assert play.run.status == "RUNNING"
    assert (sent(play), held(play)) == (["a/1", "b/1"], [])


def test_a_run_may_complete_while_it_is_paused():
    """When nothing is left to do, there is nothing to hold."""
    play = paused(step("a"))
    play.succeeds("a")
    has_ended(play, "COMPLETED")


@pytest.mark.parametrize("initial_ms", [0, 10])
def test_the_next_attempt_is_held(initial_ms):
    """Time goes on, but the attempt that is due goes out after the resume, once."""
    play = paused(step("a", retry=policy(2, initial_ms=initial_ms)))
    play.fails("a")
    play.passes(10)
    assert (live(play.run), held(play)) == ({"a": "BACKING_OFF"}, ["again a"])
    play.resumes()
    assert sent(play) == ["a/1", "a/2"]


def test_a_late_success_lets_go_of_the_next_attempt():
    """What is held for a step that has succeeded meanwhile is forgotten."""
    play = paused(step("a", retry=policy(2, initial_ms=0)), step("b"))
    play.fails("a")
    play.succeeds("a", attempt=1)
    play.resumes()
    assert sent(play) == ["a/1", "b/1"]


def test_the_time_of_a_step_may_be_over_while_its_attempt_is_held():
    """The rule that decides then is all that follows the resume."""
    play = paused(
        step("a", on("Timeout", fallback("f")), retry=policy(9, initial_ms=10), schedule_to_close_ms=50), step("b")
    )
    play.fails("a")
    play.passes(100)
    assert held(play) == ["resolve a"]
    play.resumes()
    assert sent(play) == ["a/1", "a.f/1"]


def test_a_step_that_becomes_stuck_while_it_is_held():
    """The resume tries it again, once."""
    play = paused(step("a", on("Timeout", PAUSE), retry=policy(9, initial_ms=10), schedule_to_close_ms=50))
    play.fails("a")
    play.passes(100)
    assert (live(play.run), held(play)) == ({"a": "FAILED"}, [])
    play.resumes()
    assert sent(play) == ["a/1", "a/2"]


def test_what_a_rule_wants_is_held():
    """The undo of a failed step and its fallback wait for the resume."""
    play = paused(step("a", on(None, fallback("f")), undo="u"))
    play.fails("a")
    assert held(play) == ["resolve a"]
    play.resumes()
    play.pauses()
    play.undoes("a")
    assert held(play) == ["enter a.f"]
    play.resumes()
    assert sent(play) == ["a/1", "a/undo/1", "a.f/1"]


def test_a_failed_run_undoes_after_the_resume():
    """A run that fails while it is paused heads for its ending, and begins with that when it is resumed."""
    play = paused(step("a", undo="u"))
    play.fails("a")
    assert (play.run.status, play.run.ending, held(play)) == ("PAUSED", "FAILED", ["unwind "])
    play.resumes()
    assert play.run.status == "COMPENSATING"
    play.undoes("a")
    has_ended(play, "FAILED")


def test_a_run_may_be_paused_while_it_undoes():
    """The undo that is out is taken in; the next one, and the next attempt of one, wait for the resume."""
    play = started(workflow(step("a", undo="u"), step("b", undo="u")))
    play.succeeds("a")
    play.fails("b")
    play.pauses()
    play.undoes("b")
    assert (live(play.run), held(play)) == ({}, ["unwind "])
    play.resumes()
    play.pauses()
    play.fails("a", undo=True)
    play.passes(5_000)
    assert held(play) == ["again a"]
    play.resumes()
    assert sent(play) == ["a/1", "b/1", "b/undo/1", "a/undo/1", "a/undo/2"]


@pytest.mark.parametrize("ends", [lambda play: play.undoes("b", attempt=1), lambda play: play.skips("b")])
def test_an_undo_that_ends_lets_go_of_its_next_attempt(ends):
    """A late answer of an undo, or an operator's word, leaves nothing for the resume to try again."""
    play = started(workflow(step("a", undo="u"), step("b", undo="u")))
    play.succeeds("a")
    play.fails("b")
    play.pauses()
    play.fails("b", undo=True)
    play.passes(5_000)
    ends(play)
    assert held(play) == ["unwind "]
    play.resumes()
    assert live(play.run) == {"a": "COMPENSATING"}


def test_what_is_held_follows_in_its_order():
    """The resume lets everything go on in the order in which it was held."""
    play = paused(parallel("p", *(step(name, retry=policy(2, initial_ms=0)) for name in "abc")), step("z"))
    play.fails("p.c")
    play.succeeds("p.a")
    play.fails("p.b")
    assert held(play) == ["again p.c", "again p.b"]
    play.resumes()
    assert play.run.steps[0].dispatch_seq == play.run.steps[1].dispatch_seq
    assert sorted(sent(play)[3:]) == ["p.b/2", "p.c/2"]


def test_sleeps_and_waits_end_while_a_run_is_paused():
    """Times come and signals arrive; what follows them is held."""
    play = paused(
        parallel("p", sleep("s", 10), wait("w", "go"), wait("v", "stop", timeout_ms=10, on_timeout=step("x"))),
        step("z"),
    )
    play.passes(10)
    play.signals("go", 1)
    assert held(play) == ["enter p.v.x"]
    play.resumes()
    play.succeeds("p.v.x")
    assert live(play.run) == {"z": "SCHEDULED"}


def test_items_and_turns_are_held():
    """A list and a loop go on after the resume where they stood."""
    play = paused(parallel("p", each("m", [1, 2], step("a"), concurrency=1), repeat("r", step("b"), limit=2)))
    play.succeeds("p.m[0]")
    play.succeeds("p.r[0]")
    assert held(play) == ["enter p.m[1]", "enter p.r[1]"]
    play.resumes()
    play.succeeds("p.m[1]")
    play.succeeds("p.r[1]")
    has_ended(play, "COMPLETED")


def test_what_is_held_for_a_branch_that_is_given_up_is_forgotten():
    """A step that was held in a branch which loses never goes out."""
    play = paused(parallel("p", step("a", retry=policy(2, initial_ms=0)), step("b"), enough=1), step("z"))
    play.fails("p.a")
    play.succeeds("p.b")
    assert "again p.a" not in held(play)
    play.resumes()
    assert sent(play) == ["p.a/1", "p.b/1", "z/1"]


def test_a_failed_branch_and_the_last_success_while_paused():
    """The undo of a branch that failed is asked for once, whatever ends the node meanwhile."""
    play = paused(parallel("p", step("a", undo="u"), step("b"), enough=1), step("z"))
    play.fails("p.a")
    play.succeeds("p.b")
    assert held(play) == ["unwind p.a"]
    play.resumes()
    play.undoes("p.a")
    assert live(play.run) == {"z": "SCHEDULED"}


def test_a_block_is_undone_after_the_resume():
    """The undo of a failed block is held, and then its rule follows."""
    play = paused(block("t", step("a", undo="u"), caught(None, handle(put("h", 1)))), step("z"))
    play.fails("t[1]")
    assert held(play) == ["unwind t[1]"]
    play.resumes()
    play.undoes("t[1]")
    assert live(play.run) == {"z": "SCHEDULED"}


def test_a_cancel_ends_the_pause():
    """Nothing that was held goes out; the run is undone at once."""
    play = paused(step("a", undo="u"), step("b"))
    play.succeeds("a")
    play.cancels()
    assert (play.run.status, held(play)) == ("COMPENSATING", [])
    play.undoes("a")
    has_ended(play, "CANCELLED")
    assert "b/1" not in sent(play)


def test_a_cancel_of_a_paused_run_that_failed_lets_it_go_on():
    """The ending it was heading for stays."""
    play = paused(step("a", undo="u"))
    play.fails("a")
    play.cancels()
    play.undoes("a")
    has_ended(play, "FAILED")


def test_a_run_takes_too_long_while_it_is_paused():
    """The time of a run does not stand still; it is undone when it is resumed."""
    play = paused(step("a", undo="u"), run_timeout_ms=100)
    play.passes(100)
    assert (play.run.ending, waiting(play.run)) == ("TIMED_OUT", {})
    play.resumes()
    play.undoes("a")
    has_ended(play, "TIMED_OUT")


def test_a_run_takes_too_long_while_the_next_attempt_of_an_undo_is_held():
    """Whatever is given up around an undo, its next attempt follows after the resume."""
    play = started(
        workflow(
            parallel("p", step("a", undo="u"), step("b"), enough=1),
            step("c"),
            run_timeout_ms=100,
            undo_retry=policy(2, initial_ms=0),
        )
    )
    play.succeeds("p.b")
    play.pauses()
    play.fails("p.a", undo=True)
    assert held(play) == ["again p.a"]
    play.passes(100)
    assert held(play) == ["again p.a", "unwind "]
    play.resumes()
    play.undoes("p.a")
    has_ended(play, "TIMED_OUT")


def test_a_paused_run_is_not_paused_again():
    """Whoever asks twice is told so, and nothing is resumed that goes on."""
    play = paused(step("a"))
    is_refused(play.pauses(), "paused already")
    play.resumes()
    is_refused(play.resumes(), "the run is not paused, and nothing in it waits for an operator")


def test_a_value_stands_in_while_a_run_is_paused():
    """A rule that goes on with a value is followed after the resume as well."""
    play = paused(step("a", on(None, go_on_with(5))), output=ref("steps", "a"))
    play.fails("a")
    play.resumes()
    assert play.run.output == b"5"
