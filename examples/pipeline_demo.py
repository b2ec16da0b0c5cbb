"""Two deliveries are loaded while a worker is killed; then a judge compares files and rows.

    python examples/pipeline_demo.py [--kafka HOST:PORT]

It starts a broker (or takes yours), an orchestrator and a worker, each a process of its own. Of the 200 files of march
few enough are damaged: it is loaded. Of the 60 files of april too many are: nothing of it stays in the database. The
worker is killed while files are being loaded. The exit code is 0 when the judge finds nothing wrong, 1 otherwise.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from actionbus import ActionbusError, RunFailed
from actionbus.client import Client
from actionbus.contracts.events import EntryKind
from pipeline_world import deliveries, judge
from signup_demo.processes import Installation, Process, broker

HERE = Path(__file__).parent
FILES = {"march": 200, "april": 60}
DAMAGED = {"march": 12, "april": 20}
GOOD = {"march"}  # the deliveries that have to be loaded
KILL_AT = 25  # files of march that are in the database
TOO_LATE_AT = 150
DEADLINE_SECONDS = 240.0


class Office:
    """One installation, its database, and the folders around it."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.folder, self.quarantine, self.database = folder, folder / "quarantine", folder / "measurements.sqlite"
        self.delivered = {
            name: deliveries.deliver(folder / name, files=files, damaged=DAMAGED[name]) for name, files in FILES.items()
        }
        self.completed: set[str] = set()
        self.installation = Installation(
            "pipeline-demo",
            bootstrap,
            app=HERE / "data_pipeline.py",
            folder=folder,
            settings={"ACTIONBUS_STORE_DEFAULT_URL": f"sqlite+aiosqlite:///{self.database}"},
        )

    async def load(self) -> None:
        """Load both deliveries, and kill the worker meanwhile."""
        await self.installation.deploy(print)
        orchestrator, worker = self.installation.orchestrator("orchestrator"), self.installation.worker("worker")
        await asyncio.gather(orchestrator.ready(), worker.ready())
        async with Client(self.installation.connection, prefix=self.installation.topics.prefix) as client:
            await asyncio.gather(*(self._load(client, name) for name in FILES), self._kill(worker))

    def verdict(self) -> list[str]:
        """Every violation, once nothing moves any more."""
        found = [f"{name} ended the other way" for name in FILES if (name in self.completed) is not (name in GOOD)]
        for name, delivered in self.delivered.items():
            found += judge.violations(delivered, self._look(name), completed=name in self.completed)
        return found

    async def _load(self, client: Client, name: str) -> None:
        given = {"folder": str(self.folder / name), "quarantine": str(self.quarantine / name)}
        run = await client.start("load-folder", given, run_id=name, request_id=name)
        try:
            print(f"{name} completed: {await run.result(DEADLINE_SECONDS)}")
            self.completed.add(name)
        except RunFailed as failure:
            entries = [entry for event in await run.history() for entry in event.entries]
            undone = sum(entry.kind is EntryKind.STEP_COMPENSATED for entry in entries)
            print(f"{name} failed, {undone} steps were undone: {failure.reason}")

    def _look(self, name: str) -> judge.World:
        return judge.look(self.folder / name, self.quarantine / name, self.database)

    async def _kill(self, process: Process) -> None:
        while (loaded := len((await asyncio.to_thread(self._look, "march")).rows)) < KILL_AT:  # noqa: ASYNC110 - a moment in the world
            await asyncio.sleep(0.01)
        pid = process.pid
        process.kill()
        print(f"kill -9 {pid}: {process.name} is gone, {loaded} files of {FILES['march']} are loaded")
        if loaded > TOO_LATE_AT:
            raise RuntimeError("that was too late to prove anything")
        process.start()
        await process.ready()


async def demonstrate(kafka: str | None, folder: Path) -> list[str]:
    """The whole demo; gives the violations."""
    async with broker(kafka, folder, print) as bootstrap:
        office = Office(bootstrap, folder)
        try:
            await office.load()
        finally:
            await office.installation.close(delete_topics=kafka is not None)
    return office.verdict()


def main() -> int:
    """Parse the command line, run, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", metavar="HOST:PORT", help="a running broker; default: an embedded one")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="pipeline-demo-"))
    try:
        found = asyncio.run(demonstrate(given.kafka, folder))
    except (ActionbusError, RuntimeError) as error:
        print(f"The demo could not run to its end; logs are in {folder}", error, sep="\n")
        return 1
    if found:
        print(*found, f"{len(found)} violations; logs and the database are in {folder}", sep="\n")
        return 1
    shutil.rmtree(folder)
    print("The judge found nothing wrong.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
