"""What the definitions topic says, and what it says wrongly."""

import pytest

from actionbus.contracts import schedules
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import OutRecord
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.destinations import ABSENT_MS, Destinations, Unseen
from actionbus.testing.hand_clock import HandClock
from actionbus.testing.log import MemoryLog
from protocol.world import World, pair


@pytest.fixture
def world() -> World:
    """A broker with one definition: pair@1."""
    return World()


@pytest.fixture
def known(world: World) -> Definitions:
    """Nothing is read yet."""
    log = MemoryLog(world.broker, world.topics)
    return Definitions(log, world.topics.definitions, world.codec, limits=DEFAULT_LIMITS, run_retention_ms=1)


def _other(version: str = "1"):
    return pair(attempts=3).model_copy(update={"version": version})


async def test_the_newest_is_the_one_deployed_last(world: World, known: Definitions) -> None:
    """Without a version a start gets that one; with a version its own."""
    world.deploy(_other("2"))
    await known.catch_up()
    assert known.find("pair", None).version == "2"
    assert known.find("pair", "1").version == "1"
    assert known.find("pair", "3") is None
    world.deploy(world.graph)  # deployed again, as it was: it is the newest now
    await known.catch_up()
    assert known.find("pair", None).version == "1"


async def test_a_version_keeps_the_content_it_had_first(world: World, known: Definitions) -> None:
    """Whoever writes another content past the deployer changes nothing."""
    await known.catch_up()
    world.deploy(_other())
    await known.catch_up()
    assert known.find("pair", "1").hash == world.graph.hash


@pytest.mark.parametrize("value", [None, b"junk", b"{}", b""])
async def test_what_is_no_definition_is_passed_over(world: World, known: Definitions, value: bytes | None) -> None:
    """Junk stops nobody, and a tombstone takes nothing from runs that live."""
    world.broker.append((world.topics.definitions, 0), [OutRecord(key=b"pair@1", value=value)])
    world.deploy(_other("2"))
    await known.catch_up()
    assert known.find("pair", "1") is not None
    assert known.find("pair", "2") is not None


async def test_the_workflow_of_schedules_is_there_without_being_deployed(world: World, known: Definitions) -> None:
    """And nobody replaces it: what is deployed under its name is passed over."""
    built_in = known.find(schedules.WORKFLOW, None)
    assert built_in is not None
    for version in ("1", "2"):
        world.deploy(pair().model_copy(update={"name": schedules.WORKFLOW, "version": version}))
    await known.catch_up()
    assert known.find(schedules.WORKFLOW, None) is built_in
    assert known.find(schedules.WORKFLOW, "2") is None


async def test_a_run_is_bound_to_the_content_it_was_started_with(world: World, known: Definitions) -> None:
    """Not to the name of a version."""
    await known.catch_up()
    owner = world.owner("first").start()
    world.start("r1")
    await world.settle()
    run = world.runs()["r1"]
    assert known.of(run).hash == world.graph.hash
    assert known.of(run.replace(definition_hash="0" * 64)) is None
    assert known.of(run.replace(definition_version="9")) is None
    await owner.crash()


async def test_topics_are_asked_for_once_in_a_while() -> None:
    """An answer is remembered, a missing topic for seconds only, and everything is asked again after a refusal."""
    clock, asked, there = HandClock(), [], {"a": 3}

    async def ask(topic: str) -> int | None:
        asked.append(topic)
        return there.get(topic)

    topics = Destinations(ask, clock)
    with pytest.raises(Unseen):
        topics.partitions("a")
    assert await topics.look("a") == 3
    assert await topics.look("b") is None
    assert (topics.partitions("a"), topics.partitions("b")) == (3, None)
    clock.move(ABSENT_MS + 1)
    assert topics.partitions("a") == 3
    with pytest.raises(Unseen):
        topics.partitions("b")
    topics.forget()
    with pytest.raises(Unseen):
        topics.partitions("a")
    assert asked == ["a", "b"]
