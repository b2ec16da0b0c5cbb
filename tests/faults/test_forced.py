"""The oracle of forced elections excuses what somebody has said, and nothing else."""

from faults.catalogue.forced import UNKNOWN, Said

SHARDS = 4
LOST = "transfer-1 has no deposit"
NUMBERED = "the events of transfer-1:0 are numbered [1, 3]"


def test_nothing_is_excused_of_which_nobody_has_said_anything() -> None:
    """Neither a difference of a run, nor a sum, nor an effect that Kafka does not know."""
    for text in (LOST, NUMBERED, f"{UNKNOWN}transfer-1:0/withdraw", "all accounts together hold 1 instead of 2"):
        assert not Said().covers("lost", text, SHARDS)


def test_what_is_said_excuses_what_it_is_about() -> None:
    """A stopped shard its runs, a list its runs and keys, a projector events; and nobody a doubled effect."""
    everywhere = Said(stopped=set(range(SHARDS)))
    assert everywhere.covers("lost", LOST, SHARDS)
    assert not everywhere.covers("doubled", LOST, SHARDS)
    assert not everywhere.covers("lost", f"{UNKNOWN}transfer-1:0/withdraw", SHARDS)
    assert not Said(
        stopped={shard for shard in range(SHARDS) if not Said(stopped={shard}).covers("lost", LOST, SHARDS)}
    ).covers("lost", LOST, SHARDS)
    listed = Said(keys=frozenset({"transfer-1:0/withdraw"}), runs=frozenset({"transfer-1"}))
    assert listed.covers("lost", LOST, SHARDS)
    assert listed.covers("lost", f"{UNKNOWN}transfer-1:0/withdraw", SHARDS)
    assert not listed.covers("lost", "transfer-10 has no deposit", SHARDS)
    heard = Said(events=["gaps"])
    assert heard.covers("disordered", NUMBERED, SHARDS)
    assert not heard.covers("lost", LOST, SHARDS)
