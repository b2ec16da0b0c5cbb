"""Shards change hands: two orchestrators share them, one leaves, one is frozen past its session and thaws."""

import asyncio
import signal

import pytest

from actionbus.client import Client
from integration import books, orders
from integration.installation import Installation, Service
from integration.oracle import Ledger
from integration.orders import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def _owned(service: Service) -> int:
    """How many shards a process serves, as its metrics say."""
    return int(await asyncio.to_thread(service.metric, "actionbus_shards_owned"))


async def _judge(installation: Installation, ledger: Ledger, outcomes: dict[str, tuple[int, str]]) -> None:
    judgement = ledger.judge(outcomes)
    assert judgement.clean, str(judgement)
    published = await books.read(installation.connection, installation.prefix, installation.shards)
    assert list(published.violations(outcomes)) == []


async def test_two_orchestrators_share_the_shards_and_hand_them_over(
    installation: Installation, ledger: Ledger
) -> None:
    """Both own some shards; when one leaves in good order the other serves all of them; no run suffers."""
    first = installation.orchestrator("first")
    installation.worker()
    await asyncio.to_thread(installation.wait_ready)
    async with Client(installation.connection, prefix=installation.prefix) as client:
        tasks = orders.begin(client, range(200), in_flight=50)
        second = installation.orchestrator("second")

        async def shared() -> bool:
            return await _owned(first) > 0 and await _owned(second) > 0

        await until(shared, "both orchestrators own shards")
        tasks += orders.begin(client, range(200, 280), in_flight=50)
        assert await asyncio.to_thread(first.stop) == 0

        async def alone() -> bool:
            return await _owned(second) == installation.shards

        await until(alone, "the second orchestrator owns all shards")
        tasks += orders.begin(client, range(280, 320), in_flight=50)
        outcomes = await orders.outcomes(tasks)
    await _judge(installation, ledger, outcomes)


@pytest.mark.parametrize("broker", ["kafka"], indirect=True)  # noida-db 0.2.3 never throws a silent leader out
@pytest.mark.java
async def test_a_frozen_owner_changes_nothing_when_it_thaws(installation: Installation, ledger: Ledger) -> None:
    """An owner stopped past its session and continued is fenced: every effect still happens exactly once."""
    zombie = installation.orchestrator("zombie")
    installation.worker()
    await asyncio.to_thread(installation.wait_ready)
    async with Client(installation.connection, prefix=installation.prefix) as client:
        tasks = orders.begin(client, range(200), in_flight=50)

        async def begun() -> bool:
            return ledger.runs_begun >= 20

        await until(begun, "runs are in flight")
        zombie.signal(signal.SIGSTOP)
        assert not all(task.done() for task in tasks)
        successor = installation.orchestrator("successor")

        async def taken() -> bool:
            return await _owned(successor) == installation.shards

        await until(taken, "the successor owns all shards")
        await asyncio.to_thread(successor.wait_ready)
        zombie.signal(signal.SIGCONT)
        outcomes = await orders.outcomes(tasks)
        outcomes |= await orders.outcomes(orders.begin(client, range(200, 240)))

        async def owned_once() -> bool:
            return await _owned(zombie) + await _owned(successor) == installation.shards

        await until(owned_once, "every shard has one owner, and the zombie knows it")
    await _judge(installation, ledger, outcomes)
