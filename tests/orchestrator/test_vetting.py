"""What a takeover believes of the state topic, to which nobody else should write."""

import pytest

from actionbus.contracts import headers
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus
from actionbus.kafka.codec import Codec
from actionbus.orchestrator.shard import Stage
from actionbus.process import metrics
from contracts import samples
from protocol.world import World

CODEC = Codec()
WHOLE = CODEC.encode(samples.RUN)
UNKNOWN = b"\xc3\x01" + bytes(8) + b"what a later version says"
CLAIM = headers.cloud_event("WorkflowRun", "1", "orchestrator", 1)


def _ignored() -> float:
    return metrics.RECORDS_IGNORED.labels("state")._value.get()


async def _inherited(*foreign: OutRecord):
    """A world with a live run and what somebody wrote beside it, and a second owner that has had the time to begin."""
    world = World()
    first = world.owner("first").start()
    await world.settle()
    world.start("r1")
    await world.settle()
    await first.leave()
    for record in foreign:
        world.broker.append((world.topics.state, 0), [record])
    second = world.owner("second").start()
    await world.settle()
    return world, second


@pytest.mark.parametrize(
    "foreign",
    [
        OutRecord(key=b"r1", value=b"junk"),
        OutRecord(key=b"r1", value=b""),
        OutRecord(key=b"r1", value=WHOLE),
        OutRecord(key=b"r1", value=UNKNOWN),
        OutRecord(key=b"r1", value=CODEC.encode(samples.RUN.replace(run_id="r1", txn_seq=10**9))),
        OutRecord(key=samples.RUN.run_id.encode(), value=WHOLE[:-5]),
        OutRecord(key=None, value=b"junk"),
        OutRecord(key=b"\xff", value=b"{}"),
        OutRecord(key=POSITION_KEY, value=b"junk"),
        OutRecord(key=POSITION_KEY, value=None),
    ],
    ids=[
        "junk",
        "nothing",
        "another run",
        "unknown schema",
        "ahead",
        "cut off",
        "no key",
        "no name",
        "no position",
        "no place",
    ],
)
async def test_what_is_no_state_is_passed_over(foreign: OutRecord) -> None:
    """The run stands where its owner has written it last, goes on to its end, and the record is counted once."""
    before = _ignored()
    world, second = await _inherited(foreign)
    assert second.shard.stage is Stage.SERVING, second.shard.reason
    assert _ignored() == before + 1
    while not world.events("r1")[-1].status.ended:
        assert world.worker.work(), "a command is out, or the run has ended"
        await world.settle()
    assert world.events("r1")[-1].status is RunStatus.COMPLETED
    await second.leave()


async def test_what_a_newer_version_wrote_is_waited_for() -> None:
    """A state that says it is one, under a schema that nobody here knows, is not passed over: its run would fork."""
    _, second = await _inherited(OutRecord(key=b"r1", value=UNKNOWN, headers=CLAIM))
    assert second.shard.stage is not Stage.SERVING
    assert "newer version" in second.shard.reason
    await second.leave()
