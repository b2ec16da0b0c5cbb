"""`actionbus topics`: what the installation's topics lack, and making them."""

import asyncio
from typing import Annotated

import typer

from actionbus.cli import output, session, targets
from actionbus.cli.output import Output, Row
from actionbus.contracts.errors import Conflict
from actionbus.kafka.admin import Admin
from actionbus.process.settings import Settings
from actionbus.provisioner import asyncapi as description
from actionbus.provisioner import subjects
from actionbus.provisioner import topics as provisioner
from actionbus.provisioner.topics import Comparison, Wanted

app = typer.Typer(help="The installation's topics.", no_args_is_help=True, rich_markup_mode=None)
Modules = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[MODULE]...", help="Modules with actions, pkg.module or path/to/app.py, or documents, order.yaml."
    ),
]
_COLUMNS = {"change": "change", "topic": "topic", "detail": "detail"}


@app.command()
def plan(modules: Modules = None, output_format: Output = None) -> None:
    """Compare the topics of the installation, and of the modules' actions, with the cluster. Nothing is changed."""
    settings = session.settings()
    comparison = session.run(lambda: _look(settings, modules or []))
    output.rows(_rows(comparison), _COLUMNS, output_format)
    _say(comparison)


@app.command()
def apply(modules: Modules = None, output_format: Output = None) -> None:
    """Make what is missing and put settings right. With one refusal nothing is done at all."""
    settings = session.settings()
    comparison = session.run(lambda: _apply(settings, modules or []))
    output.rows(_rows(comparison), _COLUMNS, output_format)
    _say(comparison)


@app.command()
def asyncapi(modules: Modules = None) -> None:
    """Print the installation as an AsyncAPI 3.0.0 document, with the modules' actions and what they emit."""
    settings = session.settings()
    security = settings.kafka.security_protocol
    server = description.Server(
        host=settings.kafka.bootstrap_servers[0],
        protocol="kafka" if security.endswith("PLAINTEXT") else "kafka-secure",
        registry=settings.registry.url,
    )
    print(description.text(wanted(settings, modules or []), server), end="")


def wanted(settings: Settings, modules: list[str]) -> Wanted:
    """What these settings and modules ask for; raises DefinitionRefused for a module that cannot be used."""
    return Wanted(
        prefix=settings.prefix,
        actions=targets.actions(modules, settings.limits),
        shards=settings.topics.shards,
        action_partitions=settings.topics.action_partitions,
        replication=settings.topics.replication_factor,
    )


async def _look(settings: Settings, modules: list[str]) -> Comparison:
    asked = wanted(settings, modules)
    async with Admin(session.connection(settings)) as admin:
        return await provisioner.look(admin, asked)


async def _apply(settings: Settings, modules: list[str]) -> Comparison:
    asked = wanted(settings, modules)
    async with Admin(session.connection(settings)) as admin:
        comparison = await provisioner.look(admin, asked)
        if not comparison.refused:
            await provisioner.apply(admin, comparison)
    registry = settings.registry.client()
    if registry is not None and not comparison.refused:
        wanted_subjects = subjects.subjects(settings.prefix, [action.id for action in asked.actions])
        registered = await asyncio.to_thread(subjects.register, registry, wanted_subjects)
        output.note(f"{len(registered)} subjects stand in the schema registry")
    return comparison


def _rows(comparison: Comparison) -> list[Row]:
    found: list[Row] = []
    for plan in comparison.create:
        detail = f"{plan.partitions} partitions, {plan.replication} copies"
        found.append({"change": "create", "topic": plan.name, "detail": detail, "settings": dict(plan.settings)})
    for change in comparison.alter:
        detail = f"{change.name}: {change.found} -> {change.wanted}"
        found.append({"change": "alter", "topic": change.topic, "detail": detail})
    found += [{"change": "refused", "topic": each.topic, "detail": each.reason} for each in comparison.refused]
    found += [{"change": "unused", "topic": name, "detail": "no action given uses it"} for name in comparison.unused]
    found += [{"change": "none", "topic": name, "detail": "as it should be"} for name in comparison.unchanged]
    return found


def _say(comparison: Comparison) -> None:
    if comparison.refused:
        count = len(comparison.refused)
        raise Conflict(
            f"{count} refused, nothing was changed: {comparison.refused[0].topic}: {comparison.refused[0].reason}"
        )
    if comparison.done:
        output.note("nothing to do")
