"""Deadlines that are met because a test says so, and not because time has passed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noted(seconds: float) -> Iterator[list[asyncio.Timeout]]:
    """Every deadline of exactly so many seconds that anybody sets inside of the block, oldest first."""
    found: list[asyncio.Timeout] = []
    real = asyncio.timeout

    def timeout(delay: float | None) -> asyncio.Timeout:
        made = real(delay)
        if delay == seconds:
            found.append(made)
        return made

    asyncio.timeout = timeout
    try:
        yield found
    finally:
        asyncio.timeout = real


def meet(deadline: asyncio.Timeout) -> None:
    """Let it be over now."""
    deadline.reschedule(asyncio.get_running_loop().time())
