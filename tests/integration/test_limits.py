"""Limits as they are felt: how much runs at a time in real workers, who goes first, and what an operator sees."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from actionbus.client import Client
from integration.installation import Installation, Service
from integration.orders import WAIT_SECONDS, until

SHARDS = 4
LIMIT = 5  # of the action narrow: one shard has a share of two, the others one each

pytestmark = pytest.mark.kafka


class Limits:
    """An installation of the limits app, and what its actions wrote down."""

    def __init__(self, installation: Installation, orchestrator: Service) -> None:
        self.installation = installation
        self.orchestrator = orchestrator

    @property
    def notes(self) -> list[list[str]]:
        """What began and ended, in order."""
        log = self.installation.folder / "log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def begun(self, what: str) -> list[str]:
        """Who began, in order."""
        return [name for said, name in self.notes if said == f"{what}-begins"]

    def at_most(self, what: str) -> int:
        """The greatest number of steps at a time; one whose partition moves may be carried out by two workers at once."""
        running: Counter[str] = Counter()
        most = 0
        for said, name in self.notes:
            running[name] += (said == f"{what}-begins") - (said == f"{what}-ends")
            most = max(most, sum(times > 0 for times in running.values()))
        return most

    async def runs(self, *arguments: str) -> str:
        """What `actionbus runs` prints."""
        done = await asyncio.to_thread(self.installation.command, "runs", *arguments)
        return done.stdout


@pytest.fixture
def limits(embedded_broker: str, prefix: str, tmp_path: Path) -> Iterator[Limits]:
    """An orchestrator and two workers on the broker for development."""
    made = Installation(
        bootstrap=embedded_broker,
        prefix=prefix,
        folder=tmp_path,
        app=Path(__file__).with_name("limits_app.py"),
        extra={"LIMITS_FOLDER": str(tmp_path), "ACTIONBUS_ORCHESTRATOR_SESSION_TIMEOUT_MS": "6000"},
        named=True,  # who comes back under its name does not wait for its own session
        shards=SHARDS,
    )
    try:
        made.prepare()
        orchestrator = made.orchestrator()
        made.worker("worker-1")
        made.worker("worker-2")
        made.wait_ready()
        yield Limits(made, orchestrator)
    finally:
        made.close()


@pytest.fixture
async def client(limits: Limits):
    """A client of that installation."""
    made = limits.installation
    async with Client(made.connection, prefix=made.prefix, verdict_seconds=WAIT_SECONDS) as opened:
        yield opened


async def test_never_more_run_at_a_time_whoever_owns_the_shards(limits: Limits, client: Client) -> None:
    """Sixty runs over four shards keep one limit, also while their orchestrator is killed and comes back."""
    handles = [await client.start("narrows", f"n{number}", wait=False) for number in range(60)]

    async def under_way() -> bool:
        return len(limits.begun("narrow")) >= 10

    await until(under_way, "ten of them have begun")
    limits.orchestrator.kill()
    limits.orchestrator.start()
    results = await asyncio.gather(*(handle.result(WAIT_SECONDS) for handle in handles))
    assert sorted(results) == sorted(f"n{number}" for number in range(60))
    assert 2 <= limits.at_most("narrow") <= LIMIT
    assert set(limits.begun("narrow")) == set(results)


async def test_runs_that_share_a_shard_share_one_count(limits: Limits, client: Client) -> None:
    """With the customer as the partition key two run at a time for each; others do not wait for them."""
    names = [(customer, f"{customer}{number}") for number in range(10) for customer in ("ada", "bob")]
    handles = [
        await client.start("owns", {"customer": customer, "name": name}, partition_key=customer, wait=False)
        for customer, name in names
    ]
    await asyncio.gather(*(handle.result(WAIT_SECONDS) for handle in handles))
    assert (limits.at_most("own-ada"), limits.at_most("own-bob")) == (2, 2)


async def test_a_higher_priority_goes_first_and_what_waits_is_seen(limits: Limits, client: Client) -> None:
    """One run is under way; of those that wait the urgent one is next, and `runs` and metrics tell of them."""
    first = await client.start("single", "gated", partition_key="one")
    handles = [await client.start("single", f"usual{number}", partition_key="one") for number in range(5)]
    urgent = await client.start("single", "urgent", partition_key="one", priority=7)

    shown = json.loads(await limits.runs("show", urgent.run_id))
    assert shown["waits_for"][0].startswith("its turn to begin, under the limit of single, since 20")
    assert shown["priority"] == 7
    assert "the run waits for its turn: the limit is 1 at a time." in await limits.runs("explain", urgent.run_id)
    assert await asyncio.to_thread(limits.orchestrator.metric, "actionbus_runs_queued") == 6

    (limits.installation.folder / "open").touch()
    await asyncio.gather(*(handle.result(WAIT_SECONDS) for handle in (first, urgent, *handles)))
    assert limits.begun("wide") == ["gated", "urgent", *(f"usual{number}" for number in range(5))]
    assert limits.at_most("wide") == 1
    assert await asyncio.to_thread(limits.orchestrator.metric, "actionbus_runs_queued") == 0


async def test_a_burst_of_starts_is_one_run_with_the_last_input(limits: Limits, client: Client) -> None:
    """A run that has not begun takes what comes later; every caller gets its result."""
    handles = [await client.start("single", f"edit{number}", run_id="document-7", debounce="3s") for number in range(5)]
    results = await asyncio.gather(*(handle.result(WAIT_SECONDS) for handle in handles))
    assert Counter(results) == {"edit4": 5}
    assert limits.begun("wide") == ["edit4"]


async def test_a_deploy_says_where_a_limit_cannot_be_kept(limits: Limits) -> None:
    """Fewer at a time than there are shards, and a key: both have a way out, and it is told."""
    done = await asyncio.to_thread(limits.installation.command, "deploy", str(limits.installation.app))
    assert f"single: the workflow may run 1 at a time, but each of the {SHARDS} shards lets one run" in done.stderr
    assert "owns: the limit of action own is counted in each of the 4 shards for itself" in done.stderr
    assert "narrows" not in done.stderr
