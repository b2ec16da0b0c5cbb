"""Loops: the same for each item of a list, or again and again."""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Any, Final

from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.nodes import MapNode, RepeatNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.templates import SCOPE
from actionbus.sdk import member, shape
from actionbus.sdk.draft import Draft
from actionbus.sdk.given import annotation_of, either, takes
from actionbus.sdk.reference import Origin, standing_for
from actionbus.sdk.template import Writing

_MAP: Final = "flow.map"
_REPEAT: Final = "flow.repeat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of ``flow.repeat``."""

    number: int
    """0 in the first."""
    last: Any
    """What the turn before gave; None in the first."""


def map_over(
    draft: Draft, items: Any, body: Callable[..., Any], name: str | None, *, may_give_none: bool, **fields: Any
) -> Any:
    """Write what is done for each item of a list; ``may_give_none``: whether the output may hold null for some."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("map"), writing, 'flow.map(..., id="...")')
    template, given = writing.open(items, "flow.map(items)")
    of_item = shape.items(given)
    if of_item is None:
        raise writing.refusal(f"flow.map goes through a list, not {given}")
    scope = draft.scope(_MAP, writing.at)
    try:
        kind = _item(annotation_of(items))
    except DefinitionRefused as error:
        raise writing.refusal(f"flow.map(items): {error}") from None
    item = standing_for(Origin((SCOPE, node, "item"), kind, of_item, scope))
    index = standing_for(Origin((SCOPE, node, "index"), int, shape.of(int, "given"), scope))
    values = (item, index) if callable(body) and takes(body) > 1 else (item,)
    with draft.inside(scope):
        inner, gives = draft.block(f"{node}-item", _MAP, writing, body, *values)
    draft.add(MapNode, writing, id=node, items=template, body=inner, **fields)
    annotation, found = gives.annotation, gives.shape
    if may_give_none:
        annotation, found = either([annotation, NoneType]), shape.or_none(found)
    return draft.result(node, list[annotation], shape.list_of(found))


def repeat(
    draft: Draft,
    body: Callable[[Turn], Any],
    name: str | None,
    *,
    while_: Callable[[Turn], Any] | None,
    until: Callable[[Any], Any] | None,
    limit: int | None,
) -> Any:
    """Write what is done again and again."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("repeat"), writing, 'flow.repeat(..., id="...")')
    scope = draft.scope(_REPEAT, writing.at)
    turn = Turn(
        number=standing_for(Origin((SCOPE, node, "turn"), int, shape.of(int, "given"), scope)),
        last=standing_for(Origin((SCOPE, node, "last"), Any, shape.ANYTHING, scope)),
    )
    with draft.inside(scope):
        inner, gives = draft.block(f"{node}-turn", _REPEAT, writing, body, turn)
        last = standing_for(Origin((SCOPE, node, "last"), gives.annotation, gives.shape, scope))
        wanted = None if while_ is None else _condition(draft, writing, "while_", while_, turn)
        over = None if until is None else _condition(draft, writing, "until", until, last)
        if scope.nodes:
            raise writing.refusal("a condition of flow.repeat runs nothing: run the step in the body, and return it")
    draft.add(RepeatNode, writing, id=node, body=inner, while_=wanted, until=over, limit=limit)
    if while_ is None:
        return draft.result(node, gives.annotation, gives.shape)
    return draft.result(node, either([gives.annotation, NoneType]), shape.or_none(gives.shape))


def _condition(draft: Draft, writing: Writing, what: str, condition: Callable[[Any], Any], value: Any) -> Json:
    return draft.writing(writing.at).value(condition(value), bool, f"flow.repeat({what}=)")


def _item(annotation: Any) -> Any:
    """The type of the items of a list; where they differ by their place, any of them."""
    kind = member.bare(annotation)
    given = getattr(kind, "__args__", ())
    if getattr(kind, "__origin__", None) is tuple and Ellipsis not in given:
        return either(given)
    return Any if kind is Any else member.item(annotation, 0).annotation
