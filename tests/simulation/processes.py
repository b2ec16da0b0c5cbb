"""The two kinds of process: an orchestrator and a worker, put together from the shipped parts as their services do."""

import asyncio
import importlib
from contextlib import contextmanager
from unittest import mock

from actionbus.contracts.errors import Refused, Unavailable
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.orchestrator import charter, clocks, definitions, destinations, ownership, service
from actionbus.orchestrator.shard import Stage
from actionbus.sdk.action import Action
from actionbus.sdk.errors import ActionFailed, NonRetryable
from actionbus.testing.log import MemoryLog
from actionbus.testing.network import Silence
from actionbus.worker import (
    answering,
    attempts,
    control,
    execution,
    failures,
    holdings,
    intake,
    lane,
    probation,
    replies,
    threads,
)
from engine.any_workflow import ERRORS
from engine.graphs import DAY_MS
from simulation import ledger, workflows
from simulation.judgement import hold
from simulation.loop import Process, current
from simulation.network import Lines

NONCE_KEY = b"the key of this world, which is 32"
CONCURRENCY = 2
WORK_MS = 12  # at most, of an attempt that does not take too long
LONG_MS = 60  # longer than the workflows allow an attempt
PACE = {
    "COMMIT_PAUSE_SECONDS": 0.5,
    "WATCH_SECONDS": 1.0,
}  # an idle lane looks around less often: nothing depends on it


class Log(MemoryLog):
    """A process's view of the broker, over lines of its own."""

    def __init__(self, world, process) -> None:
        super().__init__(world.broker, world.topics)
        self.network = Lines(world, process)

    async def follow(self, positions):
        """Committed records from these offsets on, for ever; looks again only when one of these places has changed."""
        at = dict(positions)
        stirred = asyncio.Event()
        for place in at:
            self.broker.watch(place, stirred)
        while True:
            stirred.clear()
            for place, offset in at.items():
                found = self.broker.read(place, offset)
                if found:
                    at[place] = found[-1].offset + 1
                    yield found
            await stirred.wait()


class Orchestrator(Process):
    """Owns the shard as far as the group says, which may be wrong."""

    def __init__(self, world, name) -> None:
        super().__init__(name, world)
        log, clock = Log(world, self), clocks.SteadyClock()
        known = definitions.Definitions(
            log, world.topics.definitions, world.codec, limits=world.limits, run_retention_ms=DAY_MS
        )
        if workflows.VERSIONS in world.plan.features:
            self.call(world.loop.create_task, service._follow(known))
        self.ownership = self.call(
            ownership.Ownership,
            lambda shard: charter.Charter(
                shard=shard,
                partitions=world.plan.shards,
                owner=name,
                topics=world.topics,
                log=log,
                clock=clock,
                codec=world.codec,
                definitions=known,
                destinations=destinations.Destinations(log.partitions, clock),
                nonce_key=NONCE_KEY,
                limits=world.limits,
                open_shelf=lambda: world.shelf(name, shard),
                reconcile_after_ms=world.plan.reconcile_after_ms,
            ),
        )

    def hear(self, change) -> None:
        """The group says something; a process that stands still hears it later."""
        self._loop.call_soon(self.ownership.apply, change, context=self._context)

    def halted(self) -> str | None:
        """Why the shard is stopped until an operator decides, if it is."""
        return next((each.reason for each in self.ownership.shards if each.stage is Stage.HALTED), None)


class Producer:
    """The worker's producer: what it has given up may have been written all the same."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._tasks: set[asyncio.Task] = set()

    def append(self, topic, partition, records) -> "asyncio.Future[int]":
        """Write a batch."""
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        task = loop.create_task(self._write((topic, partition), list(records), written))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return written

    async def _write(self, place, records, written) -> None:
        try:
            written.set_result(
                await self._log.network.send("reply", place[0], lambda: self._log.broker.append(place, records))
            )
        except Silence:
            written.set_exception(Unavailable(f"{place[0]}: no answer"))
        except Refused as error:
            written.set_exception(error)


class Worker(Process):
    """Carries out the three actions of the workflows, each in a lane of its own."""

    def __init__(self, world, name) -> None:
        super().__init__(name, world)
        self.members = []
        self.call(world.loop.create_task, self._serve(world))

    async def _serve(self, world) -> None:
        log = Log(world, self)
        hand = attempts.Attempts(remembered=1_000, remembered_bytes=1_000_000)
        answers = replies.Replies(Producer(log), DEFAULT_LIMITS)
        stop = asyncio.Event()
        suspects = probation.Suspects(hand)
        lanes = [
            self._lane(world, action, hand, answers, suspects).serve(stop, grace_seconds=1.0) for action in ACTIONS
        ]
        await asyncio.gather(
            *lanes,
            control.follow(log, world.topics, world.codec, hand, world.broker.end_offset((world.topics.control, 0))),
        )

    def _lane(self, world, action, hand, answers, suspects) -> lane.Lane:
        topics = world.topics
        group = topics.worker_group(action.id)
        return lane.Lane(
            execution.Execution(
                action,
                limits=DEFAULT_LIMITS,
                failures=failures.Failures(DEFAULT_LIMITS),
                threads=threads.Threads(CONCURRENCY, action.id),
                store=ledger.Store(world, self),
            ),
            holdings=holdings.Holdings(
                (world, self),
                group=group,
                topic=topics.commands(action.id),
                limits=DEFAULT_LIMITS,
                session_timeout_ms=world.session_ms,
            ),
            intake=intake.Intake(
                action.id, world.codec, reply_topic=topics.results, reply_partitions=world.plan.shards
            ),
            attempts=hand,
            answering=answering.Answering(
                action.id,
                replies=answers,
                attempts=hand,
                codec=world.codec,
                limits=DEFAULT_LIMITS,
                worker=self.name,
                group=group,
                dead_letters=topics.action_dead_letters(action.id),
                dead_letter_partitions=1,
            ),
            suspects=suspects,
            concurrency=CONCURRENCY,
        )


async def work(ctx, effect: str) -> None:
    """What a user's function does: it writes into the ledger, and succeeds, fails or takes too long, as the seed says."""
    world = current().world
    fate = 1.0 if world.calm else world.plan.lot("attempt", ctx.command_id) / (world.plan.failing or 1e-9)
    await asyncio.sleep(world.plan.lot("time", ctx.command_id) * WORK_MS / 1000)
    await ctx.db.execute(effect, ctx.step_key)
    if (
        fate >= 0.8
        and not world.calm
        and effect == "done"
        and world.plan.lot("later", ctx.command_id) < world.plan.later
    ):
        await ctx.db.execute("token", ctx.token)
        ctx.answer_later()
    if fate < 0.5:
        raise ActionFailed(ERRORS[int(fate * 2 * len(ERRORS))])
    if fate < 0.6:
        raise NonRetryable("never")
    if fate < 0.8:
        await asyncio.sleep(LONG_MS / 1000)


async def a(ctx, reads: list, scopes: list, given: int) -> dict:  # noqa: ARG001 - what the workflows give
    """The action of a step."""
    await work(ctx, "done")
    return {"v": ctx.step_key}


async def f(ctx, why: str) -> dict:  # noqa: ARG001 - what the workflows give
    """The action of a fallback."""
    await work(ctx, "done")
    return {"v": ctx.step_key}


async def u(ctx, of: object, reads: list, scopes: list) -> None:  # noqa: ARG001 - what the workflows give
    """The action that undoes a step; what somebody else has answered for it is known to it."""
    world = current().world
    with world.judging():
        hold(
            of is not None or ctx.step_key not in world.judge.succeeded,
            "an undo is told what the step gave",
            ctx.step_key,
        )
    await work(ctx, "undone")


ACTIONS = [Action(id=each.__name__, execute=each, effect="transactional", timeout="20ms") for each in (a, f, u)]


class Ordered(dict):
    """A set whose members stand in the order in which they came, and not in that of their addresses."""

    def add(self, member) -> None:
        """Put one in."""
        self[member] = None

    def discard(self, member) -> None:
        """Take one out."""
        self.pop(member, None)


@contextmanager
def paced():
    """Lanes look around less often inside, and at their attempts in the order of their coming."""
    with mock.patch.multiple(importlib.import_module("actionbus.worker.lane"), create=True, set=Ordered, **PACE):
        yield
