"""Waits: for a signal, for a person, for some time, until a moment."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from actionbus.contracts.nodes import PersonNode, SequenceNode, SleepNode, WaitNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.templates import PAYLOAD, SCOPE
from actionbus.sdk import fitting, schema, shape
from actionbus.sdk.draft import Draft
from actionbus.sdk.duration import Duration
from actionbus.sdk.given import either
from actionbus.sdk.reference import Origin, standing_for
from actionbus.sdk.shape import Shape
from actionbus.sdk.template import Writing
from actionbus.sdk.unknown import Unknown

_WAIT: Final = "flow.wait_for"
_PERSON: Final = "flow.wait_for_person"
_TIME: Final = Shape({"anyOf": [{"type": "string"}, {"type": "number"}]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a person is asked for, as a reminder sees it."""

    title: str
    assignee: str | None


def wait_for(draft: Draft, signal: str, payload: Any, name: str | None, **fields: Any) -> Any:
    """Write the wait for a signal; ``fields`` are those of ``flow.wait_for``, by their names there."""
    writing = draft.writing()
    node = draft.claim(name, f"wait-{signal}", writing, f'{_WAIT}(..., id="...")')
    waits, result = _waiting(draft, writing, _WAIT, (node, signal), payload, **fields)
    draft.add(WaitNode, writing, id=node, **waits)
    return result


def wait_for_person(
    draft: Draft,
    title: Any,
    form: Any,
    name: str | None,
    *,
    assignee: Any,
    due: Duration | None,
    remind_after: Sequence[Duration],
    on_reminder: Callable[[Task], Any] | None,
    **fields: Any,
) -> Any:
    """Write the task for a person; its signal has the id of the node. ``fields`` are those that every wait has."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("person"), writing, f'{_PERSON}(..., id="...")')
    waits, result = _waiting(draft, writing, _PERSON, (node, node), form, answer=None, **fields)
    if on_reminder is not None and due is None and not remind_after:
        raise writing.refusal(f"on_reminder never follows: write {_PERSON}(..., remind_after=[...]) or due=...")
    draft.add(
        PersonNode,
        writing,
        id=node,
        title=writing.value(title, str, "title"),
        assignee=writing.value(assignee, str | None, "assignee"),
        due_ms=writing.limit(due, "due"),
        remind_after_ms=tuple(writing.limit(each, "remind_after") for each in remind_after),
        on_reminder=None if on_reminder is None else _reminder(draft, writing, node, on_reminder),
        **waits,
    )
    return result


def _reminder(draft: Draft, writing: Writing, node: str, body: Callable[[Task], Any]) -> SequenceNode:
    scope = draft.scope(_PERSON, writing.at)
    known = {
        each.name: standing_for(Origin((SCOPE, node, each.name), each.type, shape.of(each.type, "given"), scope))
        for each in dataclasses.fields(Task)
    }
    with draft.inside(scope):
        return draft.block(f"{node}-reminder", _PERSON, writing, body, Task(**known))[0]


def _waiting(
    draft: Draft,
    writing: Writing,
    method: str,
    named: tuple[str, str],
    payload: Any,
    *,
    accept: Callable[[Any], Any] | None,
    answer: Callable[[Any], Any] | None,
    timeout: Duration | None,
    on_timeout: Callable[[], Any] | None,
) -> tuple[dict[str, Any], Any]:
    """The fields that every wait has, and a reference to what it gives; ``named`` are its id and its signal."""
    node, signal = named
    if on_timeout is not None and timeout is None:
        raise writing.refusal(f"on_timeout never follows without a timeout: write {method}(..., timeout=...)")
    known = schema.json_schema(payload, "started")
    other, at = draft.signals.setdefault(signal, (known, writing.at))
    if other != known:
        raise writing.refusal(f"the signal {signal} is waited for with another type at {at}: use one for both")
    annotation, found = payload, shape.of(payload, "started")
    accepts, answers = _replies(draft, writing, method, (annotation, found), accept, answer)
    instead = None
    if on_timeout is not None:
        instead, given = draft.block(f"{node}-timeout", method, writing, on_timeout)
        annotation, found = either([annotation, given.annotation]), shape.either([found, given.shape])
    fields = {
        "signal": signal,
        "payload_schema": known,
        "accept": accepts,
        "answer": answers,
        "timeout_ms": writing.limit(timeout, "timeout"),
        "on_timeout": instead,
    }
    return fields, draft.result(node, annotation, found)


def _replies(  # noqa: PLR0917 - what a reply is written with
    draft: Draft,
    writing: Writing,
    method: str,
    payload: tuple[Any, Shape],
    accept: Callable[[Any], Any] | None,
    answer: Callable[[Any], Any] | None,
) -> tuple[Json, Json]:
    """Whether a payload is accepted, and what its sender gets: templates that may read the payload."""
    scope = draft.scope(method, writing.at)
    said = standing_for(Origin((PAYLOAD,), *payload, scope))
    with draft.inside(scope):
        inside = draft.writing(writing.at)
        accepts = None if accept is None else inside.value(accept(said), bool, f"{method}(accept=)")
        answers = None if answer is None else inside.open(answer(said), f"{method}(answer=)")[0]
    if scope.nodes:
        raise writing.refusal(f"accept and answer of {method} run nothing: they only read")
    return accepts, answers


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
