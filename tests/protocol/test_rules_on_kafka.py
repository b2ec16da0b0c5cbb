"""Rules of the shard protocol on real brokers: the schedules of which the order of requests can be forced."""

import pytest

from actionbus.contracts.run import RunStatus, StepStatus
from actionbus.kafka.connection import Connection
from actionbus.orchestrator.shard import Stage
from actionbus.testing.network import Fate
from protocol.kafka_world import KafkaWorld
from support import proxy
from support.topics import batch_sizes

pytestmark = pytest.mark.kafka


@pytest.fixture
async def world(connection: Connection, prefix: str):
    """One shard, its topics and its definition."""
    async with KafkaWorld(connection, prefix) as world:
        yield world


def _position_of(world: KafkaWorld, owner: str):
    return lambda: bool(world.positions()) and world.positions()[-1].owner == owner


def _commands(world: KafkaWorld):
    return [each for topic in world.command_topics for each in world.broker.read((topic, 0), 0)]


async def test_runs_complete_and_every_promise_holds(world: KafkaWorld) -> None:
    """Runs started, cancelled and started again under one id: the judge finds nothing."""
    world.owner("first").start()
    for number in range(20):
        world.start(f"r{number}")
        if number % 4 == 0:
            world.cancel(f"r{number}")
        world.start(f"r{number}")
    await world.finish(runs=20)
    world.judge()


async def test_rule_a_crossing_takeovers_leave_one_history(world: KafkaWorld) -> None:
    """One fences A; another takes over whole and serves; then the first fences B, reads, and cannot begin."""
    first, second = world.owner("first"), world.owner("second")
    fence, begin = first.trap("fence", "b", Fate.HELD), first.trap("add", "a", Fate.HELD)
    first.start()
    await fence.caught.wait()
    second.start()
    await world.until(_position_of(world, "second"), "the second serves")
    fence.release()
    await begin.caught.wait()
    world.start("r1")
    await world.until(lambda: "r1" in world.runs(), "the second has started the run, on B or on A")
    begin.release()
    await second.crash()
    await world.finish(runs=1)
    world.judge()


async def test_rule_a_nobody_writes_between_the_fences_and_the_reading(world: KafkaWorld) -> None:
    """The owner before, whose turn is B, still writes while its successor holds A only; the successor reads it."""
    first, second = world.owner("first").start(), world.owner("second")
    await world.until(_position_of(world, "first"), "the first serves, and has written on A")
    fence = second.trap("fence", "b", Fate.HELD)
    second.start()
    await fence.caught.wait()
    world.start("r1")
    await world.until(lambda: "r1" in world.runs(), "the first has written on B")
    assert world.positions()[-1].owner == "first"
    fence.release()
    await world.until(_position_of(world, "second"), "the second serves")
    world.one_history()
    await first.crash()
    await world.finish(runs=1)
    world.judge()


async def test_rule_c_state_and_position_share_one_record_batch(world: KafkaWorld) -> None:
    """In the log itself every batch of the state topic ends with a position."""
    for number in range(10):
        world.start(f"r{number}")
    world.owner("first").start()
    await world.finish(runs=10)
    sizes = [size for size in await batch_sizes(world.connection, world.topics.state) if size]
    keys = [record.key for record in world.committed(world.topics.state)]
    offsets = [record.offset for record in world.committed(world.topics.state)]
    at = 0
    for size in sizes:
        if at in offsets:  # a marker has an offset too, and no record
            assert keys[offsets.index(at + size - 1)] == b"!position"
        at += size
    world.judge()


async def test_rules_e_and_f_a_takeover_sends_what_is_not_known_to_be_out(world: KafkaWorld) -> None:
    """A command and a compensation whose owner died before they were published go out all the same."""
    first = world.owner("first")
    held = [first.trap("publish", topic, Fate.HELD) for topic in ("action.one", "undo-one")]
    first.start()
    await world.until(_position_of(world, "first"), "the first serves")
    world.start("r1")
    world.start("r2")
    await held[0].caught.wait()
    world.cancel("r2")
    await held[1].caught.wait()
    await first.crash()
    await world.look()
    assert world.runs()["r2"].steps[0].status is StepStatus.COMPENSATING
    assert not world.worker.take()
    world.owner("second").start()
    await world.finish(runs=2)
    assert {run.run_id: run.status for run in world.runs().values()} == {
        "r1": RunStatus.COMPLETED,
        "r2": RunStatus.CANCELLED,
    }
    world.judge()


async def test_a_good_leave_leaves_nothing_to_send_again(world: KafkaWorld, tmp_path) -> None:
    """After a release the next owner publishes nothing, and a local cache that fits is read on from."""
    first = world.owner("first", folder=tmp_path / "shelf").start()
    world.start("r1")
    await world.until(lambda: len(_commands(world)) == 1, "the command is out")
    await first.leave()
    second = world.owner("second", folder=tmp_path / "shelf").start()
    await world.until(_position_of(world, "second"), "the second serves")
    await world.finish(runs=1)
    await second.leave()
    await world.look()
    assert len(_commands(world)) == 2
    world.judge()


@pytest.mark.java
async def test_rule_b_after_a_lost_reply_both_ids_are_taken_again(apache_kafka, prefix: str) -> None:
    """The reply to EndTxn never comes: the owner drops its memory, fences itself, reads, and loses or doubles nothing."""
    direct = Connection(bootstrap_servers=apache_kafka.bootstrap)
    async with proxy.Proxy(apache_kafka.bootstrap) as wire, KafkaWorld(direct, prefix) as world:
        owner = world.owner("first", connection=Connection(bootstrap_servers=wire.address)).start()
        await world.until(_position_of(world, "first"), "it serves")
        taken = wire.seen[proxy.INIT_PRODUCER_ID]
        wire.rules[proxy.END_TXN] = proxy.Rule(pass_reply=False)
        world.start("r1")
        await world.until(lambda: "r1" in world.runs(), "the broker has committed what the owner does not know of")
        await world.until(lambda: owner.shard.stage is Stage.WAITING, "the owner has noticed the silence")
        wire.rules.clear()
        await world.finish(runs=1)
        assert wire.seen[proxy.INIT_PRODUCER_ID] == taken + 2
        world.judge()
