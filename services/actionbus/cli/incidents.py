"""`actionbus incidents`: steps that wait for an operator, all or those of a filter, and what becomes of them."""

import uuid
from collections.abc import Awaitable
from typing import Annotated, Final, Literal, assert_never

import typer

from actionbus.cli import arguments, output, session
from actionbus.cli.arguments import By, Reason
from actionbus.cli.exits import CommandExit
from actionbus.cli.looking import OfWorkflow, stuck
from actionbus.cli.output import Output, Row
from actionbus.client import StartedRun
from actionbus.client.interface import Asked
from actionbus.contracts.errors import Conflict
from actionbus.contracts.payloads import Json
from actionbus.contracts.run import StepState, WorkflowRun
from actionbus.engine.paths import static
from actionbus.process.settings import Settings

app = typer.Typer(help="Steps that wait for an operator.", no_args_is_help=True, rich_markup_mode=None)
AtStep = Annotated[str | None, typer.Option(help="Only at this step, by its path; [] stands for any item of a list.")]
Saying = Annotated[str | None, typer.Option(help="Only those whose reason holds this text.")]
Verb = Literal["retry", "skip", "complete", "cancel", "terminate"]
_COLUMNS: Final = {"run_id": "run", "workflow": "workflow", "step": "step", "attempt": "attempt", "reason": "reason"}
_DONE: Final = {"verdict": "verdict", **_COLUMNS}


@app.command("list")
def list_incidents(
    *, workflow: OfWorkflow = None, step: AtStep = None, saying: Saying = None, output_format: Output = None
) -> None:
    """List the steps that wait for an operator."""
    settings = session.settings()

    async def work() -> list[Row]:
        return [_row(run, at) for run, at in await _stuck(settings, workflow, step, saying)]

    output.rows(session.run(work), _COLUMNS, output_format, empty="no step waits for an operator")


@app.command()
def resolve(
    verb: Annotated[Verb, typer.Argument(help="What is asked of each.")],
    given: Annotated[
        str | None, typer.Argument(metavar="[OUTPUT]", help=f"skip, complete: the output {arguments.JSON_HELP}")
    ] = None,
    *,
    workflow: OfWorkflow = None,
    step: AtStep = None,
    saying: Saying = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say of which steps it would be asked.")] = False,
    reason: Reason = "",
    by: By = None,
    output_format: Output = None,
) -> None:
    """Ask the same of every step that waits for an operator and fits the filter; ends with 4 when one refuses."""
    settings = session.settings()
    value = arguments.value(given, "output")
    who = arguments.user(by)

    async def work() -> list[Row]:
        rows: list[Row] = []
        ended: set[str] = set()
        async with session.client(settings) as client:
            for run, at in await _stuck(settings, workflow, step, saying):
                if dry_run or run.run_id in ended:
                    rows.append({"verdict": "possible" if dry_run else "done", **_row(run, at)})
                    continue
                if verb in ("cancel", "terminate"):
                    ended.add(run.run_id)  # once is enough for a run with two such steps
                request = Asked(requested_by=who, request_id=uuid.uuid4().hex)
                rows.append(await _resolve(client.handle(run.run_id), run, at, verb, value, reason, request))
                output.note(f"{len(rows)}: {run.run_id} {at.path} {rows[-1]['verdict']}")
        return rows

    found = session.run(work)
    output.rows(found, _DONE, output_format, empty="no step waits for an operator")
    if any(row["verdict"] == "refused" for row in found):
        raise typer.Exit(CommandExit.CONFLICT)


async def _resolve(  # noqa: PLR0917 - what is asked of one step
    handle: StartedRun, run: WorkflowRun, stuck: StepState, verb: Verb, value: Json, reason: str, asked: Asked
) -> Row:
    try:
        await _ask(handle, stuck.path, verb, value, reason, asked)
    except Conflict as conflict:
        return {"verdict": "refused", **_row(run, stuck), "reason": str(conflict)}
    return {"verdict": "done", **_row(run, stuck)}


def _ask(handle: StartedRun, path: str, verb: Verb, value: Json, reason: str, asked: Asked) -> Awaitable[None]:  # noqa: PLR0917 - the same
    match verb:
        case "retry":
            return handle.retry_step(path, reason, **asked)
        case "skip":
            return handle.skip_step(path, value, reason, **asked)
        case "complete":
            return handle.complete_step(path, value, reason, **asked)
        case "cancel":
            return handle.cancel(reason, **asked)
        case "terminate":
            return handle.terminate(reason, **asked)
        case _:
            assert_never(verb)


async def _stuck(
    settings: Settings, workflow: str | None, step: str | None, saying: str | None
) -> list[tuple[WorkflowRun, StepState]]:
    """What waits for an operator and fits the filter, in the order of the runs' ids."""
    found = [
        (run, each)
        async for run in stuck(settings, workflow)
        for each in run.steps
        if each.stuck is not None
        and (step is None or step in (each.path, static(each.path)))
        and (saying is None or saying in each.stuck)
    ]
    return sorted(found, key=lambda pair: (pair[0].run_id, pair[1].path))


def _row(run: WorkflowRun, stuck: StepState) -> Row:
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "step": stuck.path,
        "attempt": stuck.attempt,
        "reason": stuck.stuck or "",
    }
