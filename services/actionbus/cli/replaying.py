"""`actionbus replay`: recorded histories folded again, by the engine that is installed here. It needs no broker."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from actionbus.cli import output, session, targets
from actionbus.cli.output import Output, Row
from actionbus.contracts import identifiers
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import Conflict, DefinitionRefused, Refused
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.limits import Limits
from actionbus.contracts.topics import Topics
from actionbus.engine import history, rebuild, replay
from actionbus.engine.definition import Definition
from actionbus.engine.history import History
from actionbus.process.settings import Settings
from actionbus.process.shutdown import ExitCode
from actionbus.provisioner import deploy

HOUR_MS = 3_600_000
_COLUMNS = {
    "history": "history",
    "moment": "moment",
    "at": "at",
    "what": "what",
    "recorded": "recorded",
    "comes": "comes now",
}


def replay_histories(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Histories: `actionbus runs history ID --export FILE`.")
    ],
    *,
    definition: Annotated[
        str | None,
        typer.Option(
            help="Fold them under this workflow instead: a document, order.yaml, or a module, path/to/app.py."
        ),
    ] = None,
    output_format: Output = None,
) -> None:
    """Fold recorded histories again and show every difference to what was recorded. Ends with 1 if there is one."""
    settings = session.settings()
    graphs = [] if definition is None else targets.graphs([definition], settings.limits)
    others = [_compiled(graph, settings) for graph in graphs]
    rows: list[Row] = []
    moments = 0
    for file in files:
        recorded = _read(file, settings.limits)
        moments += len(recorded.moments)
        other = None if definition is None else _of(recorded, others, definition)
        rows += [_row(file, each) for each in replay.replay(recorded, other)]
    output.rows(rows, _COLUMNS, output_format, empty="no differences")
    differ = len({row["history"] for row in rows})
    found = f"{differ} came out otherwise, differences: {len(rows)}" if rows else "as recorded"
    output.note(f"histories: {len(files)}, inputs: {moments}, {found}")
    if rows:
        raise typer.Exit(ExitCode.ERROR)


async def recorded(settings: Settings, events: Sequence[WorkflowEvent]) -> str:
    """The history of a run as a document; raises Conflict without its definition, Refused when events are gone."""
    first = next((event for event in events if event.version), None)
    if first is None:
        raise Refused(f"run {events[0].run_id} never began: there are only verdicts on requests, and no history")
    key = identifiers.definition_key(first.workflow, first.definition_version)
    known = await deploy.deployed(session.connection(settings), Topics(settings.prefix), session.codec(settings))
    if key not in known:
        raise Conflict(f"run {first.run_id} began on {key}, which is not deployed")
    versions = {
        each.version: Definition.deployed(each, limits=settings.limits, run_retention_ms=_retention_ms(settings))
        for each in known.values()
        if each.name == first.workflow
    }
    about = f"run {first.run_id} of {key}"
    told = rebuild.rebuild(versions[first.definition_version], events, about, versions)
    if differ := len(list(replay.replay(told))):
        output.note(f"this version of actionbus already makes something else of it, differences: {differ}")
    return history.write(told)


def _read(file: Path, limits: Limits) -> History:
    try:
        return history.read(file.read_bytes(), str(file), limits)
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from error


def _of(recorded: History, others: Sequence[Definition], target: str) -> Definition:
    name = recorded.definition.name
    found = [each for each in others if each.name == name]
    if len(found) != 1:
        versions = f"the versions {', '.join(each.version for each in found)}" if found else "no workflow"
        raise DefinitionRefused(f"{target} holds {versions} of the name {name}: name a target that holds one")
    return found[0]


def _compiled(graph: Graph, settings: Settings) -> Definition:
    return Definition(graph, limits=settings.limits, run_retention_ms=_retention_ms(settings))


def _retention_ms(settings: Settings) -> int:
    return round(settings.orchestrator.run_retention_hours * HOUR_MS)


def _row(file: Path, each: replay.Difference) -> Row:
    return {
        "history": str(file),
        "moment": each.moment,
        "at": output.when(each.now),
        "what": each.what,
        "recorded": each.recorded,
        "comes": each.comes,
    }
