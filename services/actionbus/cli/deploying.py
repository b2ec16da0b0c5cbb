"""`actionbus deploy`: writing the workflows of modules to the installation."""

import getpass
import socket
from typing import Annotated

import typer

from actionbus.cli import output, session, targets
from actionbus.cli.output import Output, Row
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy as provisioner
from actionbus.provisioner import shares
from actionbus.provisioner.deploy import Deployment

_COLUMNS = {"workflow": "workflow", "version": "version", "verdict": "verdict", "reason": "reason"}


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

    A deployed version never changes; with one refusal nothing is written at all.
    """
    settings = session.settings()
    graphs = targets.graphs(modules, settings.limits)
    topics, codec = Topics(settings.prefix), session.codec(settings)

    async def work() -> tuple[tuple[Deployment, ...], int]:
        connection = session.connection(settings)
        known = await provisioner.deployed(connection, topics, codec)
        emitted = {name for graph in graphs for name in provisioner.targets(graph)}
        async with Admin(connection) as admin:
            ours = await admin.topics(f"{settings.prefix}.")
            exist = set(ours)
            exist |= {name for name in emitted if name in await admin.topics(name)}
        shards = ours[topics.requests].partitions if topics.requests in ours else 1
        return provisioner.judge(graphs, known, exist, topics, settings.limits), shards

    deployments, shards = session.run(work)
    for graph in graphs:
        for warning in shares.warnings(graph, shards):
            output.note(warning)
    output.rows([_row(each) for each in deployments], _COLUMNS, output_format, empty="no workflows in these modules")
    if not dry_run:
        session.run(lambda: _write(settings, topics, deployments))


async def _write(settings: Settings, topics: Topics, deployments: tuple[Deployment, ...]) -> None:
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    await provisioner.deploy(session.connection(settings), topics, session.codec(settings), deployments, by=by)


def _row(each: Deployment) -> Row:
    return {
        "workflow": each.graph.name,
        "version": each.graph.version,
        "verdict": each.verdict.value,
        "reason": each.reason,
        "hash": each.graph.hash,
    }
