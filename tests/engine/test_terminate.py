"""Runs that are stopped at once."""

import pytest

from engine.graphs import PAUSE, on, parallel, policy, sleep, step, wait, workflow
from engine.matchers import has_ended, is_ignored, is_refused, story, told
from engine.play import started


def test_nothing_is_undone():
    """The run ends as it stands; what it did stays, and what is out is ignored."""
    play = started(workflow(step("a", undo="u"), step("b", undo="u")))
    play.succeeds("a")
    play.terminates()
    has_ended(play, "TERMINATED")
    assert play.run.error.type == "Terminated"
    assert play.compensated() == []
    is_ignored(play, play.succeeds("b", attempt=1))


def test_what_was_being_undone_is_left():
    """Also an undo that nobody can finish is given up, and the incident with it."""
    play = started(workflow(step("a", undo="u"), step("b"), undo_retry=policy(1)))
    play.succeeds("a")
    play.fails("b")
    play.fails("a", undo=True)
    play.terminates()
    has_ended(play, "TERMINATED")
    assert play.run.incident is None
    assert "a incident_closed" in story(play)


@pytest.mark.parametrize("before", ["running", "paused"])
def test_it_does_not_matter_how_the_run_stands(before):
    """Sleeping, waiting, stuck or paused: nothing of it is left but its retention."""
    play = started(workflow(parallel("p", sleep("s", 9), wait("w", "go"), step("a", on(None, PAUSE)))))
    play.fails("p.a")
    if before == "paused":
        play.pauses()
    play.terminates()
    has_ended(play, "TERMINATED")
    assert "p.a incident_closed" in told(play.last.event)


def test_an_ended_run_is_not_terminated():
    """There is nothing to stop."""
    play = started(workflow())
    is_refused(play.terminates(), "the run has ended already: it is COMPLETED")
