"""`actionbus deploy`: writing the workflows of modules to the installation, with a look at what that means."""

import getpass
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from actionbus.cli import output, session, targets
from actionbus.cli.output import Format, Output, Row
from actionbus.client import census
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import AccessRefused, DefinitionRefused, RecordUnreadable, TopicMissing, Unavailable
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy as provisioner
from actionbus.provisioner import preview, shares
from actionbus.provisioner.deploy import Deployed, Deployment, Verdict
from actionbus.provisioner.preview import Live, Preview

_COLUMNS = {"workflow": "workflow", "version": "version", "verdict": "verdict", "reason": "reason"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What was found before anything is written; ``uncounted``: why the live runs are not known."""

    shards: int
    deployments: tuple[Deployment, ...]
    previews: list[Preview]
    uncounted: str | None


def deploy(
    modules: Annotated[
        list[str],
        typer.Argument(help="Modules with workflows, pkg.module or path/to/app.py, or documents, order.yaml."),
    ],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    output_format: Output = None,
) -> None:
    """Write the modules' workflows to the installation: what is new is written, what is there already stays.

    It shows what changes against the newest deployed version, and how many live runs stay on older ones. A deployed
    version never changes; with one refusal nothing is written at all.
    """
    settings = session.settings()
    graphs = targets.graphs(modules, settings.limits)
    look = session.run(lambda: _look(settings, graphs))
    for graph in graphs:
        for warning in shares.warnings(graph, look.shards):
            output.note(warning)
    rows = [_row(*each, look.uncounted) for each in zip(look.deployments, look.previews, strict=True)]
    output.rows(rows, _COLUMNS, output_format, empty="no workflows in these modules")
    if output.chosen(output_format) is Format.TABLE:
        for each in zip(look.deployments, look.previews, strict=True):
            output.sentences(_told(*each, look.uncounted))
    if not dry_run:
        session.run(lambda: _write(settings, look.deployments))


async def _look(settings: Settings, graphs: list[Graph]) -> _Look:
    topics, codec, connection = Topics(settings.prefix), session.codec(settings), session.connection(settings)
    known = await provisioner.deployed(connection, topics, codec)
    emitted = {name for graph in graphs for name in provisioner.targets(graph)}
    async with Admin(connection) as admin:
        ours = await admin.topics(f"{settings.prefix}.")
        exist = set(ours)
        exist |= {name for name in emitted if name in await admin.topics(name)}
    deployments = provisioner.judge(graphs, known, exist, topics, settings.limits)
    counted, uncounted = await _count(settings, deployments, known)
    previews = [preview.compare(each, known, counted.get(each.graph.name, Live())) for each in deployments]
    shards = ours[topics.requests].partitions if topics.requests in ours else 1
    return _Look(shards=shards, deployments=deployments, previews=previews, uncounted=uncounted)


async def _count(
    settings: Settings, deployments: tuple[Deployment, ...], known: Deployed
) -> tuple[dict[str, Live], str | None]:
    """The live runs of the workflows that get a new version, and why they are not known where they are not."""
    there = {each.name for each in known.values()}
    graphs = {each.graph.name: each.graph for each in deployments if each.verdict is Verdict.NEW}
    names = graphs.keys() & there
    if not names:
        return {}, None
    runs = census.live(session.connection(settings), Topics(settings.prefix), session.codec(settings), names)
    try:
        return await preview.count(runs, known, graphs, settings.limits), None
    except (AccessRefused, TopicMissing, Unavailable, RecordUnreadable, DefinitionRefused) as error:
        return {}, str(error)


async def _write(settings: Settings, deployments: tuple[Deployment, ...]) -> None:
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    topics = Topics(settings.prefix)
    await provisioner.deploy(session.connection(settings), topics, session.codec(settings), deployments, by=by)


def _row(deployment: Deployment, found: Preview, uncounted: str | None) -> Row:
    live = found.live
    return {
        "workflow": deployment.graph.name,
        "version": deployment.graph.version,
        "verdict": deployment.verdict.value,
        "reason": deployment.reason,
        "hash": deployment.graph.hash,
        "newest": found.newest,
        "changes": list(found.changes),
        "live_runs": None if uncounted else dict(live.runs),
        "migratable": None if uncounted else {version: live.migratable[version] for version in live.runs},
        "stay": live.stay,
        "uncounted": uncounted,
    }


def _told(deployment: Deployment, found: Preview, uncounted: str | None) -> Iterator[str]:
    """What there is to know beside the verdict: nothing of a workflow that is new or as it was."""
    if found.newest is None or deployment.verdict is not Verdict.NEW:
        return
    name = deployment.graph.name
    yield f"{name}@{deployment.graph.version}, compared with {name}@{found.newest}:"
    yield from [f"  {each}" for each in found.changes] or ["  nothing but the version differs"]
    if uncounted is not None:
        yield f"  how many runs live is not known: {uncounted}"
    elif not found.live.runs:
        yield "  no run of it lives"
    for version, count in sorted(found.live.runs.items()):
        able = found.live.migratable[version]
        yield f"  runs that live on {version}: {count}, and stay there; {able} of them could be migrated as they are"
    if found.live.stay:
        yield f"  {found.live.stay}"
