"""A process that copies a partition, and its position in it, in transactions as a shard writes them.

It says on its output where it stands: ``at 750`` once that much is committed, ``begin 1500`` before it commits that much.
SIGTERM lets it finish its transaction; whatever else ends it leaves it open.
"""

import asyncio
import os
import signal
import sys
from contextlib import aclosing

from actionbus.contracts.errors import ActionbusError
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.transaction import TransactionalProducer

TRANSACTION = 750  # records, as in Kafka's own test of transactions
AGAIN_SECONDS = 0.1
PARTED = "COPIER_PARTED"  # in the environment: commit the position first, for a test that has to fail
PARTED_SECONDS = 5.0


def _say(what: str, position: int) -> None:
    print(what, position, flush=True)  # noqa: T201 - it is read by who started the process


class Copier:
    """One partition; its name begins the names of the topics."""

    def __init__(self, bootstrap: str, name: str, partition: int) -> None:
        self._connection = Connection(bootstrap_servers=bootstrap)
        self._input, self._output, self._positions = (f"{name}-{role}" for role in ("input", "output", "positions"))
        self._id = f"{name}.{partition}"
        self._partition = partition
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Copy until SIGTERM; after every doubt both ids are taken over again, and the position is read again."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stopping.set)
        while not self._stopping.is_set():
            pair = [TransactionalProducer(self._connection, f"{self._id}.{slot}") for slot in "ab"]
            try:
                for producer in pair:
                    await producer.start()
                async with PartitionReader(self._connection) as reader:
                    await self._serve(pair, reader)
            except ActionbusError:
                await asyncio.sleep(AGAIN_SECONDS)
            finally:
                await asyncio.gather(*(producer.close() for producer in pair))

    async def _serve(self, pair: list[TransactionalProducer], reader: PartitionReader) -> None:
        position = 0
        async for page in reader.read_to_end(self._positions, self._partition):
            position = int(page[-1].value)
        _say("at", position)
        stopped = asyncio.create_task(self._stopping.wait())
        async with aclosing(reader.follow({(self._input, self._partition): position})) as pages:
            while True:
                page = asyncio.ensure_future(anext(pages))
                await asyncio.wait({page, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not page.done():
                    page.cancel()
                    await asyncio.gather(page, return_exceptions=True)
                    return
                records = page.result()
                while records and not self._stopping.is_set():
                    await self._copy(pair[0], records[:TRANSACTION])
                    del records[:TRANSACTION]
                    pair.reverse()

    async def _copy(self, producer: TransactionalProducer, records: list[InRecord]) -> None:
        position = records[-1].offset + 1
        producer.begin()
        producer.append(self._positions, self._partition, [OutRecord(key=b"position", value=b"%d" % position)])
        if os.environ.get(PARTED):
            await producer.commit()
            _say("begin", position)
            await asyncio.sleep(PARTED_SECONDS)
            producer.begin()
        else:
            _say("begin", position)
        producer.append_split(self._output, self._partition, [OutRecord(key=r.key, value=r.value) for r in records])
        await producer.commit()
        _say("at", position)


if __name__ == "__main__":
    asyncio.run(Copier(sys.argv[1], sys.argv[2], int(sys.argv[3])).run())
