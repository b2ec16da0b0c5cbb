"""`actionbus runs`, the part that steps in: signals, and what operators ask of runs. Each returns the verdict."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from actionbus.cli import arguments, output, session
from actionbus.cli.arguments import By, Reason, RequestId, RunId, Step
from actionbus.cli.output import Output
from actionbus.client import StartedRun
from actionbus.client.interface import Asked

Path = Annotated[
    str, typer.Argument(help="The step or node: its path, as `runs show` gives it, or its id if that is enough.")
]
Given = Annotated[str | None, typer.Argument(metavar="[OUTPUT]", help=f"The step's output {arguments.JSON_HELP}")]


def signal(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    payload: Annotated[
        str | None, typer.Argument(metavar="[PAYLOAD]", help=f"What it says {arguments.JSON_HELP}")
    ] = None,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Hand a run a named value; it is kept until something waits for it."""
    value = arguments.value(payload, "payload")
    _ask(
        run_id, "signalled", lambda run, asked: run.signal(name, value, reason, **asked), by, request_id, output_format
    )


def cancel(
    run_id: RunId,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Stop a run and undo what it did; returns when the cancelling was accepted."""
    _ask(run_id, "cancelled", lambda run, asked: run.cancel(reason, **asked), by, request_id, output_format)


def terminate(
    run_id: RunId,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """End a run at once and undo nothing, not even what is being undone."""
    _ask(run_id, "terminated", lambda run, asked: run.terminate(reason, **asked), by, request_id, output_format)


def restart(
    run_id: RunId,
    *,
    version: Annotated[str | None, typer.Option(help="The definition's version; the newest when not given.")] = None,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Run a run that has ended again from its beginning, with the input that it had."""

    def ask(run: StartedRun, asked: Asked) -> Awaitable[None]:
        return run.restart(version, reason, **asked)

    _ask(run_id, "restarted", ask, by, request_id, output_format)


def pause(
    run_id: RunId,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Schedule nothing new in a run until it is resumed; what is out goes on."""
    _ask(run_id, "paused", lambda run, asked: run.pause(reason, **asked), by, request_id, output_format)


def resume(
    run_id: RunId,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Let a paused run go on, and try every step of it again that waits for an operator."""
    _ask(run_id, "resumed", lambda run, asked: run.resume(reason, **asked), by, request_id, output_format)


def retry(
    run_id: RunId,
    step: Annotated[str | None, typer.Argument(help="The step, by its path, or by its id if that is enough.")] = None,
    *,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="STEP", help="Undo what ran from this node on, and run it from there again."),
    ] = None,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Try a step, or its undo, again at once, if it waits for that; or go back in a live run and on from there."""
    if (step is None) == (start is None):
        raise typer.BadParameter("give a STEP that waits, or --from STEP to go back to", param_hint="STEP")

    def ask(run: StartedRun, asked: Asked) -> Awaitable[None]:
        return run.retry_step(step or "", reason, **asked) if start is None else run.retry_from(start, reason, **asked)

    _ask(run_id, "retried", ask, by, request_id, output_format)


def skip(
    run_id: RunId,
    step: Step,
    given: Given = None,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Go on as if a step had given this output; a step that is being undone counts as undone."""
    value = arguments.value(given, "output")

    def ask(run: StartedRun, asked: Asked) -> Awaitable[None]:
        return run.skip_step(step, value, reason, **asked)

    _ask(run_id, "skipped", ask, by, request_id, output_format)


def complete(
    run_id: RunId,
    step: Step,
    given: Given = None,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Say that somebody did by hand what a step, or its undo, was to do."""
    value = arguments.value(given, "output")

    def ask(run: StartedRun, asked: Asked) -> Awaitable[None]:
        return run.complete_step(step, value, reason, **asked)

    _ask(run_id, "completed", ask, by, request_id, output_format)


def reschedule(
    run_id: RunId,
    path: Path,
    until: Annotated[str, typer.Argument(help="Until when: now, or a time such as 2026-12-24T18:00:00+01:00.")],
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Let what waits for a time wait for another: a sleep, the timeout of a wait, a step's next attempt."""
    at = arguments.moment(until)

    def ask(run: StartedRun, asked: Asked) -> Awaitable[None]:
        return run.change_timer(path, at, reason, **asked)

    _ask(run_id, "rescheduled", ask, by, request_id, output_format)


def assign(
    run_id: RunId,
    path: Path,
    who: Annotated[str | None, typer.Argument(help="Who is asked from now on; nobody: anybody.")] = None,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Ask somebody else for what a person is asked for."""
    _ask(
        run_id,
        "assigned",
        lambda run, asked: run.assign_task(path, who, reason, **asked),
        by,
        request_id,
        output_format,
    )


def fill(
    run_id: RunId,
    path: Path,
    form: Annotated[str | None, typer.Argument(metavar="[FORM]", help=f"The filled form {arguments.JSON_HELP}")] = None,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Hand in the form that a person is asked for."""
    value = arguments.value(form, "form")

    def ask(run: StartedRun, asked: Asked) -> Awaitable[None]:
        return run.complete_task(path, value, reason, **asked)

    _ask(run_id, "filled", ask, by, request_id, output_format)


def add_to(app: typer.Typer) -> None:
    """Make these commands part of a group."""
    for command in (signal, cancel, terminate, restart, pause, resume, retry, skip, complete, reschedule, assign, fill):
        app.command()(command)


def _ask(  # noqa: PLR0917 - what every command hands on
    run_id: str,
    done: str,
    ask: Callable[[StartedRun, Asked], Awaitable[None]],
    by: str | None,
    request_id: str | None,
    output_format: output.Format | None,
) -> None:
    settings = session.settings()
    asked = Asked(requested_by=arguments.user(by), request_id=request_id)

    async def work() -> None:
        async with session.client(settings) as client:
            await ask(client.handle(run_id), asked)

    session.run(work)
    output.facts({"run_id": run_id, done: True}, output_format)
