"""`actionbus runs list` and `actionbus tasks`: live runs and their tasks, found by reading the state topic whole.

That is fit for a person who looks now and then. Whoever looks often needs a view of the runs in a database.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Annotated, Final

import typer

from actionbus.cli import output, session, showing
from actionbus.cli.output import Output, Row
from actionbus.client import census
from actionbus.contracts import identifiers
from actionbus.contracts.nodes import PersonNode, Waiting
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.engine.paths import static
from actionbus.engine.shapes import person
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy

tasks = typer.Typer(help="What people are asked for.", no_args_is_help=True, rich_markup_mode=None)
OfWorkflow = Annotated[str | None, typer.Option(help="Only runs of this workflow.")]
_RUNS: Final = {"run_id": "run"} | {each: each for each in ("workflow", "version", "status", "since", "stuck")}
_TASKS: Final = {"run_id": "run", "path": "path", "title": "title", "assignee": "assignee", "since": "since"}


async def live(settings: Settings, workflow: str | None) -> AsyncIterator[WorkflowRun]:
    """The runs that have not ended, of one workflow or of all."""
    wanted = None if workflow is None else {workflow}
    topics, codec = Topics(settings.prefix), session.codec(settings)
    async for run in census.live(session.connection(settings), topics, codec, wanted):
        yield run


def list_runs(*, workflow: OfWorkflow = None, output_format: Output = None) -> None:
    """List the runs that have not ended."""
    settings = session.settings()

    async def work() -> list[Row]:
        return [_row(run) async for run in live(settings, workflow)]

    found = sorted(session.run(work), key=lambda row: (row["since"] or "", row["run_id"]))
    output.rows(found, _RUNS, output_format, empty="no run lives")


@tasks.command("list")
def list_tasks(
    *,
    assignee: Annotated[str | None, typer.Option(help="Only what this person is asked for.")] = None,
    workflow: OfWorkflow = None,
    output_format: Output = None,
) -> None:
    """List what people are asked for; `runs fill` and `runs assign` deal with it."""
    settings = session.settings()

    async def work() -> list[Row]:
        topics, codec = Topics(settings.prefix), session.codec(settings)
        known = await deploy.deployed(session.connection(settings), topics, codec)
        waits = {key: showing.waits_of(each) for key, each in known.items()}
        return [row async for run in live(settings, workflow) for row in _asked(run, waits)]

    found = [row for row in session.run(work) if assignee in (None, row["assignee"])]
    output.rows(sorted(found, key=lambda row: row["since"] or ""), _TASKS, output_format, empty="nobody is asked")


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


def _row(run: WorkflowRun) -> Row:
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "version": run.definition_version,
        "status": run.status.value,
        "since": output.when(run.created_at),
        "stuck": run.incident and run.incident.reason,
    }
