"""Signals that are waited for."""

import pytest

from engine.graphs import block, caught, go_on_with, parallel, put, ref, retry, step, wait, workflow
from engine.matchers import has_ended, is_refused, live, story, told, waiting
from engine.play import started

TEXT = {"type": "string"}


def approval(**fields):
    """A workflow that waits and gives what it was told."""
    return workflow(wait("w", "approved", **fields), step("a"), output=ref("steps", "w"))


def test_a_signal_ends_the_wait():
    """The payload is the output; the timer of the wait is gone."""
    play = started(approval(timeout_ms=100))
    assert list(waiting(play.run)) == ["wake of w"]
    play.signals("approved", {"by": "ada"})
    assert live(play.run) == {"w": "SUCCEEDED", "a": "SCHEDULED"}
    assert waiting(play.run) == {}
    play.succeeds("a")
    assert play.run.output == b'{"by":"ada"}'


def test_without_a_signal_in_time_it_fails():
    """Nobody came: the node fails with Timeout, like a step that took too long."""
    play = started(approval(timeout_ms=100))
    play.passes(100)
    has_ended(play, "FAILED")
    assert play.run.error.type == "Timeout"


def test_what_follows_without_a_signal():
    """Another node may stand in for the signal; a signal that comes meanwhile is kept for the next wait."""
    play = started(
        workflow(
            wait("w", "approved", timeout_ms=100, on_timeout=step("ask")),
            wait("v", "approved"),
            output=ref("steps", "w"),
        )
    )
    play.passes(100)
    play.signals("approved", "late")
    play.succeeds("w.ask", "asked")
    assert play.run.output == b'"asked"'
    has_ended(play, "COMPLETED")


def test_a_signal_after_the_time_is_over():
    """Whichever comes first decides: a signal at the last moment and the end of the wait never both count."""
    play = started(approval(timeout_ms=100, on_timeout=put("nobody", 0)))
    play.signals("approved", 1)
    play.passes(1_000)
    assert sum("wait_ended" in each for each in story(play)) == 1


def test_who_has_waited_longest_is_served_first():
    """One signal ends one wait."""
    play = started(workflow(parallel("p", wait("v", "go"), wait("w", "go")), output=ref("steps", "p")))
    play.signals("go", 1)
    assert [scope.path for scope in play.run.scopes] == ["", "p", "p.w"]
    play.signals("go", 2)
    assert play.run.output == b"[1,2]"


def test_a_wait_that_is_given_up_takes_no_signal():
    """When another branch was enough, the signal is kept for whoever waits later."""
    play = started(
        workflow(parallel("p", wait("v", "go", timeout_ms=9), step("a"), enough=1), step("z"), wait("w", "go"))
    )
    play.succeeds("p.a")
    assert waiting(play.run) == {}
    play.signals("go", 1)
    assert len(play.run.signals) == 1
    play.succeeds("z")
    has_ended(play, "COMPLETED")


def test_a_block_may_wait_again():
    """A rule of the block around it may ask for another wait."""
    play = started(
        workflow(
            block("t", wait("w", "go", timeout_ms=10), caught("Timeout", retry(2)), caught(None, go_on_with("gone"))),
            output=ref("steps", "t"),
        )
    )
    play.passes(10)
    play.passes(1_000)
    assert [scope.path for scope in play.run.scopes] == ["", "t", "t[2]"]
    play.passes(10)
    assert play.run.output == b'"gone"'


@pytest.mark.parametrize(("value", "why"), [(7, "does not fit")])
def test_a_signal_has_to_fit(value, why):
    """A payload that the schema refuses is refused to whoever sent it, and the wait goes on."""
    play = started(approval(payload_schema=TEXT))
    is_refused(play.signals("approved", value), why)
    assert "w wait_ended" not in str(told(play.last.event))
    play.signals("approved", "yes")
    assert live(play.run)["a"] == "SCHEDULED"
