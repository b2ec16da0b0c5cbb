"""Records that actions emit, as a reader of their topic sees them: one for each accepted result, whatever dies meanwhile."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from actionbus.client import Client
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.reader import PartitionReader
from integration.installation import Installation, Service
from integration.orders import WAIT_SECONDS

KILLS = 4  # of the orchestrator
SHARE = 80  # runs before each kill, and after the last
RUNS = (KILLS + 1) * SHARE
IN_FLIGHT = 40
PARTITIONS = 4

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def greetings(broker, prefix: str, tmp_path: Path):
    """An installation of the mishaps app, whose greet emits to the topic of its name."""
    made = Installation(
        bootstrap=broker.bootstrap,
        prefix=prefix,
        folder=tmp_path,
        app=Path(__file__).with_name("mishaps_app.py"),
        extra={"MISHAPS_TOPIC": f"{prefix}-greetings", "ACTIONBUS_ORCHESTRATOR_SESSION_TIMEOUT_MS": "6000"},
        named=True,  # who comes back under its name does not wait for its own session
    )
    try:
        yield made
    finally:
        made.close()


async def _greet(client: Client, number: int, gate: asyncio.Semaphore) -> str:
    async with gate:
        handle = await client.start("greet", "you", run_id=f"run-{number}", wait=False)
        return await handle.result(WAIT_SECONDS)


async def _published(made: Installation) -> Counter[str]:
    """How often each run's record can be read, by who skips what was not committed."""
    found: Counter[str] = Counter()
    async with PartitionReader(made.connection) as reader:
        for partition in range(PARTITIONS):
            async for page in reader.read_to_end(f"{made.prefix}-greetings", partition):
                found.update(record.key.decode() for record in page)
    return found


async def _greet_all(client: Client, orchestrator: Service) -> list[str]:
    """What all runs gave; they begin in shares, and each share but the last loses the orchestrator on its way."""
    gate = asyncio.Semaphore(IN_FLIGHT)
    tasks: list[asyncio.Task[str]] = []
    for share in range(0, RUNS, SHARE):
        begun = [asyncio.create_task(_greet(client, number, gate)) for number in range(share, share + SHARE)]
        tasks += begun
        if len(tasks) < RUNS:
            await asyncio.wait(begun, return_when=asyncio.FIRST_COMPLETED)
            assert not all(task.done() for task in begun)
            await asyncio.to_thread(orchestrator.kill)
            orchestrator.start()
    return await asyncio.gather(*tasks)


async def test_every_emit_is_published_once_over_kills_of_the_orchestrator(greetings: Installation) -> None:
    """400 runs over four shards emit one record each; with four kills in between each record is there exactly once."""
    names = (f"{greetings.prefix}-greetings", f"{greetings.prefix}-greetings-gone")
    async with Admin(greetings.connection) as admin:
        await admin.create_topics([TopicPlan(name=name, partitions=PARTITIONS) for name in names])
    await asyncio.to_thread(greetings.prepare)
    orchestrator = greetings.orchestrator()
    greetings.worker()
    await asyncio.to_thread(greetings.wait_ready)
    async with Client(greetings.connection, prefix=greetings.prefix) as client:
        assert await _greet_all(client, orchestrator) == ["hello you"] * RUNS
    assert await _published(greetings) == Counter(f"run-{number}" for number in range(RUNS))
