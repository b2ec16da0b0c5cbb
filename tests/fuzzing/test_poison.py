"""Hostile records on every topic of a live installation: everybody stays up, every run completes, each record is accounted for."""

import os
from pathlib import Path

import httpx
import pytest

from actionbus.client import Client
from fuzzing.hostile import Role
from fuzzing.installed import Poisoned
from fuzzing.poison import Poisoner
from integration import orders
from integration.orders import until

COUNT = int(os.environ.get("POISON_RECORDS", "3000"))
ORDERS = 200
SEED = 20_260_102

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.fixture
def poisoned(broker, prefix: str, tmp_path: Path):
    """Every service, with a visibility database of their own."""
    made = Poisoned(broker.bootstrap, prefix, tmp_path)
    made.start()
    try:
        yield made
    finally:
        made.close()


async def test_poison_stops_nobody(poisoned: Poisoned) -> None:
    """Random and hostile records between real ones cost a dead letter, a refusal or a count each, and nothing else."""
    installation, before = poisoned.installation, poisoned.pids
    async with (
        Client(installation.connection, prefix=installation.prefix) as client,
        poisoned.poisoner(SEED) as poisoner,
    ):
        tasks = orders.begin(client, range(ORDERS), in_flight=50)
        await poisoner.send(0, COUNT)
        outcomes = await orders.outcomes(tasks)
        await poisoner.settle()
        assert poisoner.accounting.balanced, str(poisoner.accounting)
        await _everything_is_counted(poisoner)
        poisoned.restart_orchestrator()  # which has to read the state topic, with all that was put there
        more = await orders.outcomes(orders.begin(client, range(ORDERS, ORDERS + 40)))
        outcomes |= more
    assert poisoned.ledger.judge(outcomes).clean, str(poisoned.ledger.judge(outcomes))
    assert {name: pid for name, pid in poisoned.pids.items() if name != "orchestrator"} == {
        name: pid for name, pid in before.items() if name != "orchestrator"
    }
    await _gateway_answers(poisoned)


async def _everything_is_counted(poisoner: Poisoner) -> None:
    """What no dead letter is made of is in the counts of those who pass it over, and the projector passed every event."""
    told = poisoner.accounting

    async def counted() -> bool:
        await poisoner.look()
        exact = (Role.DEFINITIONS, Role.CONTROL)
        return (
            all(told.ignored[role.value] == told.sent[role] - told.harmless[role] for role in exact)
            and told.ignored["events"] >= told.sent[Role.EVENTS] - told.harmless[Role.EVENTS]
            and told.ignored["events passed"] == told.events
        )

    await until(counted, "all of it is counted")


async def _gateway_answers(poisoned: Poisoned) -> None:
    """It follows events and definitions as before, and shows runs."""
    async with httpx.AsyncClient(base_url=poisoned.url, timeout=60) as http:
        started = await http.post(
            "/v1/runs", json={"workflow": "order", "input": {"number": 9_000}, "run_id": "order-9000"}
        )
        assert started.status_code in (200, 201, 202), started.text
        result = await http.get("/v1/runs/order-9000/result", params={"wait": 60})
        while result.status_code == 202:
            result = await http.get("/v1/runs/order-9000/result", params={"wait": 60})
        assert result.json()["status"] == "COMPLETED", result.text
