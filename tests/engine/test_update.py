"""Signals whose sender hears whether they are accepted, and what the run answers; and values that a run shows."""

import pytest

from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind
from actionbus.engine.transition import Outcome
from engine.graphs import cel, parallel, put, ref, repeat, sequence, show, step, wait, workflow
from engine.matchers import has_ended, is_ignored, is_refused
from engine.play import started

POSITIVE = cel("n > 0", n=ref("payload"))
DOUBLE = cel("n * 2 + seed", n=ref("payload"), seed=ref("input"))


def asking(*before, **fields):
    """A workflow that waits for a positive number, and answers twice the number and its input."""
    return workflow(*before, wait("w", "add", accept=POSITIVE, answer=DOUBLE, **fields), output=ref("steps", "w"))


def verdicts(play, request_id):
    """What was said to a request, in order: accepted with an answer, or why it was refused."""
    return [
        payloads.decode(entry.data or b"null") if entry.kind is EntryKind.REQUEST_ACCEPTED else entry.reason
        for event in play.events
        for entry in event.entries
        if entry.request_id == request_id and entry.kind in (EntryKind.REQUEST_ACCEPTED, EntryKind.REQUEST_REJECTED)
    ]


def test_an_update_that_is_accepted_is_answered_and_taken():
    """The verdict carries the answer."""
    play = started(asking(), 100)
    play.signals("add", 4, request_id="u")
    assert verdicts(play, "u") == [108]
    assert play.run.output == b"4"


def test_an_update_that_is_not_accepted_changes_nothing():
    """Its sender hears the condition; the run waits on."""
    play = started(asking(), 100)
    is_refused(play.signals("add", -1), "n > 0 does not hold")
    play.signals("add", 1)
    has_ended(play, "COMPLETED")


def test_an_update_that_comes_early_is_answered_once_it_is_waited_for():
    """The first one is not accepted then, the second is."""
    play = started(asking(step("a")), 100)
    play.signals("add", -1, request_id="u")
    play.signals("add", 3, request_id="v")
    assert verdicts(play, "u") == verdicts(play, "v") == []
    play.succeeds("a")
    assert verdicts(play, "u") == ["w does not accept it: n > 0 does not hold"]
    assert verdicts(play, "v") == [106]
    assert play.run.output == b"3"


def test_an_update_is_carried_out_once():
    """Asked again while it waits, and after it was answered."""
    play = started(asking(step("a")), 100)
    play.signals("add", 3, request_id="u")
    assert play.signals("add", 3, request_id="u").outcome is Outcome.REPEATED
    assert len(play.run.signals) == 1
    play.succeeds("a")
    assert play.signals("add", 3, request_id="u").outcome is Outcome.REPEATED


def test_an_early_update_that_is_sent_again_hears_no_verdict_before_its_time():
    """Nobody knows yet whether it will be accepted: whoever asks again hears the one verdict, as the first does."""
    play = started(asking(step("a")), 100)
    play.signals("add", -1, request_id="early")
    is_ignored(play, play.signals("add", -1, request_id="early"), Outcome.REPEATED)
    assert verdicts(play, "early") == []
    play.succeeds("a")
    assert verdicts(play, "early") == ["w does not accept it: n > 0 does not hold"]


@pytest.mark.parametrize("end", ["cancels", "terminates", "completes"])
def test_an_update_that_nothing_waits_for_any_more_is_refused(end):
    """However the run ends."""
    play = started(workflow(step("a"), parallel("p", wait("w", "add", answer=1), step("b"), enough=1)), 1)
    play.signals("add", 1, request_id="taken")
    play.signals("add", 2, request_id="u")
    if end == "completes":
        play.succeeds("a")
        assert verdicts(play, "taken") == [1]
    else:
        getattr(play, end)()
    assert verdicts(play, "u") == ["the run ended before it waited for the signal add"]


def test_a_condition_or_an_answer_that_has_no_value_refuses_the_update():
    """A mistake of the author is told to the sender, and costs the run nothing."""
    play = started(workflow(wait("w", "add", accept=cel("n.x > 1", n=ref("payload")))), 1)
    is_refused(play.signals("add", 5), "n.x > 1")
    play = started(workflow(wait("w", "add", answer=cel("n.x", n=ref("payload")))), 1)
    is_refused(play.signals("add", 5), "n.x")


def test_a_signal_with_start_may_be_an_update():
    """The start is accepted; what becomes of the signal is told once it is waited for."""
    play = started(asking(), 1)
    other = type(play)(asking(), run_id="r-2")
    other.signals_with_start("add", -1, 5, request_id="u")
    assert verdicts(other, "u") == [None, "w does not accept it: n > 0 does not hold"]


def test_what_a_run_shows():
    """The latest value of a name stands in its state, and stays when it has ended."""
    turn = sequence("t", wait("w", "add"), show("s", "last", ref("steps", "w")))
    play = started(workflow(show("first", "last", {"n": ref("input")}), repeat("r", turn, limit=2)), 7)
    assert play.run.views == {"last": b'{"n":7}'}
    for value in (1, 2):
        play.signals("add", value)
        assert play.run.views == {"last": payloads.encode(value)}
    has_ended(play, "COMPLETED")


def test_a_value_that_cannot_be_made_is_not_shown():
    """The node fails, as one that makes a value."""
    play = started(workflow(show("s", "last", ref("input", "missing")), put("p", 1)), {})
    has_ended(play, "FAILED")
    assert play.run.views == {}
