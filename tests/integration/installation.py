"""One installation of actionbus as its users run it: separate processes, started by the command line, on a broker."""

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from actionbus.kafka.connection import Connection
from support import commands
from support.ports import free_ports

READY_SECONDS = 240.0
ENDED_SECONDS = 120.0
INSTANCES = ("ACTIONBUS_ORCHESTRATOR_GROUP_INSTANCE_ID", "ACTIONBUS_WORKER_GROUP_INSTANCE_ID")


def connection(bootstrap: str, login: tuple[str, str] | None = None) -> Connection:
    """For a client of the test, with the credentials that the broker asks for."""
    if login is None:
        return Connection(bootstrap_servers=bootstrap, client_id="test")
    return Connection(
        bootstrap_servers=bootstrap,
        client_id="test",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username=login[0],
        sasl_password=login[1],
    )


@dataclass
class Service:
    """One process of an installation."""

    name: str
    command: list[str]
    environment: dict[str, str]
    folder: Path
    port: int = 0
    process: commands.Begun | subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it on a fresh probe port; its output is appended to one log per service. Call it in the main thread."""
        (self.port,) = free_ports(1)
        with (self.folder / f"{self.name}.log").open("ab") as log:
            environment = self.environment | {"ACTIONBUS_HTTP_PORT": str(self.port)}
            self.process = commands.begin(*self.command, env=environment, cwd=self.folder, log=log.fileno())

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process is not None
        return self.process.pid

    @property
    def output(self) -> str:
        """The end of its log, for a message."""
        return (self.folder / f"{self.name}.log").read_text(errors="replace")[-8000:]

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(ENDED_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end after SIGTERM:\n{self.output}") from None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of its probe pages; status 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """The sum over all labels of one of its metrics."""
        _, page = self.get("/metrics")
        values = [line.rsplit(" ", 1)[1] for line in page.splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(float(value) for value in values)

    def wait_ready(self) -> None:
        """Return when /ready says yes; fail with its log when the process ended or took too long."""
        deadline = time.monotonic() + READY_SECONDS
        while self.get("/ready")[0] != 200:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.output}"
            assert time.monotonic() < deadline, f"{self.name} is not ready: {self.get('/ready')}\n{self.output}"
            time.sleep(0.1)


@dataclass
class Installation:
    """Topics, definitions and processes under one prefix."""

    bootstrap: str
    prefix: str
    folder: Path
    app: Path
    stores: dict[str, str] = field(default_factory=dict)
    extra: dict[str, str] = field(default_factory=dict)
    services: list[Service] = field(default_factory=list)
    login: tuple[str, str] | None = None  # user and password, for a broker that asks for them
    named: bool = False  # each process keeps its name in its groups, and its share while it is away
    shards: int = 4
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # more for the environment of one, by its name
    code: Path | None = None  # of another release: commands run it, and whatever is started

    @property
    def environment(self) -> dict[str, str]:
        """What every process is started with; nothing of the caller's own settings leaks in."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONBUS_")}
        return inherited | {
            "ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "ACTIONBUS_PREFIX": self.prefix,
            "ACTIONBUS_TOPICS_SHARDS": str(self.shards),
            "ACTIONBUS_TOPICS_ACTION_PARTITIONS": "4",
            "ACTIONBUS_TOPICS_REPLICATION_FACTOR": "1",
            "ACTIONBUS_LOG_LEVEL": "warning",
            **self._credentials,
            **{f"ACTIONBUS_STORE_{name.upper()}_URL": url for name, url in self.stores.items()},
            **({} if self.code is None else {"PYTHONPATH": str(self.code)}),
            **self.extra,
        }

    @property
    def _credentials(self) -> dict[str, str]:
        if self.login is None:
            return {}
        return {
            "ACTIONBUS_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "ACTIONBUS_KAFKA_SASL_MECHANISM": "PLAIN",
            "ACTIONBUS_KAFKA_SASL_USERNAME": self.login[0],
            "ACTIONBUS_KAFKA_SASL_PASSWORD": self.login[1],
        }

    @property
    def connection(self) -> Connection:
        """For a client of the test."""
        return connection(self.bootstrap, self.login)

    def command(self, *arguments: str, ok: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command of the command line to its end."""
        run = commands.run if self.code is None else commands.run_anew
        done = run(*arguments, env=self.environment, cwd=self.folder, timeout=READY_SECONDS)
        assert not ok or done.returncode == 0, f"{arguments} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def prepare(self) -> None:
        """Make the topics and deploy the app's workflows."""
        self.command("topics", "apply", str(self.app))
        self.command("deploy", str(self.app))

    def orchestrator(self, name: str = "orchestrator") -> Service:
        """Start an orchestrator with a state folder of its own."""
        return self._start(name, ["run", "orchestrator"], {"ACTIONBUS_ORCHESTRATOR_STATE_DIR": str(self.folder / name)})

    def worker(self, name: str = "worker", app: Path | None = None) -> Service:
        """Start a worker that hosts the actions of the app, or of another one."""
        return self._start(name, ["run", "worker", str(app or self.app)], {})

    def canary(self, *options: str) -> Service:
        """Start a canary, with its ledger in `canary.db` in the folder `canary`."""
        return self._start("canary", ["canary", "--state-dir", str(self.folder / "canary"), *options], {})

    def projector(self, name: str = "projector") -> Service:
        """Start a projector; ``extra`` says where the visibility database is."""
        return self._start(name, ["run", "projector"], {})

    def gateway(self, port: int, name: str = "gateway") -> Service:
        """Start a gateway that answers on a port."""
        return self._start(name, ["run", "gateway"], {"ACTIONBUS_GATEWAY_PORT": str(port)})

    def _start(self, name: str, command: list[str], environment: dict[str, str]) -> Service:
        if self.named:
            environment = environment | dict.fromkeys(INSTANCES, name)
        service = Service(name, command, self.environment | environment | dict(self.own.get(name, {})), self.folder)
        service.start()
        self.services.append(service)
        return service

    def wait_ready(self) -> None:
        """Return when every process is ready."""
        for service in self.services:
            service.wait_ready()

    def close(self) -> None:
        """End what still runs."""
        for service in self.services:
            if service.process is not None and service.process.poll() is None:
                service.signal(signal.SIGCONT)
                service.kill()
