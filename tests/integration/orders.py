"""Orders of the ledger app as their callers see them: started, waited for, and written down with their outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from actionbus.client import Client
from actionbus.contracts.errors import RunFailed

WAIT_SECONDS = 600.0  # far above what is normal: a hang is a failure, slowness is not
IN_FLIGHT = 400


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return once the condition holds; what it is stands in the failure when it never does."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while not await condition():  # noqa: ASYNC110 - what changes is in other processes
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it never came true that {what}") from None


def begin(client: Client, numbers: Iterable[int], *, in_flight: int = IN_FLIGHT) -> list[asyncio.Task]:
    """One task for each order; at most so many of them are under way at once."""
    gate = asyncio.Semaphore(in_flight)
    return [asyncio.create_task(_order(client, number, gate)) for number in numbers]


async def outcomes(tasks: Iterable[asyncio.Task]) -> dict[str, tuple[int, str]]:
    """Run id -> (number, status) of every order, once all of them have ended."""
    return dict(await asyncio.gather(*tasks))


async def _order(client: Client, number: int, gate: asyncio.Semaphore) -> tuple[str, tuple[int, str]]:
    run_id = f"order-{number}"
    async with gate:
        handle = await client.start("order", {"number": number}, run_id=run_id, wait=False)
        try:
            await handle.result(WAIT_SECONDS)
        except RunFailed as failed:
            return run_id, (number, failed.status)
        return run_id, (number, "COMPLETED")
