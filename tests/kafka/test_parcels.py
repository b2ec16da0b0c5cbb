"""Record batches of producers that take header names for bytes, as Kafka's own clients read them."""

import gzip
import struct

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from actionbus.contracts.records import OutRecord
from actionbus.kafka import batches, clients, pages, parcels, producer_id
from actionbus.kafka.connection import Connection

RECORDS = [
    OutRecord(key=b"a", value=b"1", headers=(("fine", b"x"),)),
    OutRecord(key=b"b", value=b"2", headers=(("QQ", b"x"), ("fine", b"y"))),
    OutRecord(key=None, value=None, headers=()),
]


def _batch(*, zipped: bool = False) -> bytes:
    made = batches.build(RECORDS, producer_id.NOBODY, sequence=-1, limit=10_000).replace(b"QQ", b"\xff\xfe")
    if zipped:
        body = gzip.compress(made[61:])
        made = made[:8] + struct.pack(">i", 49 + len(body)) + made[12:21] + b"\x00\x01" + made[23:61] + body
    return made[:17] + struct.pack(">I", calc_crc32c(made[21:])) + made[21:]


@pytest.mark.parametrize("zipped", [False, True])
def test_a_name_that_is_no_text_is_read_with_marks(*, zipped: bool) -> None:
    """Every record of the batch is read, each once, and what is no UTF-8 in a name stands as U+FFFD."""
    data = _batch(zipped=zipped) + _batch()
    found, following = pages.unpack(("t", 0), data, (), 0, committed=True)
    assert [(each.key, each.value) for each in found[:3]] == [(b"a", b"1"), (b"b", b"2"), (None, None)]
    assert [name for name, _ in found[1].headers] == ["\ufffd\ufffd", "fine"]
    assert following == 3


def test_the_library_alone_cannot_read_it() -> None:
    """Once it can, what stands in its place may go."""
    with pytest.raises(UnicodeDecodeError):
        list(MemoryRecords(_batch()).next_batch())


async def test_consumers_of_the_library_read_batches_so() -> None:
    """A member of a group meets the same records as any other reader."""
    connection = Connection(bootstrap_servers="127.0.0.1:1")
    consumer = clients.group_consumer(connection, "g", isolation="read_committed", fetch_bytes=1)
    assert fetcher.MemoryRecords is parcels.Parcels
    await consumer.stop()
