"""Foreign clients: Kafka's own console consumer reads the events."""

import asyncio
import subprocess

import pytest

from actionbus.client import Client
from integration import orders
from integration.installation import Installation
from support import kafka_jars

NUMBERS = (0, 1, 2, 3, 5)  # one is declined, one retried

pytestmark = [pytest.mark.kafka, pytest.mark.java]


@pytest.fixture
def console_consumer(apache_kafka) -> list[str]:
    """The command that starts Kafka's console consumer; skips, visibly, where Java is missing."""
    del apache_kafka  # it is what skips, or fails where Java is required
    return [
        kafka_jars.java(),
        "-Xmx128m",
        "-cp",
        str(kafka_jars.jars() / "*"),
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
    ]


async def test_a_java_console_consumer_reads_every_committed_event(
    installation: Installation, console_consumer: list[str]
) -> None:
    """ConsoleConsumer with read_committed sees one event record per transition, with CloudEvents headers."""
    installation.orchestrator()
    installation.worker()
    await asyncio.to_thread(installation.wait_ready)
    async with Client(installation.connection, prefix=installation.prefix) as client:
        outcomes = await orders.outcomes(orders.begin(client, NUMBERS))
        histories = [await client.handle(run_id).history() for run_id in outcomes]
    expected = sum(len(history) for history in histories)
    assert expected >= 5 * len(NUMBERS)  # a start and four results each, at the least
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *console_consumer,
            *("--bootstrap-server", installation.bootstrap, "--topic", f"{installation.prefix}.workflow.events.v1"),
            *("--isolation-level", "read_committed", "--from-beginning", "--timeout-ms", "120000"),
            *("--max-messages", str(expected)),
            *("--formatter-property", "print.key=true", "--formatter-property", "print.headers=true"),
        ],
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert f"Processed a total of {expected} messages" in done.stderr.decode(), done.stderr.decode()
    assert done.stdout.count(b"ce_type:actionbus.v1.WorkflowEvent") == expected
    for run_id, history in zip(outcomes, histories, strict=True):
        assert done.stdout.count(f"\t{run_id}\t".encode()) == len(history)
