"""Somebody wants a live run to go back to a node that it has been through, and to go on from there.

What the node and those after it did is undone, last first, as a failure would have undone it. Then the node begins
again, under new step keys: the old ones are closed for ever.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused, Refused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import StepState, StepStatus, WorkflowRun
from actionbus.engine import addressing, verdict
from actionbus.engine.definition import Definition
from actionbus.engine.draft import Draft
from actionbus.engine.liveness import RUN_INPUT
from actionbus.engine.paths import beside, static
from actionbus.engine.schedule import ScheduleDefinition
from actionbus.engine.shapes.sequence import SequenceShape, inside
from actionbus.engine.template import fitting, sized

INPUT: Final = "input"
OUTPUTS: Final = "outputs"
_PATHS_SAID: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A node that a run may go back to: its path, that of the sequence around it, and its place there."""

    path: str
    around: str
    number: int


def rewind(draft: Draft, request: WorkflowRequest) -> str | None:
    """Undo what ran from a node on and begin with it again; the reason when that cannot be."""
    try:
        spot = find(draft.definition, draft.run, request.step)
        given = _given(draft, spot, request.payload)
    except Refused as refused:
        return str(refused)
    said = verdict.said(request, draft.definition.limits)
    draft.note(EntryKind.RUN_REWOUND, step=spot.path, data=request.payload, reason=said)
    place = draft.definition.places[static(spot.around)]
    again = inside(place.plan, spot.around, spot.number)
    draft.abandon_all(again)
    draft.rewound += 1
    for path, output in given.items():
        if path == RUN_INPUT:
            draft.input = output
        else:
            draft.keep(StepState(path=path, status=StepStatus.SUCCEEDED, output=output))
    assert isinstance(place.shape, SequenceShape)  # noqa: S101 - see find
    place.shape.go_back(draft, place, spot.around, spot.number)
    return None


def find(definition: Definition, run: WorkflowRun, given: str | None) -> Spot:
    """The node that somebody means; raises Refused with the reason when the run cannot go back to it."""
    if isinstance(definition, ScheduleDefinition):
        raise Refused("a schedule has no step to go back to: trigger it, or fill a span that is past")
    if run.ending is not None:
        raise Refused(f"the run undoes what it did and will be {run.ending}: nothing of it runs again")
    if run.unbegun:
        raise Refused("the run has not begun")
    spots = {each.path: each for each in _spots(definition, run)}
    path = addressing.path_of(definition, given, spots)
    if path not in spots:
        known = ", ".join(islice(reversed(spots), _PATHS_SAID)) or "none"
        raise Refused(
            f"the run cannot go back to {given!r}: it is no node of a sequence that is under way, or its turn has not "
            f"come yet; what it can go back to, the latest first: {known}"
        )
    return spots[path]


def forgotten(definition: Definition, run: WorkflowRun, spot: Spot) -> list[str]:
    """What will be read again and the run has not kept: paths of nodes, and ``RUN_INPUT`` for its input."""
    place = definition.places[static(spot.around)]
    again = inside(place.plan, static(spot.around), spot.number)
    kept = {step.path for step in run.steps if step.status is StepStatus.SUCCEEDED}
    found: list[str] = []
    for source, readers in definition.readers.items():
        if not any(again(each) for each in readers):
            continue
        if source == RUN_INPUT:
            found += [source] if run.input is None else []
        elif not again(source) and (path := beside(source, spot.path)) not in kept:
            found.append(path)
    return found


def _spots(definition: Definition, run: WorkflowRun) -> Iterator[Spot]:
    """The nodes that have had their turn in the sequences that are under way, the outermost sequence first."""
    for scope in run.scopes:
        place = definition.place(scope.path)
        if place is None or not isinstance(place.shape, SequenceShape):
            continue
        for number, each in enumerate(place.plan.ids[: scope.cursor + 1]):
            yield Spot(path=f"{scope.path}.{each}" if scope.path else each, around=scope.path, number=number)


def _given(draft: Draft, spot: Spot, payload: bytes | None) -> dict[str, bytes]:
    """What the request gives back of what is forgotten, by path; raises Refused when it lacks something."""
    before = draft.run.replace(steps=tuple(draft.steps.values()))
    wanted = forgotten(draft.definition, before, spot)
    inputs, outputs = _parts(payload)
    lacking = [each for each in wanted if each not in outputs and not (each == RUN_INPUT and inputs)]
    if lacking:
        named = ", ".join("the input of the run" if each == RUN_INPUT else each for each in lacking[:_PATHS_SAID])
        raise Refused(
            f"what runs again from {spot.path} on reads {named}, which the run has not kept, because nothing was to "
            "read it any more: give it back with the request, as `actionbus runs retry RUN --from STEP` does"
        )
    found: dict[str, bytes] = {}
    for each in wanted:
        name = "the input" if each == RUN_INPUT else f"the output of {each}"
        try:
            found[each] = _fitting(draft, each, inputs[0] if each == RUN_INPUT else outputs[each])
        except PayloadRefused as refused:
            raise Refused(f"{name} does not fit: {refused}") from refused
    return found


def _fitting(draft: Draft, path: str, value: Json) -> bytes:
    definition = draft.definition
    data = payloads.encode(value)
    if path == RUN_INPUT:
        return fitting(data, definition.input_schema, definition.limits)[1]
    place = definition.place(path)
    if place is not None and place.node.kind == "step":
        return fitting(data, definition.output_of(place.plan.action.id), definition.limits)[1]
    return sized(data, definition.limits)


def _parts(payload: bytes | None) -> tuple[list[Json], Mapping[str, Json]]:
    """The input of the run, if it is given, and the outputs; raises Refused for anything else."""
    try:
        value: Any = payloads.decode(payload or b"{}")
    except PayloadRefused as refused:
        raise Refused(f"what is given back to the run is no JSON: {refused}") from refused
    outputs: Any = value.get(OUTPUTS, {}) if isinstance(value, dict) else None
    if not isinstance(outputs, dict) or not {INPUT, OUTPUTS}.issuperset(value):
        raise Refused(
            "what is given back to the run is an object with input, outputs, or both; outputs is one by paths"
        )
    return ([value[INPUT]] if INPUT in value else []), outputs
