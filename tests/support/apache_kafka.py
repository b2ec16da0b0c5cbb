"""Apache Kafka started from its jars: one KRaft node, or three, on free loopback ports, each a child process.

Stopping, killing and restarting a node is part of what tests do; proxies between client and node are in `proxy`.

A start from jars alone takes seven seconds of a processor, most of them for loading classes, and formatting a node
takes two more. Both are done once on a machine: the classes are kept as the JVM keeps them, the formatted metadata is
copied. And the JVM compiles quickly instead of well, as a broker of tests does not live long enough to earn it back.
"""

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import kafka_jars
from support.commands import die_with_parent
from support.ports import free_ports

START_SECONDS = 600.0  # ends a hang; a busy machine needs minutes
STOP_SECONDS = 60.0
FORMATTED = "bootstrap.checkpoint"
CLASSES = "classes.jsa"


def _fresh_id() -> str:
    """An id as Kafka makes them: its tool takes one that begins with a dash for an option."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


@dataclass(frozen=True)
class Place:
    """Where a node runs: its address, and the command by which another one is run there."""

    host: str = "127.0.0.1"
    enter: tuple[str, ...] = ()


@dataclass
class Node:
    """One broker that is its cluster's controller as well."""

    number: int
    port: int
    controller_port: int
    folder: Path
    place: "Place"
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port for clients."""
        return f"{self.place.host}:{self.port}"

    @property
    def log(self) -> Path:
        """What the broker said, over all its starts."""
        return self.folder / "broker.log"


@dataclass
class ApacheKafka:
    """A cluster of one or three nodes."""

    folder: Path
    size: int = 1
    settings: dict[str, str] = field(default_factory=dict)
    heap_mb: int = 384
    environment: dict[str, str] = field(default_factory=dict)
    places: Sequence[Place] = ()
    """Where its nodes run; on this machine's loopback when left out."""
    cluster_id: str = field(default_factory=_fresh_id)
    nodes: list[Node] = field(default_factory=list)

    @property
    def bootstrap(self) -> str:
        """The addresses of all nodes, as clients take them."""
        return ",".join(node.address for node in self.nodes)

    @property
    def controller(self) -> Node | None:
        """The node that leads the quorum, as the voters wrote it down; None while they elect.

        Clients cannot ask: a KRaft broker names itself or any other one as the controller in its metadata.
        """
        votes = [node.folder / "data" / "__cluster_metadata-0" / "quorum-state" for node in self.nodes]
        said = [json.loads(vote.read_text()) for vote in votes if vote.exists()]
        newest = max(said, key=lambda vote: (vote["leaderEpoch"], vote["leaderId"]), default={"leaderId": -1})
        return next((node for node in self.nodes if node.number == newest["leaderId"]), None)

    def start(self) -> None:
        """Format and start every node, and return when each of them takes connections."""
        ports = free_ports(2 * self.size)
        for _ in range(self.size):
            self.add_node(ports.pop(), ports.pop())
        found = _prepared()
        for node in self.nodes:
            (node.folder / "server.properties").write_text(self._properties(node))
            self._format(node, found / FORMATTED)
            self.start_node(node, wait=False)
        for node in self.nodes:
            self.wait_for(node)

    def add_node(self, port: int, controller_port: int) -> Node:
        """One more node, with a folder and nothing in it."""
        number = len(self.nodes) + 1
        place = self.places[number - 1] if self.places else Place()
        node = Node(number, port, controller_port, self.folder / f"node-{number}", place)
        node.folder.mkdir(parents=True)
        self.nodes.append(node)
        return node

    def start_node(self, node: Node, *, wait: bool = True) -> None:
        """Start a node, also one that was stopped or killed.

        Call it in the main thread: Linux ends a child with the thread that started it, not with the process. With
        `wait` false it returns at once, and `wait_for` may then run anywhere.
        """
        assert threading.current_thread() is threading.main_thread(), "the node would end with this thread"
        classes = _prepared() / CLASSES
        node.process = self._java(node, f"-XX:SharedArchiveFile={classes}")
        if wait:
            self.wait_for(node)

    def kill_node(self, node: Node) -> None:
        """End a node as kill -9 does."""
        assert node.process is not None
        node.process.kill()
        node.process.wait()

    def stop_node(self, node: Node) -> None:
        """Ask a node to end, and kill it when it does not."""
        assert node.process is not None
        node.process.terminate()
        try:
            node.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            node.process.kill()
            node.process.wait()

    def stop(self) -> None:
        """End all nodes; what they stored goes with their folder."""
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.kill()
        for node in self.nodes:
            if node.process is not None:
                node.process.wait()

    def wait_for(self, node: Node) -> None:
        """Return when the node takes connections; raise with the end of its log when it ended or took too long."""
        assert node.process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with socket.create_connection((node.place.host, node.port), timeout=1):
                    return
            except OSError:
                ended = node.process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(f"the broker did not start:\n{node.log.read_text()[-4000:]}") from None
                time.sleep(0.1)

    def _format(self, node: Node, checkpoint: Path) -> None:
        """What Kafka's own tool writes: the same metadata for every node, and who this one is."""
        data = node.folder / "data"
        data.mkdir()
        shutil.copy(checkpoint, data)
        names = {"version": "1", "cluster.id": self.cluster_id, "node.id": node.number, "directory.id": _fresh_id()}
        (data / "meta.properties").write_text("".join(f"{name}={value}\n" for name, value in names.items()))

    def _java(self, node: Node, option: str) -> subprocess.Popen[bytes]:
        command = [
            *node.place.enter,
            *_java(self.heap_mb),
            option,
            "kafka.Kafka",
            str(node.folder / "server.properties"),
        ]
        # The child must not outlive the test run, not even one that was killed.
        with node.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | self.environment,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - no threads touch the child between fork and exec
            )

    def _properties(self, node: Node) -> str:
        copies, host = str(self.size), node.place.host
        quorum = str(2 if self.size > 1 else 1)
        values = {
            "process.roles": "broker,controller",
            "node.id": str(node.number),
            "controller.quorum.voters": ",".join(f"{n.number}@{n.place.host}:{n.controller_port}" for n in self.nodes),
            "listeners": f"PLAINTEXT://{host}:{node.port},CONTROLLER://{host}:{node.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{host}:{node.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(node.folder / "data"),
            "auto.create.topics.enable": "false",
            "default.replication.factor": copies,
            "min.insync.replicas": quorum,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": quorum,
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": quorum,
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.dedupe.buffer.size": "4194304",
        }
        if self.size > 1:  # a broker that was killed comes back only after its session
            values |= {"broker.session.timeout.ms": "5000", "broker.heartbeat.interval.ms": "1000"}
        return "".join(f"{name}={value}\n" for name, value in (values | self.settings).items())


def _java(heap_mb: int) -> list[str]:
    return [
        kafka_jars.java(),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-cp",
        str(kafka_jars.jars() / "*"),
    ]


def _prepared() -> Path:
    """The folder with what `_prepare` made; another Java cannot use the classes of this one."""
    path = Path(kafka_jars.java()).resolve()
    mine = hashlib.sha256(f"{path} {path.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    return kafka_jars.kept(f"-{mine}", _prepare)


def _prepare(folder: Path) -> None:
    """Format one node as Kafka does and let it run once: what it wrote and which classes it loaded are kept."""
    cluster = ApacheKafka(folder / "once")
    node = cluster.add_node(*free_ports(2))
    (node.folder / "server.properties").write_text(cluster._properties(node))
    settings = str(node.folder / "server.properties")
    format_ = ["kafka.tools.StorageTool", "format", "-t", cluster.cluster_id, "-c", settings]
    subprocess.run([*_java(cluster.heap_mb), *format_], check=True, capture_output=True, timeout=START_SECONDS)
    shutil.copy(node.folder / "data" / FORMATTED, folder)
    node.process = cluster._java(node, f"-XX:ArchiveClassesAtExit={folder / CLASSES}")
    try:
        cluster.wait_for(node)
        node.process.terminate()
        node.process.wait(START_SECONDS)
    finally:
        cluster.stop()
    shutil.rmtree(folder / "once")


@contextmanager
def running(
    folder: Path, *, size: int = 1, settings: dict[str, str] | None = None, **more: Any
) -> Iterator[ApacheKafka]:
    """A cluster for the length of a with block; ``more`` are fields of it."""
    cluster = ApacheKafka(folder, size, settings or {}, **more)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
