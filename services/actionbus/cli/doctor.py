"""`actionbus doctor`: is everything there that runs need, and what to do where it is not."""

import typer

from actionbus.cli import output, session
from actionbus.cli.examination import Examination, Finding, Level
from actionbus.cli.output import Output
from actionbus.kafka.admin import Admin
from actionbus.process.settings import Settings
from actionbus.process.shutdown import ExitCode

_COLUMNS = {"check": "check", "level": "level", "found": "found", "advice": "what to do"}


def doctor(output_format: Output = None) -> None:
    """Look at the cluster, the topics, the clock, the services; say what is wrong and what to do. Ends with 1 if so.

    It writes one record to the control topic, which everybody passes over, to read the broker's clock.
    """
    settings = session.settings()
    findings = session.run(lambda: _examine(settings))
    rows = [
        {"check": each.check, "level": each.level.value, "found": each.found, "advice": each.advice}
        for each in findings
    ]
    output.rows(rows, _COLUMNS, output_format)
    if any(each.level is Level.PROBLEM for each in findings):
        raise typer.Exit(ExitCode.ERROR)


async def _examine(settings: Settings) -> list[Finding]:
    async with Admin(session.connection(settings)) as admin:
        return [finding async for finding in Examination(settings, admin).findings()]
