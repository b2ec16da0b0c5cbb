"""Taking a shard over, holding it through trouble, and letting it go."""

import contextlib

import pytest

from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus
from actionbus.orchestrator.shard import Stage
from actionbus.testing.hand_clock import Waiting
from actionbus.testing.network import Fate
from protocol.world import RETENTION_MS, Violated, World
from support.mutation import mutated

GUARD = "    await _check_settled(charter)\n"


async def test_a_shard_made_for_another_number_of_partitions_is_refused() -> None:
    """Keys would go to other shards than their runs: it says so and touches nothing."""
    world = World()
    await (await _served(world)).leave()
    before = len(world.positions())
    world.shards = 2
    second = world.owner("second").start()
    await world.settle()
    assert second.shard.stage is Stage.HALTED
    assert "made with 1 shards" in second.shard.reason
    assert len(world.positions()) == before
    await second.leave()


async def test_inputs_that_were_removed_unread_stop_the_shard() -> None:
    """Nothing is skipped silently: an operator decides."""
    world = World()
    await (await _served(world)).leave()
    world.start("r1")
    world.broker.truncate((world.topics.requests, 0), 1)
    second = world.owner("second").start()
    await world.settle()
    assert second.shard.stage is Stage.HALTED
    assert "removed before" in second.shard.reason
    await second.leave()


@pytest.mark.parametrize("more", [0, 1, 2])
async def test_inputs_that_were_taken_back_stop_the_shard(more: int) -> None:
    """A leader without them was elected: neither a topic that ends too early is read, nor what came in their place."""
    world = World()
    first = await _served(world)
    for number in range(3):
        world.start(f"r{number}")
    await world.settle()
    await first.leave()
    del world.broker._stored[world.topics.requests, 0][-2:]
    for number in range(more):
        world.start(f"later-{number}")
    second = world.owner("second").start()
    await world.settle()
    assert second.shard.stage is Stage.HALTED
    assert ("came in their place" if more > 1 else "the log holds") in second.shard.reason
    await second.leave()


async def test_what_was_published_is_not_published_again_after_a_good_leave() -> None:
    """The last position says that every command is out."""
    world = World()
    first = await _served(world)
    world.start("r1")
    await world.settle()
    await first.leave()
    assert first.shard.stage is Stage.RELEASED
    assert len(world.worker.take()) == 1
    world.owner("second").start()
    await world.settle()
    assert not world.worker.take()


async def test_an_owner_that_stood_still_publishes_nothing() -> None:
    """Between its commit and its commands another may have taken over: it takes the shard again instead."""
    world = World()
    first = await _served(world)
    end = first.trap("end", "b", Fate.HELD)
    world.start("r1")
    await end.caught.wait()
    first.clock.move(60_000)
    end.release()
    for _ in range(40):
        await world.settle()
        if first.shard.stage is Stage.WAITING:
            break
    assert first.shard.stage is Stage.WAITING
    assert world.runs()["r1"].status is RunStatus.RUNNING
    assert not world.worker.take()
    await world.finish()
    world.judge()


async def test_a_fenced_owner_waits_before_it_takes_the_shard_again() -> None:
    """Two who both believe to own it do not fence each other without end."""
    world = World()
    first = await _served(world)
    second = world.owner("second").start()
    world.start("r1")
    await world.settle()
    assert first.shard.stage is Stage.WAITING
    await world.move(1_000)
    assert (first.shard.stage, second.shard.stage) == (Stage.WAITING, Stage.SERVING)
    await first.leave()
    await world.finish()
    world.judge()


@pytest.mark.parametrize("guarded", [True, False])
async def test_nobody_reads_the_state_up_to_a_transaction_of_somebody_else(guarded: bool) -> None:  # noqa: FBT001 - with the rule, and without
    """What is committed behind it cannot be read: who took the shard over all the same would fork its history."""
    with contextlib.nullcontext() if guarded else mutated("actionbus.orchestrator.takeover", (GUARD, "")):
        world = World()
        first = await _served(world)
        epoch = world.broker.init("ghost")
        place = (world.topics.state, 0)
        world.broker.add("ghost", epoch, [place])
        world.broker.produce("ghost", epoch, place, [OutRecord(key=b"nobody", value=b"nonsense")])
        world.start("r1")
        await world.settle()
        await first.leave()
        second = world.owner("second").start()
        await world.settle()
        if guarded:
            assert second.shard.stage is Stage.WAITING
            assert f"from offset {world.broker.end_offset(place)} on" in second.shard.reason
            world.broker.end("ghost", epoch, commit=False)
            await world.move(10_000)
            await world.finish()
            world.judge()
            return
        world.broker.end("ghost", epoch, commit=False)
        with pytest.raises(Violated, match="history forks"):
            world.judge()


async def test_a_doubt_drops_memory_and_reads_it_again() -> None:
    """After an unknown outcome what was committed counts, whatever the owner remembers."""
    world = World()
    first = await _served(world)
    for fate in (Fate.LOST, Fate.UNANSWERED, Fate.LATE):
        first.trap("end", "b", fate)
        world.start(fate.name)
        await world.settle()
        await world.move(1_000)
    await world.finish()
    assert {run.status for run in world.runs().values()} == {RunStatus.COMPLETED}
    world.judge()


async def test_a_state_that_was_read_for_too_long_is_read_again() -> None:
    """A reader that stood still for longer than tombstones stay may have missed one: what it read counts for nothing."""
    world = World()
    first = world.owner("first", tombstones_ms=5_000)
    held = first.trap("read", "state", Fate.HELD)
    first.start()
    await held.caught.wait()
    await world.move(5_000)
    held.release()
    await world.settle()
    assert first.shard.stage is Stage.WAITING
    assert "tombstones" in first.shard.reason
    world.start("r1")
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    world.judge()


async def test_late_markers_delay_a_takeover_and_spoil_nothing() -> None:
    """What a commit wrote becomes readable a moment later."""
    world = World()
    world.broker.markers_wait = True
    first = world.owner("first").start()
    await world.settle()
    assert first.shard.stage is Stage.TAKING_OVER
    world.broker.write_markers()
    await world.move(100)
    assert first.shard.stage is Stage.SERVING
    world.broker.markers_wait = False
    world.start("r1")
    await world.finish()
    world.judge()


CLEARED = "            await writer.clear(charter.definitions.emitted)\n"


@pytest.mark.parametrize("cleared", [True, False])
async def test_what_stays_open_of_a_dead_owner_is_ended_before_anything_is_read(*, cleared: bool) -> None:
    """The log has completed a commit and told no reader of it: the next owner does, or waits for a person for ever."""
    with (
        contextlib.nullcontext()
        if cleared
        else mutated("actionbus.orchestrator.takeover", (CLEARED, "            pass\n"))
    ):
        world = World()
        first = await _served(world)
        world.broker.loses_markers = True
        world.start("r1")
        await world.settle()
        await first.crash()
        world.broker.loses_markers = False
        second = world.owner("second").start()
        await world.settle()
        assert (second.shard.stage is Stage.SERVING) == cleared
        if cleared:
            await world.finish()
            world.judge()


async def test_an_owner_whose_commit_stays_open_begins_anew() -> None:
    """Nobody reads what it wrote, so it may not go on as if all were well: also when it has nothing to write."""
    world = World()
    first = await _served(world)
    world.broker.loses_markers = True
    world.start("r1")
    await world.settle()
    assert first.shard.stage is not Stage.SERVING
    assert "stays open" in first.shard.reason
    world.broker.loses_markers = False
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    world.judge()


async def test_timers_go_by_the_brokers_time_and_survive_their_owner() -> None:
    """A retry that fell due while nobody served is made at once by the next owner, and once."""
    world = World(attempts=2)
    first = await _served(world)
    world.worker.failing["one"] = 1
    world.start("r1")
    await world.settle()
    world.worker.work()
    await world.settle()
    await world.move(900)
    assert not world.worker.take()
    await first.crash()
    world.broker.time_ms += 60_000
    world.owner("second").start()
    await world.settle()
    (again,) = world.worker.take()
    assert again.attempt == 2
    world.worker.answer(world.worker.execute(again))
    await world.finish()
    world.judge()


async def test_an_ended_run_is_forgotten_after_its_retention() -> None:
    """A tombstone follows, and the id can be used again, under another incarnation."""
    world = World()
    await _served(world)
    world.start("r1")
    for _ in range(4):
        await world.settle()
        world.worker.work()
    await world.move(RETENTION_MS + 1_000)
    await world.move(2_000)  # nobody waits for it, so it is written with a little delay
    last = world.committed(world.topics.state)[-2]
    assert (last.key, last.value) == (b"r1", None)
    world.start("r1")
    await world.finish()
    assert len({run.incarnation for run in world.states()}) == 2
    assert {run.status for run in world.runs().values()} == {RunStatus.COMPLETED}


async def test_a_fold_that_does_not_fit_one_batch_is_halved() -> None:
    """State and position stay in one record batch, however much arrives at once."""
    world = World(limits=Limits(batch_bytes=8_000, fold_inputs=500))
    for number in range(60):
        world.start(f"{'r' * 150}{number}")
    await _served(world)
    await world.finish()
    assert len(world.runs()) == 60
    world.judge()


async def test_a_run_that_outgrows_its_record_fails_and_is_undone() -> None:
    """Too much state is the end of that run only."""
    world = World(limits=Limits(state_bytes=330))
    await _served(world)
    world.start("small")
    world.start("large" * 30)
    await world.finish()
    assert world.runs()["small"].status is RunStatus.COMPLETED
    assert world.runs()["large" * 30].status is RunStatus.FAILED
    world.judge()


async def test_a_position_is_written_for_inputs_that_change_nothing() -> None:
    """Results nobody waits for are not read again for ever."""
    world = World()
    await _served(world)
    world.start("r1")
    for _ in range(4):
        await world.settle()
        world.worker.work()
    (_, *_), end = world.committed(world.topics.results), world.broker.end_offset((world.topics.results, 0))
    stale = world.committed(world.topics.results)[0]
    world.broker.append((world.topics.results, 0), [OutRecord(key=stale.key, value=stale.value)])
    await world.settle()
    assert world.positions()[-1].results_offset == end
    await world.move(2_000)
    assert world.positions()[-1].results_offset == end + 1


async def test_the_position_is_the_last_record_of_every_batch() -> None:
    """Who reads the state topic meets a position after the runs it speaks of."""
    world = World()
    await _served(world)
    world.start("r1")
    await world.finish()
    assert world.committed(world.topics.state)[-1].key == POSITION_KEY


async def _served(world: World):
    owner = world.owner("first").start()
    await world.settle()
    return owner


async def test_a_release_waits_without_turning_in_circles() -> None:
    """While its last transaction is out, neither a timer that is due nor the end of its patience keeps it busy."""
    world = World(attempts=2)
    first = await _served(world)
    world.worker.failing["one"] = 1
    world.start("r1")
    await world.settle()
    world.worker.work()
    await world.settle()
    held = first.trap("add", "b", Fate.HELD)
    world.start("r2")
    await held.caught.wait()
    first.shard.release()
    asked = []
    first.clock.call_in = lambda delay_ms, _: asked.append(delay_ms) or Waiting(print)
    for _ in range(3):
        await world.move(1_500)
        world.start("r3")  # whatever arrives wakes it up
        await world.settle()
    assert all(asked), "it asks to be called back at once"
    held.release()
    await world.settle()
    assert first.shard.stage is Stage.RELEASED
