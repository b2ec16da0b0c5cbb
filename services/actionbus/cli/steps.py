"""`actionbus steps`: answering a step whose action left that to the holder of its token, and finding those in doubt.

Whoever has no token, but may decide about the run, uses `runs complete` and `runs skip`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import typer

from actionbus.cli import arguments, output, session
from actionbus.cli.output import Output
from actionbus.client import Runs
from actionbus.contracts import tokens

app = typer.Typer(
    help="Steps that wait for an answer from outside, or are in doubt.", no_args_is_help=True, rich_markup_mode=None
)
Token = Annotated[str, typer.Argument(help="What ctx.token gave to the action.")]
_DOUBTFUL: Final = {"run_id": "run", "step_key": "step key", "action": "action", "at": "at", "found": "found"}
Details = Annotated[str | None, typer.Option(help=f"More about it {arguments.JSON_HELP}")]


@app.command()
def complete(
    token: Token,
    given: Annotated[
        str | None, typer.Argument(metavar="[OUTPUT]", help=f"The step's output {arguments.JSON_HELP}")
    ] = None,
    *,
    output_format: Output = None,
) -> None:
    """Answer that a step is done; returns when the answer is safely in the log."""
    value = arguments.value(given, "output")
    _answer(token, "completed", lambda client: client.complete_step(token, value), output_format)


@app.command()
def fail(
    token: Token,
    error_type: Annotated[str, typer.Argument(help="The name of the error that the rules of the workflow match on.")],
    message: Annotated[str, typer.Argument(help="A sentence for people.")] = "",
    *,
    retryable: Annotated[bool, typer.Option(help="Whether another attempt may help.")] = True,
    details: Details = None,
    output_format: Output = None,
) -> None:
    """Answer that an attempt of a step failed; returns when the answer is safely in the log."""
    value = arguments.value(details, "details")

    def answer(client: Runs) -> Awaitable[None]:
        return client.fail_step(token, error_type, message, retryable=retryable, details=value)

    _answer(token, "failed", answer, output_format)


@app.command()
def heartbeat(token: Token, *, details: Details = None, output_format: Output = None) -> None:
    """Say that a step is still worked on."""
    value = arguments.value(details, "details")
    _answer(token, "heard", lambda client: client.heartbeat_step(token, value), output_format)


@app.command()
def doubtful(
    since: Annotated[str, typer.Argument(metavar="SINCE", help="When it was put back to, or a little before.")],
    *,
    output_format: Output = None,
) -> None:
    """List the steps of which Kafka and the stores say different things, after one of them was put back.

    It needs the stores of the workers, ACTIONBUS_STORE_<NAME>_URL, and looks at transactional actions. Runs without a
    step key are those of which their own topics say different things.
    """
    from actionbus.cli.doubtful import find  # here, as no other command needs what databases need

    settings = session.settings()
    session.needs_kafka(settings, "steps doubtful")
    instant = round(arguments.moment(since).timestamp() * 1000)

    async def work() -> list[dict[str, Any]]:
        return [
            {
                "run_id": each.run_id,
                "step_key": each.step_key,
                "action": each.action,
                "at": output.when(each.at),
                "found": each.found,
            }
            async for each in find(settings, instant)
        ]

    output.rows(session.run(work), _DOUBTFUL, output_format, empty="Kafka and the stores agree")


def _answer(
    token: str, done: str, answer: Callable[[Runs], Awaitable[None]], output_format: output.Format | None
) -> None:
    settings = session.settings()

    async def work() -> None:
        async with session.client(settings) as client:
            await answer(client)

    session.run(work)
    command = tokens.read(token).command
    output.facts({"run_id": command.run_id, "step": command.path, done: True}, output_format)
