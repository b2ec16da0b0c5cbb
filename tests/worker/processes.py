"""Worker processes of their own, for tests that kill them."""

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path


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


def command(module):
    """What starts a worker that carries out the actions of a module."""
    return [sys.executable, "-m", "actionbus.cli.main", "run", "worker", module]


@asynccontextmanager
async def worker_process(station, folder, module, **variables):
    """A worker that carries out the actions of a module; the test may kill it, and else it is told to stop."""
    given = {"env": environment(station, **variables), "cwd": folder}
    with (folder / "worker.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(*command(module), **given, stdout=log, stderr=log)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


@asynccontextmanager
async def supervised(station, folder, module, **variables):
    """Worker processes, one after another: whenever one ends the next is started; gives the codes with which they ended."""
    given = {"env": environment(station, **variables), "cwd": folder}
    codes = []

    async def supervise():
        with (folder / "worker.log").open("ab") as log:
            while True:
                process = await asyncio.create_subprocess_exec(*command(module), **given, stdout=log, stderr=log)
                try:
                    codes.append(await process.wait())
                except asyncio.CancelledError:
                    process.terminate()
                    await process.wait()
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
    await process.wait()
