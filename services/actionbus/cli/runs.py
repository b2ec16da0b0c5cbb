"""`actionbus runs`: starting runs, looking at them, waiting for them, cancelling them."""

import sys
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actionbus.cli import output, session, story
from actionbus.cli.output import Format, Output, Row
from actionbus.client import Client
from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused, Refused
from actionbus.contracts.events import EventEntry, WorkflowEvent
from actionbus.contracts.run import WorkflowRun

app = typer.Typer(help="Runs of workflows.", no_args_is_help=True, rich_markup_mode=None)
RunId = Annotated[str, typer.Argument(help="The run's id.")]
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most; without it, for ever.", min=0)]
_COLUMNS: Final = {
    "at": "at",
    "version": "version",
    "kind": "what",
    "step": "step",
    "attempt": "attempt",
    "detail": "detail",
}


@app.command()
def start(
    workflow: Annotated[str, typer.Argument(help="The workflow's name, or name@version.")],
    input_text: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help="The input as JSON; - reads standard input, @FILE a file.")
    ] = None,
    *,
    run_id: Annotated[str | None, typer.Option("--id", help="The run's id; made when not given.")] = None,
    version: Annotated[str | None, typer.Option(help="The definition's version; the newest when not given.")] = None,
    request_id: Annotated[str | None, typer.Option(help="The same id asked again has one effect.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    wait: Annotated[bool, typer.Option(help="Wait until the start is accepted.")] = True,
    result: Annotated[bool, typer.Option("--result", help="Wait for the end and print the result.")] = False,
    timeout: Timeout = None,
    output_format: Output = None,
) -> None:
    """Start a run and print its id, or with --result what it gave."""
    settings = session.settings()
    value = _input(input_text)

    async def work() -> Any:
        async with session.client(settings) as client:
            handle = await client.start(
                workflow, value, run_id=run_id, version=version, request_id=request_id, reason=reason, wait=wait
            )
            if result:
                output.note(f"run {handle.run_id}")
                return await handle.result(timeout)
            return {"run_id": handle.run_id, "workflow": workflow, "accepted": wait}

    found = session.run(work)
    if result:
        _value(found)
    else:
        output.facts(found, output_format)


@app.command()
def show(run_id: RunId, output_format: Output = None) -> None:
    """Show where a run stands."""
    settings = session.settings()

    async def work() -> WorkflowRun:
        async with session.client(settings) as client:
            return await client.handle(run_id).state()

    output.facts(_state(session.run(work)), output_format)


@app.command()
def history(run_id: RunId, output_format: Output = None) -> None:
    """Show what happened to a run, oldest first."""
    settings = session.settings()
    events = session.run(lambda: _history(session.client(settings), run_id))
    output.rows([row for event in events for row in _rows(event)], _COLUMNS, output_format)


@app.command()
def watch(run_id: RunId, output_format: Output = None) -> None:
    """Show what happened to a run and what happens to it, until it has ended."""
    settings = session.settings()
    shown = output.chosen(output_format)

    async def work() -> None:
        async with session.client(settings) as client:
            handle = client.handle(run_id)
            await handle.state()
            teller = story.Teller()
            async with aclosing(handle.follow()) as events:
                async for event in events:
                    if shown is Format.TABLE:
                        output.sentences(teller.lines(event))
                    else:
                        for row in _rows(event):
                            output.line(row)

    session.run(work)


@app.command()
def result(run_id: RunId, timeout: Timeout = None) -> None:
    """Wait for the end of a run and print what it gave, as JSON."""
    settings = session.settings()

    async def work() -> Any:
        async with session.client(settings) as client:
            return await client.handle(run_id).result(timeout)

    _value(session.run(work))


@app.command()
def explain(run_id: RunId) -> None:
    """Tell in sentences what happened to a run and why: every failure with the decision that followed it."""
    settings = session.settings()
    events = session.run(lambda: _history(session.client(settings), run_id))
    output.sentences(story.tell(events))


@app.command()
def cancel(
    run_id: RunId,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    output_format: Output = None,
) -> None:
    """Stop a run and undo what it did; returns when the cancelling was accepted."""
    settings = session.settings()

    async def work() -> None:
        async with session.client(settings) as client:
            await client.handle(run_id).cancel(reason)

    session.run(work)
    output.facts({"run_id": run_id, "cancelled": True}, output_format)


async def _history(client: Client, run_id: str) -> list[WorkflowEvent]:
    async with client:
        events = await client.handle(run_id).history()
    if not events:
        raise Refused(f"nothing is known of a run {run_id}: it never was, or its events are older than the log keeps")
    return events


def _input(text: str | None) -> Any:
    if text is None:
        return None
    try:
        if text == "-":
            data = sys.stdin.buffer.read()
        elif text.startswith("@"):
            data = Path(text[1:]).read_bytes()
        else:
            data = text.encode()
    except (OSError, UnicodeEncodeError) as error:
        raise PayloadRefused(f"the input cannot be read: {error}") from error
    try:
        return payloads.decode(data)
    except PayloadRefused as error:
        raise PayloadRefused(f"{error}; give the input as JSON, a text with its quotes: '\"text\"'") from error


def _value(value: Any) -> None:
    output.sentences([payloads.encode(value).decode()])


def _state(run: WorkflowRun) -> Row:
    incident, error = run.incident, run.error
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "version": run.definition_version,
        "status": run.status.value,
        "heading_for": run.ending and run.ending.value,
        "incident": incident and incident.reason,
        "error": error and f"{error.type}: {error.message}",
        "started_at": output.when(run.created_at),
        "changed_at": output.when(run.updated_at),
        "transitions": run.version,
        "incarnation": run.incarnation,
        "input": output.opened(run.input),
        "output": output.opened(run.output),
        "steps": [
            {"step": step.path, "status": step.status.value, "action": step.action, "attempt": step.attempt}
            for step in run.steps
        ],
        "compensations": [{"step": undo.step, "action": undo.action} for undo in run.compensations],
        "timers": [
            {"kind": timer.kind.value, "step": timer.step, "due_at": output.when(timer.due_at)} for timer in run.timers
        ],
        "trace": run.trace,
    }


def _rows(event: WorkflowEvent) -> list[Row]:
    return [
        {
            "at": output.when(event.at),
            "version": event.version,
            "status": event.status.value,
            "kind": entry.kind.value,
            "step": entry.step,
            "action": entry.action,
            "attempt": entry.attempt,
            "detail": _detail(entry),
            "data": output.opened(entry.data),
            "request_id": entry.request_id,
        }
        for entry in event.entries
    ]


def _detail(entry: EventEntry) -> str | None:
    if entry.decision is not None:
        return ": ".join(part for part in (entry.decision.decision, entry.decision.reason) if part)
    if entry.reason:
        return entry.reason
    return None if entry.data is None else entry.data.decode("utf-8", "replace")
