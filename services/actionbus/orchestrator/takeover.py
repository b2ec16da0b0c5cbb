"""How a shard is taken over: fence, then read, then say so. The order is what keeps its history one line.

Both ids are fenced before anything is read. With crossing takeovers each side may come to hold one of them; because the
first transaction is always on A, the side that lost A can commit nothing, whatever it has read.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from actionbus.contracts.errors import Doubt, PositionLost, SettingsRefused, Unavailable
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.orchestrator.backlog import Backlog
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.log import Writer
from actionbus.orchestrator.queues import Queues
from actionbus.orchestrator.store import DamagedState, Mark, RunStore
from actionbus.orchestrator.tally import Tally
from actionbus.orchestrator.timers import Timers
from actionbus.orchestrator.vetting import Vetting, ahead
from actionbus.process import crashing, metrics

FIRST_SHARD: Final = 0
TIME_TRIES: Final = 1_000
TIME_TRY_MS: Final = 5
PAUSE_EVERY: Final = 1_000  # runs, so that a large shard does not stop the others of this process

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Holding:
    """A shard as it was taken over: the two writers, A first, and everything that was read."""

    writers: tuple[Writer, Writer]
    store: RunStore
    position: ShardPosition
    timers: Timers
    queues: Queues
    tally: Tally
    backlog: Backlog
    undispatched: list[WorkflowRun] = field(default_factory=list[WorkflowRun])

    def watch(self, alarm: Callable[[], None]) -> None:
        """Call this when `check` has something to tell."""
        for writer in self.writers:
            writer.watch(alarm)

    def check(self) -> None:
        """Raise Doubt when a transaction of this owner is committed and stays open."""
        for writer in self.writers:
            writer.check()

    async def close(self) -> None:
        """Let go of all of it."""
        self.tally.end()
        self.queues.end()
        self.store.close()
        await asyncio.gather(*(writer.close() for writer in self.writers))


async def take_over(charter: Charter) -> Holding:
    """Fence every earlier owner and read where the shard stands.

    Raises SettingsRefused when the shard was made for another number of partitions, PositionLost when inputs were
    removed before they were read, Unavailable or Doubt when it is to be tried again.
    """
    writers: list[Writer] = []
    store = RunStore(charter.codec, charter.open_shelf())
    try:
        writers.append(await charter.log.fence(charter.shard, "a"))
        crashing.visit(crashing.Point.FENCED_A)
        writers.append(await charter.log.fence(charter.shard, "b"))
        crashing.visit(crashing.Point.FENCED_BOTH)
        await charter.definitions.catch_up()
        for writer in writers:
            await writer.clear(charter.definitions.emitted)
        with metrics.STATE_RESTORE.time():
            vetting = Vetting(charter.codec)
            try:
                holding = await _hold(charter, writers, store, vetting)
            except DamagedState as error:
                _log.error("the state is read once more, each record closely", shard=charter.shard, reason=str(error))
                vetting.closely = True
                store.shelf.wipe()
                holding = await _hold(charter, writers, store, vetting)
    except BaseException:
        store.close()
        await asyncio.gather(*(writer.close() for writer in writers))
        raise
    crashing.visit(crashing.Point.SHARD_READ)
    return holding


async def _hold(charter: Charter, writers: Sequence[Writer], store: RunStore, vetting: Vetting) -> Holding:
    position = await _restore(charter, store, vetting)
    await _check(charter, position)
    holding = Holding(
        writers=(writers[0], writers[1]),
        store=store,
        position=position,
        timers=Timers(),
        queues=Queues(charter.definitions, charter.shard, charter.partitions),
        tally=Tally(),
        backlog=Backlog(charter.definitions),
    )
    try:
        await _look_at_runs(holding, charter.reconcile_after_ms, vetting)
    except BaseException:
        holding.tally.end()
        holding.queues.end()
        raise
    return holding


async def _restore(charter: Charter, store: RunStore, vetting: Vetting) -> ShardPosition:
    """Bring the shelf up to the end of the state topic; where the shard stands.

    What is no state and no position is passed over, see `vetting`.
    """
    topic, shard, began = charter.topics.state, charter.shard, charter.clock.now_ms()
    await _check_settled(charter)
    mark = await _trusted_mark(charter, store)
    start = await charter.log.earliest(topic, shard) if mark is None else mark.offset
    async for found in charter.log.read(topic, shard, start):
        changes: dict[str, bytes | None] = {}
        for record in found:
            if not vetting.believes(record):
                continue
            if record.key == POSITION_KEY:
                mark = Mark(offset=record.offset, value=record.value or b"")
            elif record.key is not None:
                changes[record.key.decode("utf-8", "replace")] = record.value
        store.shelf.write(changes, mark)
    if charter.clock.now_ms() - began >= charter.tombstones_ms:
        # A run that was read at the beginning may have lost its tombstone before the end was reached.
        store.shelf.wipe()
        raise Doubt("reading the state took longer than its topic keeps tombstones: it is read again")
    if mark is None:
        return await _first_position(charter)
    return charter.codec.decode(ShardPosition, mark.value)


async def _check_settled(charter: Charter) -> None:
    """Raise Unavailable while a transaction is open in the state: what is committed behind it cannot be read.

    It is none of ours, since both ids are fenced. Whoever read up to it would begin where the shard stood long ago, and
    fork its history.
    """
    topic, shard = charter.topics.state, charter.shard
    held = await charter.log.held_back(topic, shard)
    if held is not None:
        raise Unavailable(
            f"a transaction that is none of ours is open in topic {topic}, partition {shard}, from offset {held} on, "
            "and what follows cannot be read before it has ended: `actionbus doctor` says whose it is"
        )


async def _trusted_mark(charter: Charter, store: RunStore) -> Mark | None:
    """The mark of a shelf that may be relied on; any other shelf is wiped.

    The position record has to stand where the shelf has seen it, byte for byte. Then the topic is the same one, and no
    tombstone after it has been cleaned away: a cleaner that meets a tombstone has met a later position as well, and
    removes the older position in that pass, long before the tombstone.
    """
    mark = store.shelf.mark()
    if mark is not None:
        try:
            async with aclosing(charter.log.read(charter.topics.state, charter.shard, mark.offset)) as reading:
                first = (await anext(reading))[0]
            if first.offset == mark.offset and first.key == POSITION_KEY and first.value == mark.value:
                return mark
        except (PositionLost, StopAsyncIteration):
            pass
        _log.warning("the local cache does not fit the state topic and is made anew", shard=charter.shard)
    store.shelf.wipe()
    return None


async def _first_position(charter: Charter) -> ShardPosition:
    topics, shard = charter.topics, charter.shard
    await _check_first(charter)
    return ShardPosition(
        partitions=charter.partitions,
        requests_offset=await charter.log.earliest(topics.requests, shard),
        results_offset=await charter.log.earliest(topics.results, shard),
        txn_seq=0,
        dispatched_through=0,
        latest_time=0,
        owner=charter.owner,
    )


async def _check_first(charter: Charter) -> None:
    """A shard that never wrote may be a partition that was added: any position of the first shard tells."""
    vetting = Vetting(charter.codec)
    start = await charter.log.earliest(charter.topics.state, FIRST_SHARD)
    async with aclosing(charter.log.read(charter.topics.state, FIRST_SHARD, start)) as reading:
        async for found in reading:
            for record in found:
                if record.key == POSITION_KEY and vetting.believes(record):
                    _check_number(charter, charter.codec.decode(ShardPosition, record.value))
                    return


def _check_number(charter: Charter, position: ShardPosition) -> None:
    if position.partitions != charter.partitions:
        raise SettingsRefused(
            f"this installation was made with {position.partitions} shards and its topics now have "
            f"{charter.partitions} partitions: the number is fixed, make a new installation with another prefix"
        )


async def _check(charter: Charter, position: ShardPosition) -> None:
    _check_number(charter, position)
    for topic, offset in (
        (charter.topics.requests, position.requests_offset),
        (charter.topics.results, position.results_offset),
    ):
        earliest = await charter.log.earliest(topic, charter.shard)
        if offset < earliest:
            raise PositionLost(
                f"topic {topic}, partition {charter.shard}: records from {offset} to {earliest} were removed before "
                "they were read; find out what they were, then decide with `actionbus doctor`"
            )
        if offset > earliest:
            written = await charter.log.written_at(topic, charter.shard, offset - 1, offset)
            if written is not None and written > position.latest_time:
                raise PositionLost(
                    f"topic {topic}, partition {charter.shard}: what stands before {offset} is newer than all that "
                    "this shard has read: acknowledged records are gone, and others came in their place unread"
                )


async def _look_at_runs(holding: Holding, after_ms: int, vetting: Vetting) -> None:
    """Find what is due, what may never have been sent, and what is to be looked after.

    Raises DamagedState for a run that is ahead of its shard: it shares a batch with its position, so no owner wrote it.
    """
    position = holding.position
    vetting.latest = position.txn_seq
    for number, (run, value) in enumerate(holding.store.outlines()):
        if ahead(run, position.txn_seq):
            raise DamagedState(f"the run {run['run_id']} is ahead of its shard")
        stuck = sum(step["stuck"] is not None for step in run["steps"])
        live = not RunStatus(run["status"]).ended
        holding.tally.found(run["workflow"], live=live, stuck=stuck)
        holding.backlog.found(run, partial(holding.store.scopes, value))
        times = [timer["due_at"] for timer in run["timers"]]
        times += [step["scheduled_at"] + after_ms for step in run["steps"] if step["dispatch_seq"]]
        if times:
            holding.timers.arm_at(run["run_id"], min(times))
        if any(step["dispatch_seq"] > position.dispatched_through for step in run["steps"]):
            holding.undispatched.append(holding.store.read(value))
        holding.queues.pace(run)
        if live and (run["turn"] is not None or any(step["turn"] is not None for step in run["steps"])):
            holding.queues.note(holding.store.read(value))
        if number % PAUSE_EVERY == 0:
            await asyncio.sleep(0)


async def written_at(charter: Charter, mark: Mark) -> int:
    """The broker's time of the position that was just written; its marker may take a moment to become visible."""
    for _ in range(TIME_TRIES):
        async for found in charter.log.read(charter.topics.state, charter.shard, mark.offset):
            if found[0].offset == mark.offset:
                return found[0].timestamp_ms
        await charter.clock.sleep(TIME_TRY_MS)
    raise Unavailable("the position record that was just written cannot be read")
