"""A cluster of three: losing any one broker costs nothing."""

import asyncio
from pathlib import Path

import pytest

from actionbus.client import Client
from integration import books, orders
from integration.conftest import APP
from integration.installation import Installation
from integration.oracle import Ledger
from integration.orders import until

RUNS = 80  # for each broker that is killed
IN_FLIGHT = 40

pytestmark = [pytest.mark.kafka, pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.fixture
def replicated(apache_kafka_3, prefix: str, ledger: Ledger, tmp_path: Path):
    """An installation whose topics have three copies."""
    made = Installation(
        bootstrap=apache_kafka_3.bootstrap,
        prefix=prefix,
        folder=tmp_path,
        app=APP,
        stores={"ledger": ledger.url},
        extra={"LEDGER_NOTICES": str(ledger.notices), "ACTIONBUS_TOPICS_REPLICATION_FACTOR": "3"},
    )
    try:
        made.prepare()
        yield made
    finally:
        made.close()


async def test_a_broker_killed_under_load_costs_no_effect(
    apache_kafka_3, replicated: Installation, ledger: Ledger
) -> None:
    """Each broker of three is killed and restarted in turn while runs are in flight: nothing is lost or doubled."""
    replicated.orchestrator()
    replicated.worker()
    await asyncio.to_thread(replicated.wait_ready)
    outcomes: dict[str, tuple[int, str]] = {}
    async with Client(replicated.connection, prefix=replicated.prefix) as client:
        for turn, node in enumerate(apache_kafka_3.nodes):
            first = turn * RUNS
            tasks = orders.begin(client, range(first, first + RUNS), in_flight=IN_FLIGHT)

            async def begun(wanted: int = first + RUNS // 10) -> bool:
                return ledger.runs_begun >= wanted

            await until(begun, "runs are in flight")
            apache_kafka_3.kill_node(node)
            assert not all(task.done() for task in tasks)
            outcomes |= await orders.outcomes(tasks)  # with two brokers
            apache_kafka_3.start_node(node, wait=False)
            await asyncio.to_thread(apache_kafka_3.wait_for, node)
    judgement = ledger.judge(outcomes)
    assert judgement.clean, str(judgement)
    published = await books.read(replicated.connection, replicated.prefix, replicated.shards)
    assert list(published.violations(outcomes)) == []
