"""Worker processes of their own, for tests that kill them."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

from support import commands

LOOK_SECONDS = 0.02


def environment(station, **variables):
    """What a worker process is started with."""
    return os.environ | {
        "ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": station.connection.bootstrap_servers,
        "ACTIONBUS_PREFIX": station.topics.prefix,
        "ACTIONBUS_HTTP_PORT": "0",
        # A name that lasts: the next one has its partitions at once. noida-db 0.2.3 keeps any other dead leader for ever.
        "ACTIONBUS_WORKER_GROUP_INSTANCE_ID": "worker-1",
        "PYTHONPATH": str(Path(__file__).parent.parent),
        **variables,
    }


@asynccontextmanager
async def worker_process(station, folder, module, **variables):
    """A worker that carries out the actions of a module; the test may kill it, and else it is told to stop."""
    process = _begin(station, folder, module, variables)
    try:
        yield process
    finally:
        process.terminate()
        await _ended(process)


@asynccontextmanager
async def supervised(station, folder, module, **variables):
    """Worker processes, one after another: whenever one ends the next is started; gives the codes with which they ended."""
    codes = []

    async def supervise():
        while True:
            process = _begin(station, folder, module, variables)
            try:
                codes.append(await _ended(process))
            except asyncio.CancelledError:
                process.terminate()
                await _ended(process)
                raise

    supervisor = asyncio.create_task(supervise())
    try:
        yield codes
    finally:
        supervisor.cancel()
        await asyncio.gather(supervisor, return_exceptions=True)


async def killed(process):
    """``kill -9``, and nothing of it is left."""
    process.kill()
    await _ended(process)


def _begin(station, folder, module, variables):
    with (folder / "worker.log").open("ab") as log:
        given = {"env": environment(station, **variables), "cwd": folder, "log": log.fileno()}
        return commands.begin("run", "worker", module, **given)


async def _ended(process):
    """Its exit code."""
    while (code := process.poll()) is None:  # noqa: ASYNC110 - a pipe of another process
        await asyncio.sleep(LOOK_SECONDS)
    return code
