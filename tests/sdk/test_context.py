"""What an action may ask of its context."""

from collections import deque

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from actionbus import ActionContext, NonRetryable
from actionbus.contracts import tokens
from actionbus.contracts.commands import ActionCommand


class Parcel(BaseModel):
    """A value with fields."""

    number: int


COMMAND = ActionCommand(
    command_id="order-1:0/ship/2",
    step_key="order-1:0/ship",
    run_id="order-1",
    workflow="order",
    definition_version="1",
    step="ship",
    action="ship",
    attempt=2,
    input=b"{}",
    reply_topic="results",
    reply_partition=0,
    nonce="n",
    deadline=17,
    issued_at=1,
)


def context(**more) -> ActionContext:
    """A context that may emit to one topic."""
    return ActionContext.of(COMMAND, emits=("parcels",), **more)


def test_a_context_knows_the_attempt_it_is():
    """Every id of the command is there, the idempotency key among them."""
    ctx = context()
    assert (ctx.run_id, ctx.workflow, ctx.step, ctx.attempt, ctx.deadline) == ("order-1", "order", "ship", 2, 17)
    assert (ctx.step_key, ctx.command_id) == ("order-1:0/ship", "order-1:0/ship/2")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x00raw", b"\x00raw"),
        ("text", b"text"),
        (None, None),
        ({"b": 1, "a": [True]}, b'{"a":[true],"b":1}'),
        (Parcel(number=3), b'{"number":3}'),
        (7, b"7"),
    ],
)
def test_an_emitted_value_is_text_bytes_json_or_a_tombstone(value, expected):
    """Text and bytes go out as they are, no value is a tombstone, anything else is JSON."""
    ctx = context()
    ctx.emit("parcels", key="k", value=value, headers={"h": "x", "raw": b"y"})
    (emitted,) = ctx.emitted
    assert (emitted.topic, emitted.key, emitted.value, emitted.headers) == (
        "parcels",
        b"k",
        expected,
        {"h": b"x", "raw": b"y"},
    )


@pytest.mark.parametrize(("topic", "value"), [("letters", "x"), ("parcels", object()), ("parcels", float("nan"))])
def test_an_emit_that_cannot_be_made_fails_the_attempt_for_good(topic, value):
    """An undeclared topic and a value that is no JSON are failures of type EmitRefused, which no retry can help."""
    with pytest.raises(NonRetryable) as refused:
        context().emit(topic, value=value)
    assert (refused.value.type, refused.value.retryable) == ("EmitRefused", False)


def test_only_a_transactional_action_has_a_session():
    """Without one the error says how to get it; with one it is handed out."""
    with pytest.raises(NonRetryable, match='effect="transactional"'):
        _ = context().db
    session = object()
    assert context(session=session).db is session


def test_a_log_line_says_which_attempt_it_is_about():
    """Nobody has to bind the ids by hand."""
    with capture_logs() as lines:
        context().log.info("sent", size=3)
    assert lines == [
        {
            "event": "sent",
            "log_level": "info",
            "size": 3,
            "run_id": "order-1",
            "workflow": "order",
            "step": "ship",
            "attempt": 2,
        }
    ]


def test_a_cancelled_attempt_can_be_seen():
    """A long function can look whether anybody still waits."""
    ctx = context()
    assert not ctx.cancelled
    ctx.cancel()
    assert ctx.cancelled


def test_a_heartbeat_says_the_latest_that_was_said():
    """Only the latest waits to be sent; one without details does not take those before it away."""
    beats = deque(maxlen=1)
    context = ActionContext.of(COMMAND, beats=beats)
    context.heartbeat({"page": 1})
    context.heartbeat({"page": 2})
    context.heartbeat()
    assert list(beats) == [b'{"page":2}']


@pytest.mark.parametrize("details", ["x" * 100, object(), float("nan")], ids=["too much", "no JSON", "no number"])
def test_a_heartbeat_that_cannot_be_kept_is_refused(details):
    """Another attempt would say the same."""
    with pytest.raises(NonRetryable) as refused:
        ActionContext.of(COMMAND, heartbeat_bytes=50).heartbeat(details)
    assert refused.value.type == "HeartbeatRefused"


def test_an_attempt_is_told_how_far_the_one_before_it_came():
    """As JSON; the first attempt is told nothing."""
    assert ActionContext.of(COMMAND).heartbeat_details is None
    assert ActionContext.of(COMMAND.replace(heartbeat_details=b'{"page":2}')).heartbeat_details == {"page": 2}


def test_the_token_is_that_of_the_command():
    """Whoever is given it can say which attempt they answer for."""
    token = tokens.read(ActionContext.of(COMMAND.replace(nonce="0" * 32)).token)
    assert (token.command_id, token.nonce) == (COMMAND.command_id, "0" * 32)
