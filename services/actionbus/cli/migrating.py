"""`actionbus runs migrate`: live runs go over to another version, one by its id or all of a version."""

from collections.abc import AsyncIterator
from typing import Annotated, Final

import typer

from actionbus.cli import arguments, output, session
from actionbus.cli.arguments import By, Reason, RequestId
from actionbus.cli.exits import CommandExit
from actionbus.cli.output import Output, Row
from actionbus.client import Runs, census
from actionbus.client.interface import Asked
from actionbus.contracts import identifiers
from actionbus.contracts.errors import Conflict, Refused
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.engine.definition import Definition
from actionbus.engine.migrate import Refusal
from actionbus.engine.migrate import migrate as planned
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy

_COLUMNS: Final = {"run_id": "run", "from": "from", "to": "to", "verdict": "verdict", "reason": "reason"}
_POSSIBLE: Final = "possible"
_MIGRATED: Final = "migrated"
_STAYS: Final = "stays"
_UNUSED_RETENTION_MS: Final = 0  # nothing ends here, so nothing is kept


def migrate(
    run_id: Annotated[str | None, typer.Argument(metavar="[RUN_ID]", help="The run's id.")] = None,
    *,
    to: Annotated[str, typer.Option(help="The version to go over to; it has to be deployed.")],
    names: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="OLD=NEW", help="A node that has another id there; once for each."),
    ] = None,
    workflow: Annotated[str | None, typer.Option(help="All live runs of this workflow, with --from.")] = None,
    version: Annotated[str | None, typer.Option("--from", help="The version whose runs are meant.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which runs can go over, and why not.")] = False,
    reason: Reason = "",
    by: By = None,
    request_id: RequestId = None,
    output_format: Output = None,
) -> None:
    """Let live runs go on under another deployed version; ends with 4 when one has to stay on its own.

    What is out is out: a step under way keeps its name, action and input, and what was done is not done again.
    """
    settings = session.settings()
    given = _names(names or [])
    if (run_id is None) == (workflow is None or version is None):
        raise Refused("say which runs: one by its RUN_ID, or all of a version by --workflow and --from")
    if workflow is not None and request_id is not None:
        raise Refused("--request-id is for one run: every run of --workflow gets a request of its own")
    asked = Asked(requested_by=arguments.user(by), request_id=request_id)
    migration = _Migration(settings, identifiers.version(to), given, reason, asked)

    if dry_run or run_id is None:
        session.needs_kafka(settings, "a look ahead at a migration, or one of many runs,")

    async def work() -> list[Row]:
        async with session.client(settings) as client:
            runs = _of(settings, workflow, version) if run_id is None else _one(client, run_id)
            return [await (migration.plan(run) if dry_run else migration.ask(client, run)) async for run in runs]

    rows = session.run(work)
    output.rows(rows, _COLUMNS, output_format, empty="no run of that version lives")
    if any(row["verdict"] == _STAYS for row in rows):
        raise typer.Exit(CommandExit.CONFLICT)


class _Migration:
    """Where runs are to go, and how that is asked for."""

    def __init__(self, settings: Settings, to: str, names: dict[str, str], reason: str, asked: Asked) -> None:
        self._settings = settings
        self._to = to
        self._names = names
        self._reason = reason
        self._asked = asked
        self._known: deploy.Deployed | None = None
        self._compiled: dict[str, Definition] = {}

    async def plan(self, run: WorkflowRun) -> Row:
        """What the orchestrator would say now, by the same function; nothing is sent."""
        old = await self._definition(run.workflow, run.definition_version)
        moved = planned(run, old, await self._definition(run.workflow, self._to), self._names)
        return self._row(run, moved.reason if isinstance(moved, Refusal) else None, _POSSIBLE)

    async def ask(self, client: Runs, run: WorkflowRun) -> Row:
        """What the orchestrator says."""
        try:
            await client.handle(run.run_id).migrate(self._to, self._names, self._reason, **self._asked)
        except Conflict as conflict:
            return self._row(run, str(conflict), _MIGRATED)
        return self._row(run, None, _MIGRATED)

    def _row(self, run: WorkflowRun, why_not: str | None, otherwise: str) -> Row:
        return {
            "run_id": run.run_id,
            "workflow": run.workflow,
            "from": run.definition_version,
            "to": self._to,
            "verdict": otherwise if why_not is None else _STAYS,
            "reason": why_not or "",
        }

    async def _definition(self, name: str, version: str) -> Definition:
        if self._known is None:
            topics, codec = Topics(self._settings.prefix), session.codec(self._settings)
            self._known = await deploy.deployed(session.connection(self._settings), topics, codec)
        key = identifiers.definition_key(name, version)
        if key not in self._known:
            raise Conflict(f"version {version} of {name} is not deployed")
        if key not in self._compiled:
            limits = self._settings.limits
            compiled = Definition.deployed(self._known[key], limits=limits, run_retention_ms=_UNUSED_RETENTION_MS)
            self._compiled[key] = compiled
        return self._compiled[key]


async def _one(client: Runs, run_id: str) -> AsyncIterator[WorkflowRun]:
    yield await client.handle(run_id).state()


async def _of(settings: Settings, workflow: str | None, version: str | None) -> AsyncIterator[WorkflowRun]:
    topics, codec = Topics(settings.prefix), session.codec(settings)
    async for run in census.live(session.connection(settings), topics, codec, {workflow or ""}):
        if run.definition_version == version:
            yield run


def _names(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        old, sign, new = each.partition("=")
        if not (old and sign and new):
            raise Refused(f"--map {each!r:.80} is not OLD=NEW: name the node of the old version, then that of the new")
        if found.setdefault(old, new) != new:
            raise Refused(f"--map gives {old} two new ids")
    return found
