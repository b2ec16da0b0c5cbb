"""A run is asked for."""

import pytest

from actionbus.contracts import identifiers
from actionbus.contracts.limits import Limits
from actionbus.contracts.requests import IfExists, RequestKind, WorkflowRequest
from actionbus.engine.inputs import StartRequested
from actionbus.engine.transition import Outcome
from engine.graphs import ref, step, workflow
from engine.matchers import has_ended, is_refused, live, sent, told, waiting
from engine.play import START, Play, started


def test_a_start_schedules_the_first_step():
    """A start is accepted, and its first command goes out with the transaction that writes the run."""
    play = started(workflow(step("book", input={"who": ref("input", "name")}), step("pay")), {"name": "Ada"})
    assert told(play.last.event) == [
        "request_accepted",
        'run_started {"name":"Ada"}',
        'book#1 scheduled {"who":"Ada"}',
    ]
    assert live(play.run) == {"book": "SCHEDULED"}
    assert sent(play) == ["book/1"]
    assert (play.run.version, play.run.txn_seq, play.run.created_at) == (1, 1, START)
    assert play.run.trace == "00-trace-span-01"


def test_the_verdict_names_the_request():
    """Whoever asked finds the verdict by the request's id."""
    play = started(workflow(step("book")))
    assert play.last.event.entries[0].request_id == "start-1"


def test_a_start_without_steps_completes_at_once():
    """A workflow without a node is a workflow: its run completes in the transition that starts it."""
    play = started(workflow(output={"got": ref("input")}), 7)
    assert play.run.status == "COMPLETED"
    assert play.run.output == b'{"got":7}'


def test_the_same_request_is_answered_alike():
    """A start that comes twice is accepted twice and has one effect."""
    play = started(workflow(step("book")))
    before = play.run
    again = play.starts(request_id="start-1")
    assert again.outcome is Outcome.REPEATED
    assert again.run is before
    assert again.event.version == 0
    assert again.event.incarnation == "0"
    assert told(again.event) == ["request_accepted (this request started the run)"]
    assert sent(play) == ["book/1"]


def fingerprinted(key, content):
    """The id of a request as the gateway makes it."""
    return identifiers.fingerprinted(key, content)


@pytest.mark.parametrize("if_exists", list(IfExists))
def test_a_key_that_comes_back_with_something_else_is_refused(if_exists):
    """Whatever a start means where there is a run: its key has been used, and nothing is replaced or postponed."""
    play = Play(workflow(step("book")))
    play.starts(1, request_id=fingerprinted("k", b"1"))
    play.succeeds("book")
    before = play.run
    again = play.starts(1, request_id=fingerprinted("k", b"1"), if_exists=if_exists)
    assert again.outcome is Outcome.REPEATED
    other = play.starts(2, request_id=fingerprinted("k", b"2"), if_exists=if_exists)
    is_refused(other, "the idempotency key k was used for another request")
    assert play.run is before


def test_an_id_without_a_fingerprint_is_the_same_request_however_it_comes():
    """What was asked over Kafka under a key and is asked again over HTTP has one effect, and the other way round."""
    for first, second in (("k", fingerprinted("k", b"1")), (fingerprinted("k", b"1"), "k")):
        play = Play(workflow(step("book")))
        play.starts(request_id=first)
        assert play.starts(request_id=second).outcome is Outcome.REPEATED


@pytest.mark.parametrize("ended", [False, True])
def test_another_start_of_the_same_run_is_rejected(ended):
    """A run id stays taken for as long as its run is kept, and the reason says how that run stands."""
    play = started(workflow(step("book")))
    if ended:
        play.succeeds("book")
    before = play.run
    again = play.starts(request_id="start-2")
    assert again.outcome is Outcome.REJECTED
    assert again.run is before
    assert told(again.event) == [f"request_rejected (the run id is taken: that run is {before.status})"]


def test_an_input_that_breaks_the_schema_is_rejected():
    """The caller hears where the input is wrong, and no run is there."""
    play = Play(workflow(step("book"), input_schema={"properties": {"n": {"type": "integer"}}}))
    refused = play.starts({"n": "one"})
    assert refused.outcome is Outcome.REJECTED
    assert refused.run is None
    assert told(refused.event) == ['request_rejected (the input is refused: n: "one" is not of type "integer")']
    assert play.starts({"n": 1}, request_id="start-2").outcome is Outcome.APPLIED


def test_an_input_beyond_the_limit_is_rejected():
    """An input that no record should carry is refused with both sizes."""
    play = Play(workflow(step("book"), limits=Limits(payload_bytes=10)))
    assert play.starts("x" * 8).outcome is Outcome.APPLIED
    other = Play(play.definition)
    (said,) = told(other.starts("x" * 9).event)
    assert "11 bytes are more than 10" in said


@pytest.mark.parametrize("payload", [b"{", b"\xff", b'{"a":1,"a":2}', b"NaN"])
def test_an_input_that_is_no_json_is_rejected(payload):
    """Bytes that are no JSON start nothing."""
    play = Play(workflow(step("book")))
    request = WorkflowRequest(request_id="q", run_id="r-1", kind=RequestKind.START, workflow="order", payload=payload)
    refused = play.give(StartRequested(request=request, incarnation="0"))
    assert refused.outcome is Outcome.REJECTED
    assert refused.run is None


@pytest.mark.parametrize("run_id", ["", "!position", "a/b", "-a", "x" * 201])
def test_a_run_id_outside_its_grammar_is_rejected(run_id):
    """Nothing is ever written under a key that is no run id."""
    play = Play(workflow(step("book")), run_id=run_id)
    refused = play.starts()
    assert refused.outcome is Outcome.REJECTED
    assert refused.run is None
    assert "run id" in told(refused.event)[0]


def test_no_payload_is_null():
    """A start without a payload has the input null."""
    play = Play(workflow(step("book", input=ref("input"))))
    request = WorkflowRequest(request_id="q", run_id="r-1", kind=RequestKind.START, workflow="order")
    play.give(StartRequested(request=request, incarnation="0"))
    assert play.executed()[0].input == b"null"


def test_an_input_that_nothing_reads_is_not_kept():
    """A run does not carry an input that no template asks for."""
    assert started(workflow(step("book")), {"n": 1}).run.input is None
    assert started(workflow(step("book", input={"n": ref("input", "n")}), step("pay")), {"n": 1}).run.input is not None


def test_a_long_reason_is_cut():
    """Nobody makes an event large by why a run was started."""
    play = Play(workflow(step("book"), limits=Limits(error_message_bytes=20)))
    play.starts(reason="because " * 10)
    assert play.events[0].entries[1].reason == "because becaus [cut]"


def test_a_limit_of_the_run_is_a_timer():
    """The time that a definition allows begins with the start."""
    assert waiting(started(workflow(step("book"), run_timeout_ms=500)).run) == {"run_timeout": START + 500}


def test_a_start_may_mean_the_run_that_is_there():
    """A caller who only wants the run to be there is told so, while it lives and when it has ended."""
    play = started(workflow(step("a")))
    again = play.starts(request_id="start-2", if_exists=IfExists.RETURN)
    assert (again.outcome, again.run) == (Outcome.REPEATED, play.transitions[0].run)
    assert told(again.event) == ["request_accepted (there is a run of that id: it is RUNNING)"]
    play.succeeds("a")
    again = play.starts(request_id="start-3", if_exists=IfExists.RETURN)
    assert told(again.event) == ["request_accepted (there is a run of that id: it is COMPLETED)"]


def test_an_ended_run_may_be_replaced():
    """A new run takes its id, with an incarnation of its own; what was asked of the old one is not carried out again."""
    play = started(workflow(step("a")))
    assert play.starts(request_id="start-2", if_exists=IfExists.REPLACE).outcome is Outcome.REJECTED
    play.succeeds("a")
    play.incarnation = "7"
    anew = play.starts(request_id="start-3", if_exists=IfExists.REPLACE)
    assert (anew.outcome, anew.run.incarnation, anew.run.version) == (Outcome.APPLIED, "7", 1)
    assert anew.run.requests == ("start-1",)
    assert [timer.kind for timer in anew.run.timers] == []
    play.succeeds("a")
    for repeated in ("start-1", "start-3"):
        assert play.starts(request_id=repeated, if_exists=IfExists.REPLACE).outcome is Outcome.REPEATED
    has_ended(play, "COMPLETED")


def test_a_replacement_that_is_refused_leaves_the_run():
    """An input that does not fit begins nothing, and the ended run stays as it was."""
    play = started(workflow(step("a"), input_schema={"type": "integer"}), 1)
    play.succeeds("a")
    before = play.run
    refused = play.starts("no number", request_id="start-2", if_exists=IfExists.REPLACE)
    assert (refused.outcome, refused.run) == (Outcome.REJECTED, before)


def test_a_run_may_begin_later():
    """Its first step is due at the time that was asked for, and its own time begins to count only then."""
    play = Play(workflow(step("a"), run_timeout_ms=5_000))
    play.starts(due_at=START + 60_000)
    assert waiting(play.run) == {"wake": START + 60_000, "run_timeout": START + 65_000}
    assert (sent(play), play.passes(59_999)) == ([], [])
    play.passes(1)
    assert told(play.last.event) == ["wait_ended (the time has come to begin)", "a#1 scheduled {}"]
    play.passes(5_000)
    has_ended(play, "TIMED_OUT")


def test_a_run_that_has_not_begun_can_be_cancelled_or_let_go():
    """Nothing was done, so nothing is undone; and whoever cannot wait lets it begin at once."""
    play = Play(workflow(step("a", undo="u")))
    play.starts(due_at=START + 60_000)
    play.cancels()
    has_ended(play, "CANCELLED")
    play = Play(workflow(step("a")))
    play.starts(due_at=START + 60_000)
    play.moves("", START)
    play.passes(0)
    assert sent(play) == ["a/1"]


def test_a_time_that_is_past_begins_at_once():
    """A start that lay in its topic for longer than it wanted to wait does not wait any more."""
    play = Play(workflow(step("a")))
    play.starts(due_at=START - 1)
    assert sent(play) == ["a/1"]


def test_a_time_that_cannot_be_is_refused():
    """A run is not begun in a year that nobody can write."""
    play = Play(workflow(step("a")))
    assert "due_at is no time in epoch milliseconds" in told(play.starts(due_at=2**62).event)[0]


def test_a_replacement_remembers_no_more_than_it_may():
    """An id that is used again and again does not carry along the requests of all its runs."""
    play = started(workflow(step("a"), limits=Limits(requests_kept=0)))
    for number in range(2, 5):
        play.succeeds("a")
        play.incarnation = str(number)
        play.starts(request_id=f"start-{number}", if_exists=IfExists.REPLACE)
        assert play.run.requests == ()
