"""Branches: one of several that is chosen, or several at the same time."""

from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, Final

from actionbus.contracts.nodes import Case, ChooseNode, ParallelNode, SequenceNode
from actionbus.contracts.templates import CEL, REF, STEPS, WITH
from actionbus.sdk import shape
from actionbus.sdk.draft import Draft
from actionbus.sdk.given import Given, either
from actionbus.sdk.template import Writing

_CHOOSE: Final = "flow.choose"
_PARALLEL: Final = "flow.parallel"
_FIRST: Final = "flow.first"
_WINNER: Final = "(branches.filter(each, each != null) + [null])[0]"  # the winner itself may give null


def choose(
    draft: Draft, cases: Sequence[tuple[Any, Callable[[], Any]]], otherwise: Callable[[], Any] | None, name: str | None
) -> Any:
    """Write the first case whose condition holds."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("choose"), writing, 'flow.choose(..., id="...")')
    written: list[Case] = []
    given: list[Given] = []
    for number, case in enumerate(cases, start=1):
        if not isinstance(case, tuple) or len(case) != 2:  # pyright: ignore[reportUnnecessaryIsInstance] # noqa: PLR2004 - users without a type checker; a pair
            raise writing.refusal(f"flow.choose takes pairs of a condition and a function, not {case!r}")
        when = writing.value(case[0], bool, f"condition {number} of flow.choose")
        then, gives = draft.block(f"{node}-case-{number}", _CHOOSE, writing, case[1])
        written.append(Case(when=when, then=then))
        given.append(gives)
    last = None
    if otherwise is not None:
        last, gives = draft.block(f"{node}-otherwise", _CHOOSE, writing, otherwise)
        given.append(gives)
    draft.add(ChooseNode, writing, id=node, cases=tuple(written), otherwise=last)
    annotation, found = _one_of(given)
    if otherwise is None:
        annotation, found = either([annotation, NoneType]), shape.or_none(found)
    return draft.result(node, annotation, found)


def parallel(
    draft: Draft, branches: Sequence[Callable[[], Any]], enough: int | None, name: str | None
) -> tuple[Any, ...] | list[Any]:
    """Write branches that are under way at the same time; a reference for each of them."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("parallel"), writing, 'flow.parallel(..., id="...")')
    given = _race(draft, node, _PARALLEL, writing, branches, enough)
    if enough is None:
        return tuple(draft.result(node, each.annotation, each.shape, place) for place, each in enumerate(given))
    return [
        draft.result(node, either([each.annotation, NoneType]), shape.or_none(each.shape), place)
        for place, each in enumerate(given)
    ]


def first(draft: Draft, branches: Sequence[Callable[[], Any]], name: str | None) -> Any:
    """Write branches of which the one that succeeds first is taken."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("first"), writing, 'flow.first(..., id="...")')
    race = draft.claim(None, f"{node}-race", writing, 'flow.first(..., id="...")')
    with draft.inside(draft.scope(_FIRST, writing.at)) as scope:
        given = _race(draft, race, _FIRST, writing, branches, 1)
    winner = {CEL: _WINNER, WITH: {"branches": {REF: [STEPS, race]}}}
    draft.add(SequenceNode, writing, id=node, nodes=tuple(scope.nodes), output=winner)
    return draft.result(node, *_one_of(given))


def _race(  # noqa: PLR0917 - all of one node
    draft: Draft,
    node: str,
    method: str,
    writing: Writing,
    branches: Sequence[Callable[[], Any]],
    enough: int | None,
) -> list[Given]:
    if enough is not None and not 1 <= enough <= len(branches):
        raise writing.refusal(f"{method}: {enough} of {len(branches)} branches can never succeed")
    written = [
        draft.block(f"{node}-branch-{number}", method, writing, each) for number, each in enumerate(branches, start=1)
    ]
    draft.add(ParallelNode, writing, id=node, branches=tuple(each for each, _ in written), enough=enough)
    return [given for _, given in written]


def _one_of(given: Sequence[Given]) -> tuple[Any, shape.Shape]:
    return either([each.annotation for each in given]), shape.either([each.shape for each in given])
