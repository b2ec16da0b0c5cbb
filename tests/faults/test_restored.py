"""The oracle of what is put back tells the loss that is documented from any other."""

from actionbus.kafka.partitioning import partition_for
from faults import restored
from faults.restored import Past, Return

LIFE = "transfer-1:a"  # its start is request 10 of its shard
SHARDS = 4


def _past(*, edge: int, before: frozenset[str] = frozenset(), gone: frozenset[str] = frozenset({LIFE})) -> Past:
    edges = dict.fromkeys(range(SHARDS), 1_000) | {partition_for(b"transfer-1", SHARDS): edge}
    return Past(returns=[Return(moment=0, before=before, gone=gone)], edges=[edges])


def test_what_began_after_the_copy_may_be_gone() -> None:
    """Its request is not among those that the copy holds."""
    assert _past(edge=10).forgotten(frozenset(), frozenset({LIFE})) == ({LIFE}, [])


def test_what_the_copy_holds_may_not_be_gone() -> None:
    """A run whose start, or whose first effect, came before the copy has to be there."""
    for past in (_past(edge=11), _past(edge=10, before=frozenset({LIFE}))):
        missing, wrong = past.forgotten(frozenset(), frozenset({LIFE}))
        assert missing == {LIFE}
        assert len(wrong) == 1


def test_what_began_after_the_return_may_not_be_gone() -> None:
    """Nothing is put back behind it."""
    _, (wrong,) = _past(edge=10, gone=frozenset()).forgotten(frozenset(), frozenset({LIFE}))
    assert "after everything was put back" in wrong


def test_what_kafka_knows_is_not_gone() -> None:
    """And its callers are heard; those of runs that are gone are counted apart."""
    assert _past(edge=10).forgotten(frozenset({LIFE}), frozenset({LIFE})) == (set(), [])
    outcomes = {"transfer-1": (1, "COMPLETED"), "transfer-2": (2, "COMPLETED")}
    assert restored.told(outcomes, frozenset({LIFE})) == ({"transfer-1": (1, "COMPLETED")}, {"transfer-2"})
