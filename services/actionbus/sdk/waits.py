"""Waits: for a signal, for some time, until a moment."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from actionbus.contracts.nodes import SleepNode, WaitNode
from actionbus.sdk import fitting, schema, shape
from actionbus.sdk.draft import Draft
from actionbus.sdk.duration import Duration
from actionbus.sdk.given import either
from actionbus.sdk.shape import Shape
from actionbus.sdk.template import Writing
from actionbus.sdk.unknown import Unknown

_WAIT: Final = "flow.wait_for"
_TIME: Final = Shape({"anyOf": [{"type": "string"}, {"type": "number"}]})


def wait_for(
    draft: Draft,
    signal: str,
    payload: Any,
    name: str | None,
    *,
    timeout: Duration | None,
    on_timeout: Callable[[], Any] | None,
) -> Any:
    """Write the wait for a signal."""
    writing = draft.writing()
    node = draft.claim(name, f"wait-{signal}", writing, 'flow.wait_for(..., id="...")')
    if on_timeout is not None and timeout is None:
        raise writing.refusal("on_timeout never follows without a timeout: write flow.wait_for(..., timeout=...)")
    known = schema.json_schema(payload, "started")
    other, at = draft.signals.setdefault(signal, (known, writing.at))
    if other != known:
        raise writing.refusal(f"the signal {signal} is waited for with another type at {at}: use one for both")
    annotation, found = payload, shape.of(payload, "started")
    instead = None
    if on_timeout is not None:
        instead, given = draft.block(f"{node}-timeout", _WAIT, writing, on_timeout)
        annotation, found = either([annotation, given.annotation]), shape.either([found, given.shape])
    limit = writing.limit(timeout, "timeout")
    draft.add(WaitNode, writing, id=node, signal=signal, payload_schema=known, timeout_ms=limit, on_timeout=instead)
    return draft.result(node, annotation, found)


def sleep(draft: Draft, how_long: Any, name: str | None) -> None:
    """Write a pause of some length."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("sleep"), writing, 'flow.sleep(..., id="...")')
    what = "flow.sleep"
    if isinstance(how_long, Unknown):
        draft.add(SleepNode, writing, id=node, for_ms=writing.value(how_long, float, f"{what}(milliseconds)"))
    else:
        draft.add(SleepNode, writing, id=node, for_ms=writing.limit(how_long, what))


def sleep_until(draft: Draft, moment: Any, name: str | None) -> None:
    """Write a pause until a moment."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("sleep"), writing, 'flow.sleep_until(..., id="...")')
    draft.add(SleepNode, writing, id=node, until=_moment(moment, writing))


def _moment(moment: Any, writing: Writing) -> Any:
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise writing.refusal(f"flow.sleep_until: {moment} says no time zone: add one, as in tzinfo=UTC")
        return moment.isoformat()
    template, given = writing.open(moment, "flow.sleep_until")
    if not isinstance(moment, Unknown) or fitting.mismatch(given, _TIME) is not None:
        raise writing.refusal(
            f"flow.sleep_until takes a datetime, or a reference to one, to its text or to epoch milliseconds, "
            f"not {given}"
        )
    return template
