"""Where the command line begins: the groups of commands, and how an error becomes one sentence and an exit code."""

import sys
import traceback
from io import TextIOWrapper
from typing import Annotated

import typer

from actionbus.cli import (
    canary,
    dead_letters,
    definition,
    deploying,
    dev,
    doctor,
    exits,
    incidents,
    looking,
    output,
    projecting,
    replaying,
    runs,
    schedules,
    services,
    steps,
    topics,
)
from actionbus.cli.session import OPTIONS
from actionbus.contracts.errors import ActionbusError, InvariantBroken

app = typer.Typer(
    name="actionbus",
    help="Durable workflows on Kafka.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("dev")(dev.dev)
app.add_typer(services.app, name="run")
app.command("deploy")(deploying.deploy)
app.add_typer(definition.app, name="definition")
app.add_typer(topics.app, name="topics")
app.add_typer(runs.app, name="runs")
app.add_typer(looking.tasks, name="tasks")
app.add_typer(incidents.app, name="incidents")
app.add_typer(schedules.app, name="schedules")
app.add_typer(steps.app, name="steps")
app.add_typer(projecting.app, name="projector")
app.add_typer(dead_letters.app, name="dlq")
app.command("replay")(replaying.replay_histories)
app.command("canary")(canary.canary)
app.command("doctor")(doctor.doctor)


@app.callback()
def options(
    *,
    kafka: Annotated[
        str | None, typer.Option(help="Brokers, HOST:PORT,...; else ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS.")
    ] = None,
    prefix: Annotated[str | None, typer.Option(help="The installation; else ACTIONBUS_PREFIX.")] = None,
    url: Annotated[
        str | None, typer.Option(help="A gateway to ask in place of Kafka, http://HOST:PORT; else ACTIONBUS_URL.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Log everything; show where an error comes from.")] = False,
) -> None:
    """Durable workflows on Kafka. Every setting is a variable of the environment; see docs/reference/settings.md."""
    OPTIONS.kafka, OPTIONS.prefix, OPTIONS.url, OPTIONS.debug = kafka, prefix, url, debug


def main() -> None:
    """Run one command and end the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # data may hold what this terminal cannot show
    try:
        app()
    except (ActionbusError, KeyboardInterrupt) as error:
        if OPTIONS.debug:
            traceback.print_exc()
        sentence = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error)
        if isinstance(error, InvariantBroken):
            sentence = f"this is a mistake in actionbus, please report it: {sentence}"
        output.note(f"actionbus: {sentence}")
        sys.exit(exits.code_of(error))
    except Exception as error:  # noqa: BLE001 - this is where a command ends, whatever ended it
        if OPTIONS.debug:
            traceback.print_exc()
        output.note(
            f"actionbus: this is a mistake in actionbus, please report it with what --debug shows: "
            f"{type(error).__name__}: {error}"
        )
        sys.exit(exits.code_of(error))


if __name__ == "__main__":
    main()
