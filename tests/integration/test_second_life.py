"""A run id that is used again after its retention: another life, which meets nothing of the first."""

import asyncio
from contextlib import suppress

import pytest

from actionbus.client import Client, RunHandle
from actionbus.contracts.errors import Conflict
from integration.installation import Installation
from integration.oracle import Ledger
from integration.orders import WAIT_SECONDS, until

RETENTION_HOURS = "0.0005"  # 1.8 seconds

pytestmark = pytest.mark.kafka


async def test_an_id_that_is_used_again_is_another_run(installation: Installation, ledger: Ledger) -> None:
    """After its retention an id is free: the second run does all its work again, and inbox rows are not mixed up."""
    installation.extra["ACTIONBUS_ORCHESTRATOR_RUN_RETENTION_HOURS"] = RETENTION_HOURS
    installation.orchestrator()
    installation.worker()
    await asyncio.to_thread(installation.wait_ready)
    async with Client(installation.connection, prefix=installation.prefix) as client:
        lives = []
        for number in (0, 1):
            started: list[RunHandle] = []

            async def free(number: int = number, started: list[RunHandle] = started) -> bool:
                with suppress(Conflict):
                    started.append(await client.start("order", {"number": number}, run_id="twice"))
                return bool(started)

            await until(free, "the id is free")
            assert await started[0].result(WAIT_SECONDS) == {"entry": f"ship-{number}"}
            (life,) = {event.incarnation for event in await started[0].history()}
            lives.append(life)
        assert lives[0] != lives[1]
    keys = ledger.rows("SELECT step_key, number FROM entries ORDER BY number, kind")
    assert keys == [
        (f"twice:{life}/{kind}", n) for n, life in enumerate(lives) for kind in ("charge", "reserve", "ship")
    ]
    inbox = ledger.rows("SELECT key FROM actionbus_inbox WHERE status = 'DONE'")
    assert sorted(inbox) == sorted((key,) for key, _ in keys)
