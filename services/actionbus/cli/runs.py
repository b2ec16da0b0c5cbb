"""`actionbus runs`: starting runs, looking at them and waiting for them. Stepping in is in `operating`."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import typer

from actionbus.cli import arguments, looking, migrating, operating, output, replaying, session, showing, story, watching
from actionbus.cli.arguments import BeginAt, By, Debounce, PartitionKey, Priority, Reason, RequestId, RunId
from actionbus.cli.completion import workflow_names
from actionbus.cli.output import Output
from actionbus.client import Runs, StartedRun
from actionbus.client.interface import Asked
from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused, Refused
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.run import WorkflowRun

app = typer.Typer(help="Runs of workflows.", no_args_is_help=True, rich_markup_mode=None)
Timeout = Annotated[float | None, typer.Option(help="Seconds to wait at most; without it, for ever.", min=0)]
_COLUMNS: Final = {
    "at": "at",
    "version": "version",
    "kind": "what",
    "step": "step",
    "attempt": "attempt",
    "detail": "detail",
}

WithSignal = Annotated[
    str | None,
    typer.Option(help="NAME=JSON: hand the run this signal; one that is there already gets it and goes on."),
]
IfExists = Annotated[
    Literal["reject", "return", "replace"],
    typer.Option(help="What happens where a run has this id; only one that has ended is replaced."),
]


@app.command()
def start(
    workflow: Annotated[
        str, typer.Argument(help="The workflow's name, or name@version.", autocompletion=workflow_names)
    ],
    input_text: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help=f"The input {arguments.JSON_HELP}")
    ] = None,
    *,
    run_id: Annotated[str | None, typer.Option("--id", help="The run's id; made when not given.")] = None,
    version: Annotated[str | None, typer.Option(help="The definition's version; the newest when not given.")] = None,
    signal: WithSignal = None,
    if_exists: IfExists = "reject",
    at: BeginAt = None,
    debounce: Debounce = None,
    priority: Priority = 0,
    partition_key: PartitionKey = None,
    request_id: RequestId = None,
    reason: Reason = "",
    by: By = None,
    wait: Annotated[bool, typer.Option(help="Wait until the start is accepted.")] = True,
    result: Annotated[bool, typer.Option("--result", help="Wait for the end and print the result.")] = False,
    timeout: Timeout = None,
    output_format: Output = None,
) -> None:
    """Start a run and print its id, or with --result what it gave."""
    settings = session.settings()
    value = arguments.value(input_text, "input")
    named, payload = _signal(signal, run_id, alone=not (debounce or partition_key or priority))
    more: Any = {
        "version": version, "request_id": request_id, "reason": reason, "requested_by": arguments.user(by), "wait": wait
    }  # fmt: skip

    async def begin(client: Runs) -> StartedRun:
        if named is None:
            begin_at = None if at is None else arguments.moment(at)
            when: Any = {"begin_at": begin_at, "debounce": debounce, "if_exists": if_exists}
            where: Any = {"run_id": run_id, "partition_key": partition_key}
            return await client.start(workflow, value, priority=priority, **when, **where, **more)
        return await client.signal_with_start(workflow, named, payload, run_id=run_id or "", input=value, **more)

    async def work() -> Any:
        async with session.client(settings) as client:
            handle = await begin(client)
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
    """Show where a run stands and what it waits for."""
    settings = session.settings()

    async def work() -> tuple[WorkflowRun, Graph | None]:
        async with session.client(settings) as client:
            run = await client.handle(run_id).state()
            # One that waits for no signal needs nothing of its definition.
            return run, await looking.graph_of(settings, run) if run.scopes else None

    output.facts(showing.state(*session.run(work)), output_format)


@app.command()
def history(
    run_id: RunId,
    *,
    export: Annotated[
        Path | None, typer.Option(help="Write the history to this file instead, for `actionbus replay`.")
    ] = None,
    output_format: Output = None,
) -> None:
    """Show what happened to a run, oldest first."""
    settings = session.settings()
    events = session.run(lambda: _history(session.client(settings), run_id))
    if export is not None:
        session.needs_kafka(settings, "--export")
        _export(export, session.run(lambda: replaying.recorded(settings, events)))
        return
    output.rows([row for event in events for row in showing.rows(event)], _COLUMNS, output_format)


@app.command()
def update(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="The signal's name.")],
    payload: Annotated[
        str | None, typer.Argument(metavar="[PAYLOAD]", help=f"What it says {arguments.JSON_HELP}")
    ] = None,
    *,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
) -> None:
    """Hand a run a named value that it answers, and print the answer."""
    settings = session.settings()
    value = arguments.value(payload, "payload")
    asked = Asked(requested_by=arguments.user(by), request_id=request_id)

    async def work() -> Any:
        async with session.client(settings) as client:
            return await client.handle(run_id).update(name, value, reason, **asked)

    _value(session.run(work))


@app.command()
def view(run_id: RunId, name: Annotated[str, typer.Argument(help="The name of what it shows.")]) -> None:
    """Print what a run shows under a name, as JSON."""
    settings = session.settings()

    async def work() -> Any:
        async with session.client(settings) as client:
            return await client.handle(run_id).view(name)

    _value(session.run(work))


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


operating.add_to(app)
app.command()(migrating.migrate)
app.command()(watching.watch)
app.command("list")(looking.list_runs)


async def _history(client: Runs, run_id: str) -> list[WorkflowEvent]:
    async with client:
        events = await client.handle(run_id).history()
    if not events:
        raise Refused(f"nothing is known of a run {run_id}: it never was, or its events are older than the log keeps")
    return events


def _export(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error
    output.note(f"wrote {file}: `actionbus replay {file}` folds it again")


def _signal(text: str | None, run_id: str | None, *, alone: bool) -> tuple[str | None, Any]:
    """The name and the payload in NAME=JSON; ``alone``: nothing else is said that only a start can mean."""
    if text is None:
        return None, None
    if not alone:
        raise Refused("--signal does not go with --debounce, --partition-key and --priority: start the run first")
    if run_id is None:
        raise Refused("--signal needs --id: a run that gets a signal has an id that its senders know")
    name, given, payload = text.partition("=")
    if not name or (given and not payload):
        raise PayloadRefused(f"--signal {text!r:.80} is not NAME=JSON, nor a NAME alone")
    return name, arguments.value(payload or None, "payload")


def _value(value: Any) -> None:
    output.sentences([payloads.encode(value).decode()])
