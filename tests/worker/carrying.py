"""One command, carried out as a lane does it."""

import asyncio

from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.worker.attempts import Attempt
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.threads import Threads
from worker.commands import execute


async def carried_out(store, action, **changes):
    """The outcome of a command of an action, carried out as a lane does it."""
    limits = DEFAULT_LIMITS
    execution = Execution(action, limits=limits, failures=Failures(limits), threads=Threads(1, "x"), store=store)
    attempt = Attempt(command=execute(value={}, action=action.id, **changes), claims=[])
    ended = []

    async def perform():
        ended.append(await execution.perform(attempt))

    attempt.task = asyncio.create_task(perform())
    await attempt.task
    await execution.close()
    return ended[0]
