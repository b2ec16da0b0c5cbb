"""What `actionbus dev` does with a module, again after every change: topics, definitions, and a worker of its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from actionbus.cli import output, session
from actionbus.contracts.errors import ActionbusError, Unavailable
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy, subjects, topics
from actionbus.provisioner.deploy import Deployment, Verdict
from actionbus.sdk import registry
from actionbus.sdk.registry import Registry
from actionbus.worker.service import Worker

SHARDS: Final = 4  # of a new installation, unless a setting says another number
BY: Final = "actionbus dev"
AGAIN_SECONDS: Final = 1.0


class Workshop:
    """The worker of one module, and whatever the module needs in the cluster."""

    def __init__(self, settings: Settings, modules: Sequence[str], folder: Path, *, own_broker: bool) -> None:
        self._settings = settings
        self._modules = modules
        self._folder = folder
        self._own_broker = own_broker
        self._worker: Worker | None = None
        self._work: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self.found = Registry(actions={}, workflows={})

    def not_ready(self) -> list[str]:
        """Why the worker does not work now; nothing when it does."""
        return ["the worker is starting"] if self._worker is None else self._worker.not_ready()

    async def open(self) -> None:
        """Provide for the module and start its worker; raises whatever is wrong with either."""
        self.found = registry.load(*self._modules)
        await self._provide(self.found)
        self._start(self._made(self.found))

    async def reopen(self) -> None:
        """Do it again after a change. What is wrong with the change is said, and the worker of before goes on."""
        try:
            found = registry.load(*self._modules, fresh=True)
            await self._provide(found)
            made = self._made(found)
        except ActionbusError as error:
            output.note(f"not reloaded, what ran before goes on:\n{error}")
            return
        await self.close()
        self.found = found
        self._start(made)
        output.note(f"reloaded: {described(found)}")

    async def close(self) -> None:
        """Let the worker finish what it has begun, and end it."""
        self._stop.set()
        if self._work is not None:
            await asyncio.wait([self._work])
        self._worker = self._work = None

    def _made(self, found: Registry) -> Worker:
        return Worker(self._settings, found, store_folder=self._folder)

    def _start(self, made: Worker) -> None:
        self._stop = asyncio.Event()
        self._work = asyncio.create_task(self._serve(made, self._stop))
        self._work.add_done_callback(_tell)

    async def _serve(self, worker: Worker, stop: asyncio.Event) -> None:
        """Work until it is to stop; a broker that does not answer is waited for, as it may only be busy."""
        while not stop.is_set():
            self._worker = worker
            try:
                await worker.serve(stop)
            except Unavailable as error:
                output.note(f"the worker begins again: {error}")
            else:
                return
            await asyncio.sleep(AGAIN_SECONDS)
            worker = self._made(self.found)

    async def _provide(self, found: Registry) -> None:
        settings, connection = self._settings, session.connection(self._settings)
        names, codec = Topics(settings.prefix), session.codec(settings)
        async with Admin(connection) as admin:
            await self._make_topics(admin, found)
            exist = set(await admin.topics())
        if (registry := settings.registry.client()) is not None:
            wanted = subjects.subjects(settings.prefix, found.actions)
            await asyncio.to_thread(subjects.register, registry, wanted)
        graphs = [workflow.graph for workflow in found.workflows.values()]
        known = await deploy.deployed(connection, names, codec)
        judged = deploy.judge(graphs, known, exist, names, settings.limits)
        await deploy.deploy(connection, names, codec, [each for each in judged if _wanted(each)], by=BY)

    async def _make_topics(self, admin: Admin, found: Registry) -> None:
        settings = self._settings
        names = Topics(settings.prefix)
        there = (await admin.topics(names.requests)).get(names.requests)
        asked = "shards" in settings.topics.model_fields_set
        wanted = topics.Wanted(
            prefix=settings.prefix,
            actions=[action.spec for action in found.actions.values()],
            shards=there.partitions if there else settings.topics.shards if asked else SHARDS,
            action_partitions=settings.topics.action_partitions,
            replication=settings.topics.replication_factor,
        )
        comparison = await topics.look(admin, wanted)
        if self._own_broker:
            missing = {name for action in wanted.actions for name in action.emits if not names.owns(name)}
            missing -= set(await admin.topics())
            await self._make_emit_targets(admin, sorted(missing))
            refused = tuple(each for each in comparison.refused if each.topic not in missing)
            comparison = replace(comparison, refused=refused)
        await topics.apply(admin, comparison)

    async def _make_emit_targets(self, admin: Admin, missing: list[str]) -> None:
        """Nobody else would make them on a broker that is only here for this program."""
        if missing:
            count = self._settings.topics.action_partitions
            await admin.create_topics([TopicPlan(name=name, partitions=count, replication=1) for name in missing])
            output.note(f"made the topics that actions emit to: {', '.join(missing)}")


def described(found: Registry) -> str:
    """The workflows and actions of a registry, in words."""
    workflows = ", ".join(f"{name}@{version}" for name, version in found.workflows) or "no workflow"
    return f"{workflows}; actions {', '.join(found.actions) or 'none'}"


def _wanted(each: Deployment) -> bool:
    if each.verdict is Verdict.REFUSED:
        output.note(f"{each.key} is not deployed, what was deployed before stays in force: {each.reason}")
    return each.verdict is not Verdict.REFUSED


def _tell(work: asyncio.Task[None]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        output.note(f"the worker ended, change the module to start it again: {error}")
