"""A recorded history: a definition, every input with its time and transaction, and what the engine made of each.

It is one JSON document. What was recorded of a moment may be all that came of it, or less: where a history was rebuilt
from a run's events (``rebuild``) there is the event and nothing else. How one is folded again stands in ``replay``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from actionbus.contracts import identifiers, schedules
from actionbus.contracts.definitions import read_graph
from actionbus.contracts.errors import IdentifierRefused, Refused
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.model import Record
from actionbus.contracts.requests import ChildReport, WorkflowRequest
from actionbus.contracts.results import ActionResult
from actionbus.contracts.run import Parent, TimerKind, WorkflowRun
from actionbus.engine.definition import Definition
from actionbus.engine.dispatch import commands
from actionbus.engine.inputs import (
    Admitted,
    ChildReported,
    Input,
    RequestMade,
    ResultReceived,
    StartRequested,
    TimerFired,
)
from actionbus.engine.schedule import ScheduleDefinition
from actionbus.engine.transition import Transition

RESULTS: Final = "actionbus.workflow.results.v1"
_NO_TIMER: Final = 0  # their ids begin with 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A timer by what it is for: its id may be another one wherever the history is folded again."""

    kind: TimerKind
    step: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An input at its time, epoch milliseconds, in its transaction; ``outcome`` holds what was recorded of it."""

    now: int
    seq: int
    event: Input | Due
    outcome: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What happened to one run."""

    about: str
    definition: Definition
    moments: tuple[Moment, ...]


def nonce(command_id: str) -> str:
    """A nonce that a reader of a history can follow."""
    return f"nonce of {command_id}"


def input_of(moment: Moment, run: WorkflowRun | None) -> Input:
    """The input of a moment, as the run at that time has to take it."""
    if not isinstance(moment.event, Due):
        return moment.event
    timers = () if run is None else run.timers
    found = (timer for timer in timers if (timer.kind, timer.step) == (moment.event.kind, moment.event.step))
    timer = min(found, key=lambda each: (each.due_at, each.id), default=None)
    return TimerFired(timer_id=_NO_TIMER if timer is None else timer.id)


def pinned(definition: Definition, given: Input, run: WorkflowRun | None) -> Definition:
    """The definition that a run goes on under after an input: another one where it was migrated to it."""
    target = given.target if isinstance(given, StartRequested | RequestMade) else None
    return target if target is not None and run is not None and run.definition_hash == target.hash else definition


def came(definition: Definition, transition: Transition, seq: int) -> dict[str, Any]:
    """What came of an input: everything that would be written, and the commands that go out after it."""
    run = transition.run
    sent = commands(definition, run, seq - 1, RESULTS, 0, nonce) if run else ()
    return {
        "outcome": transition.outcome.value,
        "run": run and plain(run),
        "event": transition.event and plain(transition.event),
        "emits": [plain(emit) for emit in transition.emits],
        "commands": [plain(command) for command in sent],
    }


def plain(record: Record) -> dict[str, Any]:
    """A record as JSON has it, without what goes without saying."""
    return record.model_dump(mode="json", exclude_defaults=True)


def write(history: History) -> str:
    """The document of a history."""
    document = {
        "about": history.about,
        **_told(history.definition),
        "run_retention_ms": history.definition.run_retention_ms,
        "moments": [
            {"now": each.now, "seq": each.seq, "input": _write(each.event), "outcome": each.outcome}
            for each in history.moments
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def read(data: bytes, name: str, limits: Limits = DEFAULT_LIMITS) -> History:
    """The history in a document, to be folded within these limits.

    Raises Refused, with the ``name`` of the document, when it holds none.
    """
    try:
        document = json.loads(data)
        more = {"limits": limits, "run_retention_ms": document["run_retention_ms"]}
        return History(
            about=document["about"],
            definition=_definition(document, **more),
            moments=tuple(_moment(each, more) for each in document["moments"]),
        )
    except (ValueError, LookupError, TypeError, IdentifierRefused) as error:
        raise Refused(
            f"{name} holds no history: {type(error).__name__}: {error}; `actionbus runs history ID --export FILE` "
            "records one"
        ) from error


def _write(event: Input | Due) -> dict[str, Any]:  # noqa: PLR0911 - a table of cases
    match event:
        case StartRequested(request=request, incarnation=incarnation, trace=trace, target=target):
            return {"start": plain(request), "incarnation": incarnation, "trace": trace} | _told(target)
        case RequestMade(request=request, target=target):
            return {"request": plain(request)} | _told(target)
        case ResultReceived(result=result):
            return {"result": plain(result)}
        case TimerFired(timer_id=timer_id):
            return {"timer": timer_id}
        case Due(kind=kind, step=step):
            return {"due": kind.value, "step": step}
        case ChildReported(parent=parent, report=report):
            return {"child": plain(report), "parent": plain(parent)}
        case Admitted(path=path):
            return {"admitted": path}
        case _:
            assert_never(event)


def _told(definition: Definition | None) -> dict[str, Any]:
    if definition is None:
        return {}
    return {"graph": json.loads(definition.graph.canonical()), "hash": definition.hash}


def _definition(given: Mapping[str, Any], **more: Any) -> Definition:
    if given["graph"]["name"] == schedules.WORKFLOW:
        return ScheduleDefinition(**more)
    graph = read_graph(json.dumps(given["graph"]).encode())
    return Definition(graph, content_hash=given["hash"], **more)


def _target(given: Mapping[str, Any], more: dict[str, Any]) -> Definition | None:
    return _definition(given, **more) if "graph" in given else None


def _moment(given: Mapping[str, Any], more: dict[str, Any]) -> Moment:
    event = _read(given["input"], more)
    return Moment(now=given["now"], seq=given["seq"], event=event, outcome=dict(given["outcome"]))


def _read(given: Mapping[str, Any], more: dict[str, Any]) -> Input | Due:  # noqa: PLR0911 - a table of cases
    match given:
        case {"start": start, "incarnation": incarnation, "trace": trace}:
            request = WorkflowRequest.model_validate(start)
            return StartRequested(request=request, incarnation=incarnation, trace=trace, target=_target(given, more))
        case {"request": request}:
            return RequestMade(request=WorkflowRequest.model_validate(request), target=_target(given, more))
        case {"result": result}:
            command = identifiers.parse_command_id(result["command_id"])
            return ResultReceived(result=ActionResult.model_validate(result), command=command)
        case {"timer": timer_id}:
            return TimerFired(timer_id=timer_id)
        case {"due": kind, "step": step}:
            return Due(kind=TimerKind(kind), step=step)
        case {"child": report, "parent": parent}:
            return ChildReported(parent=Parent.model_validate(parent), report=ChildReport.model_validate(report))
        case {"admitted": path}:
            return Admitted(path=path)
        case _:
            raise ValueError(f"nobody knows an input with {', '.join(given)}")
