"""`actionbus runs list` and `actionbus tasks`: runs and their tasks.

Over Kafka live ones are found by reading the state topic whole, which is fit for a person who looks now and then. A
gateway asks its database, and finds those that have ended as well.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from actionbus.cli import arguments, output, session, showing, terminal
from actionbus.cli.completion import workflow_names
from actionbus.cli.output import Output, Row
from actionbus.client import HttpClient, census, unfolding
from actionbus.contracts import identifiers
from actionbus.contracts.definitions import Graph, read_graph
from actionbus.contracts.errors import Refused
from actionbus.contracts.nodes import PersonNode, Waiting
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.engine.paths import static
from actionbus.engine.shapes import person
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy

tasks = typer.Typer(help="What people are asked for.", no_args_is_help=True, rich_markup_mode=None)
OfWorkflow = Annotated[str | None, typer.Option(help="Only runs of this workflow.", autocompletion=workflow_names)]
_RUNS: Final = {"run_id": "run"} | {each: each for each in ("workflow", "version", "status", "since", "stuck")}
_TASKS: Final = {"run_id": "run", "path": "path", "title": "title", "assignee": "assignee", "since": "since"}
_MOST: Final = 1_000  # rows, when a gateway that knows ended runs as well is asked for more than a person reads


async def live(settings: Settings, workflow: str | None) -> AsyncIterator[WorkflowRun]:
    """The runs that have not ended, of one workflow or of all, from the topics."""
    wanted = None if workflow is None else {workflow}
    topics, codec = Topics(settings.prefix), session.codec(settings)
    async for run in census.live(session.connection(settings), topics, codec, wanted):
        yield run


async def stuck(settings: Settings, workflow: str | None) -> AsyncIterator[WorkflowRun]:
    """At least the runs that wait for an operator."""
    gateway = session.gateway(settings)
    if gateway is None:
        async for run in live(settings, workflow):
            yield run
        return
    async with gateway as client:
        async for row in client.incidents(workflow):
            yield await client.handle(row["run_id"]).state()


async def graph_of(settings: Settings, run: WorkflowRun) -> Graph | None:
    """The workflow that a run is pinned to; None when it is not known."""
    gateway = session.gateway(settings)
    if gateway is not None:
        async with gateway as client:
            return await client.graph(run.workflow, run.definition_version)
    known = await deploy.deployed(session.connection(settings), Topics(settings.prefix), session.codec(settings))
    found = known.get(identifiers.definition_key(run.workflow, run.definition_version))
    return None if found is None else read_graph(found.graph)


def list_runs(
    *,
    workflow: OfWorkflow = None,
    status: Annotated[
        list[RunStatus] | None, typer.Option(help="Only runs that stand so; may be given several times.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only runs started after it, as 2026-12-24T18:00:00+01:00.")] = None,
    until: Annotated[str | None, typer.Option(help="Only runs started before it.")] = None,
    error: Annotated[str | None, typer.Option(help="Only runs with this text in their error; needs --url.")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option(metavar="NAME:VALUE", help="Only runs with this attribute; needs --url.")
    ] = None,
    output_format: Output = None,
) -> None:
    """List runs: over Kafka those that have not ended, through a gateway all that fit."""
    wanted: dict[str, Any] = {
        "status": [each.value for each in status or ()],
        "started_after": None if since is None else arguments.moment(since),
        "started_before": None if until is None else arguments.moment(until),
        "error": error,
        "attribute": attribute or [],
    }
    rows = found(session.settings(), workflow=workflow, **wanted)
    output.rows(rows, _RUNS, output_format, empty="no run fits", drawn=terminal.RUNS)


def found(settings: Settings, **wanted: Any) -> list[Row]:
    """Runs for which all of it holds."""
    gateway = session.gateway(settings)
    if gateway is not None:
        if not any(wanted.get(name) for name in ("status", "error", "started_after", "started_before", "attribute")):
            wanted["live"] = True  # the same question has the same answer over Kafka
        return session.run(lambda: _asked_for(gateway, wanted))
    if wanted.get("error") or wanted.get("attribute"):
        raise Refused("only a gateway knows errors and attributes of runs: name one with --url, or ACTIONBUS_URL")

    async def work() -> list[Row]:
        return [_row(run) async for run in live(settings, wanted.get("workflow")) if _fits(run, wanted)]

    return sorted(session.run(work), key=lambda row: (row["since"] or "", row["run_id"]))


@tasks.command("list")
def list_tasks(
    *,
    assignee: Annotated[str | None, typer.Option(help="Only what this person is asked for.")] = None,
    workflow: OfWorkflow = None,
    output_format: Output = None,
) -> None:
    """List what people are asked for; `runs fill` and `runs assign` deal with it."""
    settings = session.settings()
    gateway = session.gateway(settings)

    async def work() -> list[Row]:
        if gateway is not None:
            async with gateway as client:
                return [_task(row) async for row in client.tasks(workflow, assignee)]
        topics, codec = Topics(settings.prefix), session.codec(settings)
        known = await deploy.deployed(session.connection(settings), topics, codec)
        waits = {key: showing.waits_of(read_graph(each.graph)) for key, each in known.items()}
        return [row async for run in live(settings, workflow) for row in _asked(run, waits)]

    rows = [row for row in session.run(work) if assignee in (None, row["assignee"])]
    output.rows(sorted(rows, key=lambda row: row["since"] or ""), _TASKS, output_format, empty="nobody is asked")


async def _asked_for(gateway: HttpClient, wanted: dict[str, Any]) -> list[Row]:
    rows: list[Row] = []
    async with gateway as client:
        async for each in client.list(**wanted):
            if len(rows) == _MOST:
                output.note(f"these are the newest {_MOST}; say more about those you want")
                break
            rows.append(_seen(each))
    return rows[::-1]


def _fits(run: WorkflowRun, wanted: Mapping[str, Any]) -> bool:
    after, before = wanted.get("started_after"), wanted.get("started_before")
    return (
        (not wanted.get("status") or run.status.value in wanted["status"])
        and (after is None or run.created_at >= after.timestamp() * 1000)
        and (before is None or run.created_at < before.timestamp() * 1000)
    )


def _asked(run: WorkflowRun, waits: Mapping[str, Mapping[str, Waiting]]) -> Iterator[Row]:
    known = waits.get(identifiers.definition_key(run.workflow, run.definition_version), {})
    for scope in run.scopes:
        if isinstance(known.get(static(scope.path)), PersonNode):
            task = person.task(scope)
            yield {
                "run_id": run.run_id,
                "path": scope.path,
                "title": task["title"],
                "assignee": task["assignee"],
                "since": output.when(task["opened_at"]),
            }


def _task(found: Mapping[str, Any]) -> Row:
    named = {name: found[name] for name in ("run_id", "path", "title", "assignee")}
    return {**named, "since": output.when(unfolding.milliseconds(found["opened_at"]))}


def _row(run: WorkflowRun) -> Row:
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "version": run.definition_version,
        "status": run.status.value,
        "since": output.when(run.created_at),
        "stuck": run.incident and run.incident.reason,
    }


def _seen(found: Mapping[str, Any]) -> Row:
    incident, error = found["incident"], found["error"]
    return {
        "run_id": found["run_id"],
        "workflow": found["workflow"],
        "version": found["definition_version"],
        "status": found["status"],
        "since": output.when(unfolding.milliseconds(found["created_at"])),
        "stuck": incident and incident["reason"],
        "error": error and f"{error['type']}: {error['message']}",
    }
