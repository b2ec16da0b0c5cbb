"""The processes of a demo: started, found ready, killed as kill -9 does, and ended. Each has a log file.

An installation is all of them, under a prefix of its own; every demo of these examples has one.
"""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.kafka.connection import Connection
from actionbus.kafka.embedded import EmbeddedBroker

READY_SECONDS = 120.0
ENDED_SECONDS = 40.0


class Process:
    """One process with a log file of its own; `ready_url` answers 200 once it is of use."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, environment: dict[str, str], ready_url: str = ""
    ) -> None:
        self.name = name
        self._command = [sys.executable, *command]
        self._log = folder / f"{name}.log"
        self._environment = environment
        self._ready_url = ready_url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the running process."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it; its output is appended to its log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    async def ready(self) -> None:
        """Return when it is of use; raises RuntimeError with the end of its log when it ended or took too long."""
        deadline = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    if (await http.get(self._ready_url)).is_success:
                        return
                except httpx.TransportError:
                    pass  # nobody listens yet
                if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not become ready:\n{self.last_words()}")
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """End it with SIGKILL: it gets no chance to finish or to say anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(ENDED_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2_000:]


class Installation:
    """The services of one app and the programs around them; ``settings`` are what the app reads of its environment."""

    def __init__(self, name: str, bootstrap: str, *, app: Path, folder: Path, settings: dict[str, str]) -> None:
        self.connection = Connection(bootstrap_servers=bootstrap, client_id=name)
        self.topics = Topics(f"{name}-{secrets.token_hex(3)}")
        self._app = str(app)
        self._folder = folder
        self._processes: list[Process] = []
        self._environment = (
            plain_environment()
            | {
                "ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
                "ACTIONBUS_PREFIX": self.topics.prefix,
                "ACTIONBUS_NONCE_CURRENT": secrets.token_hex(32),
                "ACTIONBUS_TOPICS_SHARDS": "4",
                "ACTIONBUS_TOPICS_ACTION_PARTITIONS": "4",
                "ACTIONBUS_TOPICS_REPLICATION_FACTOR": "1",
            }
            | settings
        )

    def program(self, name: str, *command: str) -> None:
        """Start a program that is no part of actionbus."""
        process = Process(name, command, folder=self._folder, environment=plain_environment())
        process.start()
        self._processes.append(process)

    async def deploy(self, say: Callable[[str], None]) -> None:
        """Make the topics, and deploy the workflows of the app."""
        for command in (["topics", "apply"], ["deploy"]):
            say(f"actionbus {' '.join(command)}")
            await asyncio.to_thread(
                run_once, ["-m", "actionbus.cli.main", *command, self._app], environment=self._environment
            )

    def orchestrator(self, name: str) -> Process:
        """Start an orchestrator."""
        return self._service(name, "run", "orchestrator")

    def worker(self, name: str) -> Process:
        """Start a worker for every action of the app."""
        return self._service(name, "run", "worker", self._app)

    async def close(self, *, delete_topics: bool) -> None:
        """End every process; on a broker that is not the demo's own, remove the demo's topics."""
        await asyncio.gather(*(asyncio.to_thread(each.end) for each in reversed(self._processes)))
        if delete_topics:
            async with Admin(self.connection) as admin:
                await admin.delete_topics(list(await admin.topics(f"{self.topics.prefix}.")))

    def _service(self, name: str, *command: str) -> Process:
        port = free_port()
        process = Process(
            name,
            ["-m", "actionbus.cli.main", *command],
            folder=self._folder,
            environment=self._environment
            | {
                "ACTIONBUS_HTTP_PORT": str(port),
                # A name that lasts: who comes back under it has its share of the work at once. noida-db 0.2.3 never
                # misses a dead member; Kafka does so after the session timeout.
                "ACTIONBUS_ORCHESTRATOR_GROUP_INSTANCE_ID": name,
                "ACTIONBUS_WORKER_GROUP_INSTANCE_ID": name,
                "ACTIONBUS_ORCHESTRATOR_STATE_DIR": str(self._folder / f"{name}-state"),
            },
            ready_url=f"http://127.0.0.1:{port}/ready",
        )
        process.start()
        self._processes.append(process)
        return process


@asynccontextmanager
async def broker(given: str | None, folder: Path, say: Callable[[str], None]) -> AsyncIterator[str]:
    """The address of the broker: yours, or one for development that lives as long as the demo."""
    if given is not None:
        say(f"your Kafka at {given}")
        yield given
        return
    async with EmbeddedBroker(folder / "broker") as embedded:
        say(f"an embedded broker at {embedded.bootstrap_servers}")
        yield embedded.bootstrap_servers


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_once(command: Sequence[str], *, environment: dict[str, str]) -> None:
    """Run one command of actionbus to its end; raises RuntimeError with what it printed when it fails."""
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False, timeout=READY_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def plain_environment() -> dict[str, str]:
    """This process's environment without settings of actionbus: the demo says them all itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ACTIONBUS_")}
