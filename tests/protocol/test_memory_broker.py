"""The broker in memory is as unkind as Kafka's transaction protocol version 1."""

import pytest

from actionbus.contracts.errors import AccessRefused, BatchTooLarge, Fenced, PositionLost, Refused, TopicMissing
from actionbus.contracts.records import OutRecord
from actionbus.testing.memory_broker import MemoryBroker

PLACE = ("t", 0)


def _record(text: str) -> OutRecord:
    return OutRecord(key=b"k", value=text.encode())


def _values(broker: MemoryBroker, **how) -> list[str]:
    return [record.value.decode() for record in broker.read(PLACE, 0, **how)]


@pytest.fixture
def broker() -> MemoryBroker:
    """One topic."""
    broker = MemoryBroker()
    broker.make("t")
    return broker


def _write(broker: MemoryBroker, epoch: int, *texts: str) -> None:
    broker.add("id", epoch, [PLACE])
    for text in texts:
        broker.produce("id", epoch, PLACE, [_record(text)])


def test_readers_of_committed_records_stop_before_an_open_transaction(broker: MemoryBroker) -> None:
    """Also before plain records behind it; an abort makes its records as if they had never been."""
    epoch = broker.init("id")
    broker.append(PLACE, [_record("before")])
    _write(broker, epoch, "open")
    broker.append(PLACE, [_record("after")])
    assert _values(broker) == ["before"]
    assert _values(broker, committed=False) == ["before", "open", "after"]
    broker.end("id", epoch, commit=False)
    assert _values(broker) == ["before", "after"]


def test_a_new_holder_aborts_and_fences_the_one_before(broker: MemoryBroker) -> None:
    """Nothing of the old epoch is accepted, not even the end of what it began."""
    old = broker.init("id")
    _write(broker, old, "lost")
    broker.init("id")
    for request in (
        lambda: broker.add("id", old, [PLACE]),
        lambda: broker.produce("id", old, PLACE, [_record("x")]),
        lambda: broker.end("id", old, commit=True),
    ):
        with pytest.raises(Fenced):
            request()
    assert _values(broker) == []


def test_a_late_end_ends_the_next_transaction_of_its_epoch(broker: MemoryBroker) -> None:
    """It names an epoch, not a transaction: what is written after it is refused, or opens one that nobody began."""
    epoch = broker.init("id")
    _write(broker, epoch, "one")
    broker.end("id", epoch, commit=True)
    _write(broker, epoch, "two")
    broker.end("id", epoch, commit=True)  # the copy of the first
    assert _values(broker) == ["one", "two"]
    with pytest.raises(Refused, match="INVALID_TXN_STATE"):
        broker.produce("id", epoch, PLACE, [_record("rest")])
    broker.verifies = False
    broker.produce("id", epoch, PLACE, [_record("rest")])
    assert _values(broker) == ["one", "two"]
    broker.end("id", epoch, commit=True)
    assert _values(broker) == ["one", "two", "rest"]


def test_an_end_may_be_repeated_but_not_contradicted(broker: MemoryBroker) -> None:
    """The coordinator remembers how the last transaction ended."""
    epoch = broker.init("id")
    _write(broker, epoch, "one")
    broker.end("id", epoch, commit=True)
    broker.end("id", epoch, commit=True)
    with pytest.raises(Refused):
        broker.end("id", epoch, commit=False)


def test_markers_may_be_late(broker: MemoryBroker) -> None:
    """A commit is acknowledged before readers see it; a new holder waits for the markers."""
    broker.markers_wait = True
    epoch = broker.init("id")
    _write(broker, epoch, "one")
    broker.end("id", epoch, commit=True)
    assert _values(broker) == []
    broker.init("id")
    assert _values(broker) == ["one"]


@pytest.mark.parametrize("committed", [True, False])
def test_markers_may_be_lost(broker: MemoryBroker, *, committed: bool) -> None:
    """Nobody reads what was written then, nor what follows, until a clear ends it as it was decided."""
    epoch = broker.init("id")
    _write(broker, epoch, "one")
    broker.loses_markers = True
    broker.end("id", epoch, commit=committed)
    broker.loses_markers = False
    broker.append(PLACE, [_record("two")])
    broker.write_markers()
    assert _values(broker) == []
    epoch = broker.init("id")
    assert _values(broker) == []
    assert broker.left("id")
    broker.clear("id", epoch)
    assert _values(broker) == (["one", "two"] if committed else ["two"])
    assert not broker.left("id")


def test_the_next_end_decides_about_what_was_left_open(broker: MemoryBroker) -> None:
    """As a partition knows a producer and not its transactions."""
    epoch = broker.init("id")
    _write(broker, epoch, "one")
    broker.loses_markers = True
    broker.end("id", epoch, commit=True)
    broker.loses_markers = False
    _write(broker, epoch, "two")
    broker.init("id")
    assert _values(broker) == []


def test_what_cannot_be_written_is_refused(broker: MemoryBroker) -> None:
    """Topics that are missing or closed, batches that are too large, offsets that are gone."""
    with pytest.raises(TopicMissing):
        broker.append(("missing", 0), [_record("x")])
    with pytest.raises(TopicMissing):
        broker.append(("t", 1), [_record("x")])
    broker.largest_batch = 10
    with pytest.raises(BatchTooLarge):
        broker.append(PLACE, [_record("x" * 20)])
    broker.forbidden.add("t")
    with pytest.raises(AccessRefused):
        broker.append(PLACE, [_record("x")])
    broker.truncate(PLACE, 5)
    with pytest.raises(PositionLost):
        broker.read(PLACE, 0)
