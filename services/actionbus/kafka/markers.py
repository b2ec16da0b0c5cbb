"""Whether a transaction has really ended where it wrote: each partition needs a marker, and may never get one.

A commit is told of before its markers are written. Apache Kafka 4.3.0 passes over a partition that has no leader when
its turn comes, and completes the transaction all the same. What was written there then stays open: nobody can read it,
nor what follows, until the same producer id ends its next transaction there, and that end decides about both.
"""

import asyncio
import contextlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import errors as kafka
from aiokafka.client import ConnectionGroup

from actionbus.contracts.errors import AccessRefused, ActionbusError, Doubt, TopicMissing, Unavailable
from actionbus.kafka import cluster, inquiries, offsets, open_transactions, outcomes
from actionbus.kafka.batches import Partition
from actionbus.kafka.open_transactions import Writing

FIRST_PAUSE_SECONDS: Final = 0.004  # markers mostly come within it, and the id is not used again before
MOST_PAUSE_SECONDS: Final = 0.1
LOOK_SECONDS: Final = 0.1  # then a partition is asked who holds its readers back: it may be somebody else
PATIENCE_SECONDS: Final = 5.0  # how long markers may take to come; below a commit's deadline
TOPIC_SECONDS: Final = 2.0  # how long a topic of others may keep a takeover waiting
TAKES: Final = 3  # so many new epochs a takeover that was interrupted may have cost
EMPTY: Final = "Empty"  # the id was taken over since its last transaction
_COMMITTED: Final = "CompleteCommit"
_ABORTED: Final = "CompleteAbort"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTransaction:
    """What the coordinator of a transactional id says of its last transaction."""

    state: str
    producer_id: int
    epoch: int

    def committed(self, left: Writing) -> bool | None:
        """Whether what stays open was committed, or aborted; None: this does not tell.

        Nothing else is begun while something stays open, so the last end that was decided is that one's. A takeover
        makes a new epoch of an id that has ended, and two of one whose transaction it aborts (KIP-98, KIP-360).
        """
        if left.producer_id != self.producer_id:
            return None
        newer = self.epoch - left.epoch
        if self.state == _COMMITTED and 0 <= newer <= TAKES:
            return True
        if self.state == _ABORTED and 0 <= newer <= TAKES:
            return False
        return True if self.state == EMPTY and newer == 1 else None


async def last_transaction(brokers: cluster.Cluster, transactional_id: str) -> LastTransaction | None:
    """What is known of the last transaction of an id; None where nobody knows or tells, as with a new one.

    Raises one of `cluster.Silence`, or AccessRefused or Unavailable where the coordinator cannot be found.
    """
    node = await brokers.coordinator("transaction", transactional_id)
    request = inquiries.DescribeTransactions([transactional_id])
    try:
        reply: Any = await brokers.send(node, request, lane=ConnectionGroup.COORDINATION)
    except kafka.IncompatibleBrokerVersion:
        return None
    ((code, _id, state, _timeout, _began, producer_id, epoch, _topics, _),) = reply.transactions
    if kafka.for_code(code).retriable:
        raise kafka.for_code(code)
    return LastTransaction(state=state, producer_id=producer_id, epoch=epoch) if code == outcomes.NONE else None


async def stable(brokers: cluster.Cluster, places: Collection[Partition]) -> dict[Partition, int]:
    """Up to where partitions can be read, as far as they are there; raises Unavailable while one does not answer."""
    there = await _there(brokers, places)
    found = await offsets.ends(brokers, there, committed=True)
    if silent := sorted(set(there) - found.keys()):
        raise Unavailable(f"no broker answers for topic {silent[0][0]}, partition {silent[0][1]}")
    return found


async def held(
    brokers: cluster.Cluster, producer_ids: Collection[int], own: Collection[Partition], topics: Iterable[str]
) -> list[Writing]:
    """What producers have open in partitions and in whole topics.

    Raises Unavailable where a partition does not answer; a topic is passed over as far as it does not. Raises one of
    `cluster.Silence` besides.
    """
    read = await stable(brokers, own) | await offsets.ends(brokers, await _led(brokers, topics), committed=True)
    written = await offsets.ends(brokers, read, committed=False)
    found, _ = await left_open(brokers, [each for each in read if read[each] < written.get(each, math.inf)])
    return [each for each in found if each.producer_id in producer_ids]


def decided(
    found: Iterable[Writing], last: LastTransaction | None, own: Collection[Partition]
) -> dict[bool, dict[Partition, int]]:
    """Where what is open was committed (True), and where aborted, with its first offset there.

    Raises Unavailable when nobody knows it of one of its own; of others that is only said.
    """
    ends: defaultdict[bool, dict[Partition, int]] = defaultdict(dict)
    for each in found:
        committed = None if last is None else last.committed(each)
        if committed is not None:
            ends[committed][each.place] = each.offset
            continue
        where = f"a transaction is open in topic {each.place[0]}, partition {each.place[1]}"
        if each.place in own:
            raise Unavailable(
                f"{where}, and nobody knows whether it was to be committed: `actionbus doctor` says how to end it"
            )
        _log.error(f"{where}, and nobody knows how to end it", producer_id=each.producer_id)
    return ends


async def _there(brokers: cluster.Cluster, places: Iterable[Partition]) -> list[Partition]:
    """The partitions that there are; a topic may be gone, and then nothing is open in it."""
    found: list[Partition] = []
    for topic, partition in places:
        with contextlib.suppress(TopicMissing):
            found += [(topic, partition)] if partition < await brokers.partitions(topic) else []
    return found


async def _led(brokers: cluster.Cluster, topics: Iterable[str]) -> list[Partition]:
    """The partitions that have a leader; a topic that is not there, or that nobody tells of, is left out."""
    found: list[Partition] = []
    for topic in topics:
        with contextlib.suppress(TopicMissing, AccessRefused, Unavailable):
            count = await brokers.partitions(topic, within=TOPIC_SECONDS)
            found += [(topic, each) for each in range(count) if brokers.leader(topic, each) is not None]
    return found


async def left_open(
    brokers: cluster.Cluster, places: Collection[Partition]
) -> tuple[list[Writing], frozenset[Partition]]:
    """What is open in these partitions, and those of which it is not told.

    Raises one of `cluster.Silence`, Unavailable or TopicMissing.
    """
    found: list[Writing] = []
    untold: set[Partition] = set()
    for topic in sorted({topic for topic, _ in places}):
        asked = [each for each in places if each[0] == topic]
        try:
            found += await open_transactions.writing(brokers, asked)
        except (AccessRefused, kafka.IncompatibleBrokerVersion) as error:
            _log.info("it is not told whose transactions are open", topic=topic, reason=str(error))
            untold.update(asked)
    return found, frozenset(untold)


async def missing(brokers: cluster.Cluster, producer_id: int, written: Mapping[Partition, int]) -> list[Partition]:
    """Wait until a transaction has its markers; where it stays open although there was much time.

    ``written``: its first offset in each partition. A partition that nobody answers for is waited for. Raises one of
    `cluster.Silence`, Unavailable or TopicMissing.
    """
    clock, pause, left = asyncio.get_running_loop().time, FIRST_PAUSE_SECONDS, dict(written)
    began = clock()
    while left:
        await asyncio.sleep(pause)
        pause = min(2 * pause, MOST_PAUSE_SECONDS)
        seen = await offsets.ends(brokers, left, committed=True)
        left = {place: first for place, first in left.items() if seen.get(place, -1) <= first}
        if left and clock() - began >= LOOK_SECONDS:
            found, untold = await left_open(brokers, left.keys() & seen.keys())
            mine = {each.place for each in found if each.producer_id == producer_id}
            if mine and clock() - began >= PATIENCE_SECONDS:
                return sorted(mine)
            others = {each.place for each in found} - mine | untold
            left = {place: first for place, first in left.items() if place not in others}
    return []


class Proof:
    """That a transaction has its markers, as far as that is known by now; it is looked for from the beginning."""

    def __init__(
        self, brokers: cluster.Cluster, producer_id: int, written: Mapping[Partition, int], alarm: Callable[[], None]
    ) -> None:
        """``alarm``: called when there is none, see `missing` for the rest."""
        self._alarm = alarm
        self._search = asyncio.get_running_loop().create_task(missing(brokers, producer_id, written))
        self._search.add_done_callback(self._found)

    def check(self) -> None:
        """Raise Doubt when it is known that there is none."""
        if self._search.done():
            self._judge()

    async def wait(self) -> None:
        """Return when it is there; raises Doubt when there is none."""
        await asyncio.wait([self._search])
        self._judge()

    async def close(self) -> None:
        """Stop looking."""
        self._search.cancel()
        await asyncio.gather(self._search, return_exceptions=True)

    def _found(self, search: "asyncio.Task[list[Partition]]") -> None:
        if not search.cancelled() and (search.exception() is not None or search.result()):
            self._alarm()

    def _judge(self) -> None:
        try:
            found = self._search.result()
        except (*cluster.Silence, ActionbusError) as error:
            raise Doubt(f"nobody says whether the last transaction has its markers: {error}") from error
        if found:
            raise Doubt(f"the last transaction stays open in topic {found[0][0]}, partition {found[0][1]}")
