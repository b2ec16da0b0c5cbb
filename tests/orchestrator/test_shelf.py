"""The local cache: it saves reading, and is believed only as far as the state topic bears it out."""

import shutil
from pathlib import Path

import pytest

from actionbus.contracts.errors import Doubt
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus
from actionbus.orchestrator.shelf import DiskShelf, open_shelf
from actionbus.orchestrator.store import Mark, MemoryShelf
from protocol.world import World

MARK = Mark(offset=7, value=b"position")


def test_a_shelf_gives_back_what_was_written(tmp_path: Path) -> None:
    """Runs and mark survive closing; what was removed stays removed."""
    shelf = DiskShelf(tmp_path / "shelf")
    assert shelf.mark() is None
    shelf.write({"a": b"1", "b": b"2", "c": b"3"}, None)
    shelf.write({"b": None, "c": b"4"}, MARK)
    shelf.close()
    shelf = DiskShelf(tmp_path / "shelf")
    assert (shelf.get("a"), shelf.get("b"), shelf.get("c")) == (b"1", None, b"4")
    assert sorted(shelf.values()) == [b"1", b"4"]
    assert shelf.mark() == MARK
    shelf.wipe()
    assert (shelf.mark(), list(shelf.values())) == (None, [])
    shelf.close()


def test_a_shelf_in_use_gives_way_to_memory(tmp_path: Path) -> None:
    """Two processes with one folder do not stop each other."""
    first = open_shelf(tmp_path / "shelf")
    assert isinstance(open_shelf(tmp_path / "shelf"), MemoryShelf)
    first.close()


def test_a_damaged_shelf_is_made_anew(tmp_path: Path) -> None:
    """A cache that cannot be opened costs a longer restore, nothing else."""
    shelf = DiskShelf(tmp_path / "shelf")
    shelf.write({"a": b"1"}, MARK)
    shelf.close()
    for file in (tmp_path / "shelf").glob("MANIFEST*"):
        file.write_bytes(b"junk")
    shelf = open_shelf(tmp_path / "shelf")
    assert isinstance(shelf, DiskShelf)
    assert shelf.mark() is None
    shelf.close()


def test_whatever_is_flipped_a_shelf_is_never_taken_for_one_in_use(tmp_path: Path) -> None:
    """What RocksDB reads when it opens is damaged as well: the shelf is made anew, and does not stay damaged for ever."""
    shelf = DiskShelf(tmp_path / "shelf")
    shelf.write({"a": b"1"}, MARK)
    shelf.close()
    (table,) = (tmp_path / "shelf").glob("*.sst")
    size = table.stat().st_size
    anew = 0
    for place in range(0, size, 25):
        shutil.copytree(tmp_path / "shelf", tmp_path / str(place))
        copy = tmp_path / str(place) / table.name
        data = bytearray(copy.read_bytes())
        data[place] ^= 0xFF
        copy.write_bytes(data)
        shelf = open_shelf(tmp_path / str(place))
        assert isinstance(shelf, DiskShelf), place
        anew += not copy.exists()
        shelf.close()
    assert anew > 0


def test_a_shelf_with_a_flipped_byte_is_doubt_and_then_gone(tmp_path: Path) -> None:
    """Checksums find the damage, and the next takeover begins with an empty shelf."""
    shelf = DiskShelf(tmp_path / "shelf")
    shelf.write({f"run-{number}": bytes([number]) * 500 for number in range(200)}, MARK)
    shelf.close()
    (table,) = (tmp_path / "shelf").glob("*.sst")
    data = bytearray(table.read_bytes())
    data[len(data) // 3] ^= 0xFF
    table.write_bytes(data)
    shelf = DiskShelf(tmp_path / "shelf")
    with pytest.raises(Doubt):
        list(shelf.values())
    shelf.close()
    assert not (tmp_path / "shelf").exists()


@pytest.fixture
def world() -> World:
    """One shard."""
    return World()


async def _serve(world: World, folder: Path, *runs: str):
    owner = world.owner(f"owner-{len(world.owners)}", open_shelf=lambda: open_shelf(folder)).start()
    for run in runs:
        world.start(run)
    await world.settle()
    return owner


async def test_a_restart_reads_on_from_the_mark(world: World, tmp_path: Path) -> None:
    """What the shelf holds is not read again, and what was written since by another is."""
    first = await _serve(world, tmp_path / "shelf", "r1")
    await first.leave()
    await (await _serve(world, tmp_path / "other", "r2")).leave()
    await _serve(world, tmp_path / "shelf")
    await world.finish()
    shelf = DiskShelf(tmp_path / "shelf")
    mark = shelf.mark()
    shelf.close()
    assert mark is not None
    assert mark.value == world.broker.read((world.topics.state, 0), mark.offset)[0].value
    assert {run.status for run in world.runs().values()} == {RunStatus.COMPLETED}
    world.judge()


async def test_a_shelf_of_another_log_is_wiped(tmp_path: Path) -> None:
    """A topic that was deleted and made again is not mistaken for the one that was cached."""
    await (await _serve(World(), tmp_path / "shelf", "ghost")).leave()
    world = World()
    for _ in range(20):  # so that the remembered offset exists, with something else at it
        world.broker.append((world.topics.state, 0), [OutRecord(key=b"other", value=None)])
    await _serve(world, tmp_path / "shelf", "r1")
    await world.finish()
    shelf = DiskShelf(tmp_path / "shelf")
    assert shelf.get("ghost") is None
    assert shelf.get("r1") is not None
    shelf.close()


async def test_a_shelf_ahead_of_the_log_is_wiped(tmp_path: Path) -> None:
    """A broker that lost its data is believed; the cache is not."""
    await (await _serve(World(), tmp_path / "shelf", "ghost")).leave()
    world = World()
    await _serve(world, tmp_path / "shelf", "r1")
    await world.finish()
    shelf = DiskShelf(tmp_path / "shelf")
    assert shelf.get("ghost") is None
    shelf.close()
    world.judge()


async def test_a_rebuilt_shelf_equals_the_one_that_lived(world: World, tmp_path: Path) -> None:
    """Reading the topic from its beginning gives byte for byte what was kept along the way."""
    first = await _serve(world, tmp_path / "lived", "r1", "r2", "r3")
    world.worker.work()
    await world.settle()
    world.cancel("r2")
    await world.settle()
    world.worker.work()
    await world.settle()
    await first.leave()
    lived = DiskShelf(tmp_path / "lived")
    kept = {name: lived.get(name) for name in ("r1", "r2", "r3")}
    lived.close()
    await (await _serve(world, tmp_path / "rebuilt")).leave()
    rebuilt = DiskShelf(tmp_path / "rebuilt")
    assert {name: rebuilt.get(name) for name in kept} == kept
    assert None not in kept.values()
    rebuilt.close()
