"""A recorded history: a graph, every input with its time and transaction, and what the engine made of each."""

import json
from pathlib import Path
from typing import Any

from actionbus.contracts import identifiers
from actionbus.contracts.definitions import read_graph
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import ActionResult
from actionbus.engine.definition import Definition
from actionbus.engine.dispatch import commands
from actionbus.engine.inputs import Input, RequestMade, ResultReceived, StartRequested, TimerFired
from actionbus.engine.transition import Transition
from engine.play import RESULTS, Play, nonce

FOLDER = Path(__file__).parent


def recorded() -> list[Path]:
    """Every recorded history."""
    return sorted(FOLDER.glob("*.json"))


def record(play: Play, about: str) -> str:
    """A play as the text of a history."""
    definition = play.definition
    history = {
        "about": about,
        "graph": json.loads(definition.graph.canonical()),
        "hash": definition.hash,
        "run_retention_ms": definition.run_retention_ms,
        "moments": [
            {"now": now, "seq": seq, "input": _write(event), "outcome": came(definition, transition, seq)}
            for (event, now, seq), transition in zip(play.inputs, play.transitions, strict=True)
        ],
    }
    return json.dumps(history, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def definition_of(history: dict[str, Any]) -> Definition:
    """The definition that a history was recorded with."""
    graph = read_graph(json.dumps(history["graph"]).encode())
    return Definition(graph, run_retention_ms=history["run_retention_ms"], content_hash=history["hash"])


def input_of(moment: dict[str, Any]) -> Input:
    """The input of a moment."""
    match moment["input"]:
        case {"start": request, "incarnation": incarnation, "trace": trace}:
            return StartRequested(request=WorkflowRequest.model_validate(request), incarnation=incarnation, trace=trace)
        case {"request": request}:
            return RequestMade(request=WorkflowRequest.model_validate(request))
        case {"result": result}:
            command = identifiers.parse_command_id(result["command_id"])
            return ResultReceived(result=ActionResult.model_validate(result), command=command)
        case {"timer": timer_id}:
            return TimerFired(timer_id=timer_id)
        case other:
            raise AssertionError(f"a history with an input that nobody knows: {other}")


def came(definition: Definition, transition: Transition, seq: int) -> dict[str, Any]:
    """What came of an input: everything that would be written, and the commands that go out after it."""
    run = transition.run
    sent = commands(definition, run, seq - 1, RESULTS, 0, nonce) if run else ()
    return {
        "outcome": transition.outcome.value,
        "run": run and _dump(run),
        "event": transition.event and _dump(transition.event),
        "emits": [_dump(emit) for emit in transition.emits],
        "commands": [_dump(command) for command in sent],
    }


def _write(event: Input) -> dict[str, Any]:
    match event:
        case StartRequested(request=request, incarnation=incarnation, trace=trace):
            return {"start": _dump(request), "incarnation": incarnation, "trace": trace}
        case RequestMade(request=request):
            return {"request": _dump(request)}
        case ResultReceived(result=result):
            return {"result": _dump(result)}
        case TimerFired(timer_id=timer_id):
            return {"timer": timer_id}


def _dump(record: Any) -> dict[str, Any]:
    return record.model_dump(mode="json", exclude_defaults=True)
