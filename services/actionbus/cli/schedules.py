"""`actionbus schedules`: workflows that start by the clock. A schedule is a run: `actionbus runs` knows it as well."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import typer

from actionbus.cli import arguments, looking, output, session
from actionbus.cli.arguments import By, Reason, RequestId
from actionbus.cli.output import Output, Row
from actionbus.client import ScheduleHandle, scheduling
from actionbus.client.interface import Asked
from actionbus.client.scheduling import ScheduleState
from actionbus.contracts.schedules import WORKFLOW, Overlap, Schedule

app = typer.Typer(help="Workflows that start by the clock.", no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="ID", help="The schedule's id.")]
Workflow = Annotated[str, typer.Argument(help="The workflow that is started: its name, or name@version.")]
Input = Annotated[str | None, typer.Argument(metavar="[INPUT]", help=f"The input of its runs {arguments.JSON_HELP}")]
Cron = Annotated[
    str | None, typer.Option(help="Minute hour day month weekday, or with the second before them: '0 7 * * MON'.")
]
Every = Annotated[str | None, typer.Option(help="An interval in place of --cron, as 90s or 6h.")]
Zone = Annotated[str, typer.Option("--tz", help="The time zone of --cron, as Europe/Berlin.")]
StartAt = Annotated[str | None, typer.Option(help="No firing before it, as in 2026-12-24T18:00:00+01:00.")]
EndAt = Annotated[str | None, typer.Option(help="No firing after it; then the schedule ends.")]
WhileLive = Annotated[Overlap, typer.Option("--overlap", help="What happens to a firing while an earlier run is live.")]
CatchUp = Annotated[str, typer.Option(help="How late a firing may be, after a pause for example.")]
Jitter = Annotated[str, typer.Option(help="Runs begin up to so much later, each by another amount.")]
TimeAs = Annotated[str | None, typer.Option(help="The key of the input under which a run finds its time.")]


@app.command()
def create(
    schedule_id: Id,
    workflow: Workflow,
    input_text: Input = None,
    *,
    cron: Cron = None,
    every: Every = None,
    zone: Zone = "UTC",
    start_at: StartAt = None,
    end_at: EndAt = None,
    overlap: WhileLive = Overlap.SKIP,
    catch_up: CatchUp = "1h",
    jitter: Jitter = "0s",
    time_as: TimeAs = None,
    if_exists: Annotated[
        Literal["reject", "return", "replace"],
        typer.Option(help="What happens where a run has this id; only one that has ended is replaced."),
    ] = "reject",
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Start a workflow by the clock from now on."""
    settings = session.settings()
    made = _schedule(
        workflow, input_text, cron, every, zone, start_at, end_at, overlap, catch_up, jitter, time_as
    )  # fmt: skip
    asked = Asked(requested_by=arguments.user(by), request_id=request_id)

    async def work() -> ScheduleState:
        async with session.client(settings) as client:
            handle = await client.create_schedule(schedule_id, made, if_exists=if_exists, reason=reason, **asked)
            return await handle.state()

    output.facts(_shown(session.run(work)), output_format)


@app.command()
def update(
    schedule_id: Id,
    workflow: Workflow,
    input_text: Input = None,
    *,
    cron: Cron = None,
    every: Every = None,
    zone: Zone = "UTC",
    start_at: StartAt = None,
    end_at: EndAt = None,
    overlap: WhileLive = Overlap.SKIP,
    catch_up: CatchUp = "1h",
    jitter: Jitter = "0s",
    time_as: TimeAs = None,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Let a schedule become another one from now on; what is not given is as in a new one."""
    made = _schedule(
        workflow, input_text, cron, every, zone, start_at, end_at, overlap, catch_up, jitter, time_as
    )  # fmt: skip
    _ask(schedule_id, lambda it, asked: it.update(made, reason, **asked), by, request_id, output_format)


@app.command("list")
def list_schedules(output_format: Output = None) -> None:
    """List the schedules that have not ended; `schedules show` tells when one fires next."""
    rows = looking.found(session.settings(), workflow=WORKFLOW)
    shown = [{"schedule_id": each["run_id"], "status": each["status"], "since": each["since"]} for each in rows]
    columns = {"schedule_id": "schedule", "status": "status", "since": "since"}
    output.rows(shown, columns, output_format, empty="there is no schedule")


@app.command()
def show(schedule_id: Id, output_format: Output = None) -> None:
    """Show when a schedule fires next, what it started last, and what it did not start."""
    settings = session.settings()

    async def work() -> ScheduleState:
        async with session.client(settings) as client:
            return await client.schedule(schedule_id).state()

    output.facts(_shown(session.run(work)), output_format)


@app.command()
def pause(
    schedule_id: Id, *, reason: Reason = "", by: By = None, request_id: RequestId = None, output_format: Output = None
) -> None:
    """Start nothing until the schedule is resumed."""
    _ask(schedule_id, lambda it, asked: it.pause(reason, **asked), by, request_id, output_format)


@app.command()
def resume(
    schedule_id: Id, *, reason: Reason = "", by: By = None, request_id: RequestId = None, output_format: Output = None
) -> None:
    """Go on after a pause; what it held back starts if it is not too late."""
    _ask(schedule_id, lambda it, asked: it.resume(reason, **asked), by, request_id, output_format)


@app.command()
def trigger(
    schedule_id: Id,
    *,
    overlap: Annotated[
        Overlap | None,
        typer.Option(help="What happens while an earlier run is live; else as the schedule says."),
    ] = None,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Start a run now, beside the times of the schedule."""
    _ask(schedule_id, lambda it, asked: it.trigger(overlap, reason, **asked), by, request_id, output_format)


@app.command()
def backfill(
    schedule_id: Id,
    since: Annotated[str, typer.Argument(metavar="FROM", help="The first moment, as 2026-12-24T18:00:00+01:00.")],
    until: Annotated[str, typer.Argument(metavar="TO", help="The last moment, or now.")],
    *,
    together: Annotated[bool, typer.Option("--together", help="All at once; else one after the other.")] = False,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Start a run for every time of the schedule in a span that is past; those that are there are not doubled."""
    first, last = arguments.moment(since), arguments.moment(until)

    def ask(it: ScheduleHandle, asked: Asked) -> Awaitable[None]:
        return it.backfill(first, last, together=together, reason=reason, **asked)

    _ask(schedule_id, ask, by, request_id, output_format)


@app.command()
def delete(
    schedule_id: Id, *, reason: Reason = "", by: By = None, request_id: RequestId = None, output_format: Output = None
) -> None:
    """End a schedule; a live run of it goes on."""
    _ask(schedule_id, lambda it, asked: it.delete(reason, **asked), by, request_id, output_format)


def _schedule(  # noqa: PLR0917 - what both commands hand on
    workflow: str,
    input_text: str | None,
    cron: str | None,
    every: str | None,
    zone: str,
    start_at: str | None,
    end_at: str | None,
    overlap: Overlap,
    catch_up: str,
    jitter: str,
    time_as: str | None,
) -> Schedule:
    return scheduling.schedule(
        workflow,
        arguments.value(input_text, "input"),
        cron=cron,
        every=every,
        time_zone=zone,
        start_at=None if start_at is None else arguments.moment(start_at),
        end_at=None if end_at is None else arguments.moment(end_at),
        overlap=overlap,
        catch_up=catch_up,
        jitter=jitter,
        time_as=time_as,
    )


def _ask(
    schedule_id: str,
    ask: Callable[[ScheduleHandle, Asked], Awaitable[None]],
    by: str | None,
    request_id: str | None,
    output_format: output.Format | None,
) -> None:
    """Ask something of a schedule, and show how it stands then."""
    settings = session.settings()
    asked = Asked(requested_by=arguments.user(by), request_id=request_id)

    async def work() -> ScheduleState:
        async with session.client(settings) as client:
            handle = client.schedule(schedule_id)
            await ask(handle, asked)
            return await handle.state()

    output.facts(_shown(session.run(work)), output_format)


def _shown(state: ScheduleState) -> Row:
    schedule, standing = state.schedule, state.standing
    shown: dict[str, Any] = {"schedule_id": state.schedule_id, "status": state.status.value}
    if schedule is not None:
        shown |= schedule.model_dump(mode="json") | {"time_zone": schedule.time_zone, "overlap": schedule.overlap.value}
        shown |= {"start_at": output.when(schedule.start_at), "end_at": output.when(schedule.end_at)}
    shown["next"] = [output.when(moment) for moment in state.upcoming()]
    if standing is not None:
        shown |= {
            "live": standing.live,
            "waiting": standing.waiting and standing.waiting.run_id,
            "backfill_from": standing.backfill and output.when(standing.backfill.since),
            "started": standing.started,
            "refused": standing.refused,
            "skipped": standing.skipped,
            "missed": standing.missed,
            "last": [
                {"run_id": fired.run_id, "at": output.when(fired.at), "status": fired.status, "reason": fired.reason}
                for fired in reversed(standing.recent)
            ],
        }
    return shown
