"""The recorded histories as records of the events topic: every kind of thing that happens to runs."""

import json
from functools import cache
from pathlib import Path

from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.run import WorkflowRun
from actionbus.kafka.codec import Codec
from actionbus.visibility.incoming import Incoming, Stretch

FOLDER = Path(__file__).parents[1] / "histories"
NAMES = sorted(each.stem for each in FOLDER.glob("*.json"))
_CODEC = Codec()


@cache
def moments(name: str) -> tuple[tuple[WorkflowEvent, WorkflowRun | None], ...]:
    """The events of a history, each with the run as it stands after it. The runs have ids of their own."""
    found = []
    for moment in json.loads((FOLDER / f"{name}.json").read_text())["moments"]:
        outcome = moment["outcome"]
        if outcome.get("event") is None:
            continue
        run = None if outcome.get("run") is None else WorkflowRun.model_validate(outcome["run"])
        event = WorkflowEvent.model_validate(outcome["event"])
        found.append((event.replace(run_id=f"{name}.{event.run_id}"), run))
    return tuple(found)


def incoming(offset: int, event: WorkflowEvent) -> Incoming:
    """An event as a record."""
    return Incoming(offset=offset, at=event.at, record=_CODEC.encode(event), event=event)


def everything() -> list[Incoming]:
    """All events of all histories, those of different runs between each other, with gaps as transactions leave them."""
    waiting = [iter([event for event, _ in moments(name)]) for name in NAMES]
    found: list[WorkflowEvent] = []
    while waiting:
        for each in list(waiting):
            event = next(each, None)
            if event is None:
                waiting.remove(each)
            else:
                found.append(event)
    return [incoming(number + number // 3, event) for number, event in enumerate(found)]


def stretch(records: list[Incoming], partition: int = 0) -> Stretch:
    """Records as a stretch of a partition."""
    return Stretch(partition=partition, records=records, position=records[-1].offset + 1)
