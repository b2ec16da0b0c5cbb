"""The canary on a live installation: it goes on over kills, and it says what is lost and what is doubled."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from actionbus.canary.beat import BEATS, RUNS
from integration.installation import Installation, Service
from integration.orders import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
LONG_AGO = 1_700_000_000_000


@pytest.fixture
def installation(broker, prefix: str, tmp_path: Path) -> Iterator[Installation]:
    """Topics without any workflow but the canary's own."""
    made = Installation(bootstrap=broker.bootstrap, prefix=prefix, folder=tmp_path, app=tmp_path)
    made.named = broker.kind == "embedded"  # noida-db 0.2.3 keeps a dead leader until it comes back by its name
    made.command("topics", "apply")
    try:
        yield made
    finally:
        made.close()


async def test_the_canary_counts_over_kills(installation: Installation) -> None:
    """The orchestrator and the canary itself, with its worker, are killed: every run is judged, none lost or doubled."""
    orchestrator, canary = installation.orchestrator(), installation.canary("--every", "0.05")
    await _judged(canary, 20)
    await asyncio.to_thread(orchestrator.kill)
    orchestrator.start()
    await _judged(canary, canary.metric("actionbus_canary_runs_total") + 20)
    before = _open(installation)
    await asyncio.to_thread(canary.kill)
    canary.start()
    await _judged(canary, 20)

    async def all_judged() -> bool:
        return not before & _open(installation)

    await until(all_judged, "what the killed canary had asked for is judged")
    assert canary.metric("actionbus_canary_lost_total") == canary.metric("actionbus_canary_doubled_total") == 0
    assert canary.metric("actionbus_canary_latency_seconds_count") >= 20
    assert await asyncio.to_thread(canary.stop) == 0


async def test_what_is_lost_or_doubled_is_counted(installation: Installation) -> None:
    """A run that nobody knows of although it was asked for is asked for again; one without its row, or with two, is told."""
    orchestrator, canary = installation.orchestrator(), installation.canary("--every", "0.2", "--due", "1")
    await _judged(canary, 3)
    orchestrator.signal(signal.SIGSTOP)

    async def waits() -> bool:
        return len(_open(installation)) >= 2

    await until(waits, "runs wait for the orchestrator")
    await asyncio.to_thread(canary.kill)
    doubled = min(_open(installation))
    _write(installation, sa.insert(BEATS).values([{"run_id": doubled}, {"run_id": doubled}]))
    _write(installation, sa.insert(RUNS).values(run_id="never-heard-of", asked_at=LONG_AGO))
    orchestrator.signal(signal.SIGCONT)
    canary.start()

    async def told() -> bool:
        return canary.metric("actionbus_canary_doubled_total") == 1 and "never-heard-of" not in _open(installation)

    await until(told, "the doubled run is told, and the one that was never asked for is asked for")
    assert canary.metric("actionbus_canary_lost_total") == 0


def _open(installation: Installation) -> set[str]:
    return set(_read(installation, sa.select(RUNS.c.run_id)))


def _engine(installation: Installation) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{installation.folder / 'canary' / 'canary.db'}", connect_args={"timeout": 60})


def _read(installation: Installation, statement) -> list[str]:
    engine = _engine(installation)
    with engine.connect() as connection:
        found = list(connection.execute(statement).scalars())
    engine.dispose()
    return found


def _write(installation: Installation, statement) -> None:
    engine = _engine(installation)
    with engine.begin() as connection:
        connection.execute(statement)
    engine.dispose()


async def _judged(canary: Service, count: float) -> None:
    async def enough() -> bool:
        return canary.metric("actionbus_canary_runs_total") >= count

    await until(enough, f"{count:g} runs are judged")
