"""What arrives from outside and is wrong: bytes, forgeries, wrong places, actions that misbehave.

One installation serves all tests here, one after the other: each leaves it with a run that goes through. What is wrong
with the surroundings (brokers, credentials, partitions) is in test_bad_surroundings; README.md says where every kind of
bad input is tested.
"""

import asyncio
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from actionbus.client import Client
from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.errors import Conflict, Refused, RunFailed
from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from integration.installation import Installation, Service
from integration.orders import WAIT_SECONDS, until

NONCE_KEY = "known to this test and to the orchestrator"
LONELY = """
from actionbus import action, workflow

@action(id="lonely", description="Nobody hosts it.")
def lonely(name: str) -> str:
    return f"{name} is here"

@workflow(id="lonely", version="1")
def wait_for_company(flow, name: str) -> str:
    return flow.run(lonely(name=name))
"""


@dataclass
class World:
    """A running installation and what a test needs to disturb it."""

    installation: Installation
    orchestrator: Service
    worker: Service
    lonely_app: Path
    greetings: str
    client: Client | None = None
    producer: IdempotentProducer | None = None

    def __post_init__(self) -> None:
        self.topics = Topics(self.installation.prefix)
        self.codec = Codec()

    async def put(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> int:
        """Write one record just there; its offset."""
        return await self.producer.append(topic, partition, [OutRecord(key=key, value=value)])

    def shard(self, run_id: str) -> int:
        """Where a run lives."""
        return partition_for(run_id.encode(), self.installation.shards)

    async def read(self, topic: str, partition: int) -> list[InRecord]:
        """Everything in a partition up to its end."""
        async with PartitionReader(self.installation.connection) as reader:
            return [record async for batch in reader.read_to_end(topic, partition) for record in batch]

    async def counted(self, *names: str) -> float:
        """The sum of some of the orchestrator's metrics."""
        return sum([await asyncio.to_thread(self.orchestrator.metric, name) for name in names])

    async def still_works(self) -> None:
        """An ordinary run goes through on every shard."""
        run_ids: dict[int, str] = {}
        while len(run_ids) < self.installation.shards:
            run_id = f"fine-{uuid.uuid4().hex}"
            run_ids.setdefault(self.shard(run_id), run_id)
        handles = [await self.client.start("greet", "you", run_id=each) for each in run_ids.values()]
        assert [await handle.result(WAIT_SECONDS) for handle in handles] == ["hello you"] * len(handles)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("embedded", marks=pytest.mark.kafka),
        pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.java]),
    ],
)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One orchestrator and one worker, which hosts the mishaps and not the lonely action; ready."""
    if request.param == "embedded":
        bootstrap = request.getfixturevalue("embedded_broker")
    else:
        bootstrap = request.getfixturevalue("apache_kafka").bootstrap
    folder = tmp_path_factory.mktemp(f"bad-input-{request.param}")
    prefix = f"bad-{uuid.uuid4().hex[:8]}"
    lonely_app = folder / "lonely_app.py"
    lonely_app.write_text(LONELY)
    installation = Installation(
        bootstrap=bootstrap,
        prefix=prefix,
        folder=folder,
        app=Path(__file__).with_name("mishaps_app.py"),
        extra={"MISHAPS_TOPIC": f"{prefix}-greetings", "ACTIONBUS_NONCE_CURRENT": NONCE_KEY},
    )
    try:
        asyncio.run(_prepare(installation, f"{prefix}-greetings", lonely_app))
        orchestrator, worker = installation.orchestrator(), installation.worker()
        installation.wait_ready()
        yield World(installation, orchestrator, worker, lonely_app, f"{prefix}-greetings")
        assert (worker.stop(), orchestrator.stop()) == (0, 0)
    finally:
        installation.close()


async def _prepare(installation: Installation, greetings: str, lonely_app: Path) -> None:
    """Topics and definitions; one of the topics that actions emit to is gone when they do."""
    async with Admin(installation.connection) as admin:
        gone = f"{greetings}-gone"
        await admin.create_topics([TopicPlan(name=name, partitions=4) for name in (greetings, gone)])
        for app in (installation.app, lonely_app):
            installation.command("topics", "apply", str(app))
            installation.command("deploy", str(app))
        await admin.delete_topics([gone])


@pytest.fixture
async def world(shared: World):
    """The shared installation with a client and a producer of this test's own."""
    connection, prefix = shared.installation.connection, shared.installation.prefix
    async with Client(connection, prefix=prefix) as client, IdempotentProducer(connection) as producer:
        shared.client, shared.producer = client, producer
        yield shared


@pytest.mark.parametrize(
    "junk",
    [b"\x00\xffjunk", b"\xc3\x01" + b"\x00" * 30, b'{"run_id": 5}', b"[]", b"", None],
    ids=["bytes", "an unknown schema", "JSON without fields", "a list", "nothing", "a tombstone"],
)
async def test_bytes_that_are_no_record_become_dead_letters(world: World, junk: bytes | None) -> None:
    """Junk among requests, results and commands is kept as it was, with its place and reason, and work goes on."""
    topics = world.topics
    letters = {
        topics.requests: topics.dead_letters,
        topics.results: topics.dead_letters,
        topics.commands("greet"): topics.action_dead_letters("greet"),
    }
    for topic, kept_in in letters.items():
        offset = await world.put(topic, 1, b"whoever", junk)
        found: list[InRecord] = []

        async def kept(topic: str = topic, kept_in: str = kept_in, offset: int = offset, found=found) -> bool:
            found[:] = [
                letter
                for letter in await world.read(kept_in, 1)
                if letter.header("actionbus-dlq-original-topic") == topic.encode()
                and letter.header("actionbus-dlq-original-offset") == str(offset).encode()
            ]
            return bool(found)

        await until(kept, f"{topic} at {offset} is a dead letter")
        (letter,) = found
        assert (letter.key, letter.value or None) == (b"whoever", junk or None)
        assert letter.header("actionbus-dlq-exception-message")
    await world.still_works()


@pytest.mark.parametrize("role", ["definitions", "control", "events", "dead_letters", "action dead letters"])
async def test_bytes_that_are_no_record_are_passed_over_elsewhere(world: World, role: str) -> None:
    """Junk in topics that somebody else writes stops nobody; whoever meets it says so in his log."""
    junk = f"junk in {role}".encode()
    topic = world.topics.action_dead_letters("greet") if role == "action dead letters" else getattr(world.topics, role)
    offset = await world.put(topic, 0, b"greet@9", junk)
    sayings = {
        "definitions": (world.orchestrator, "a definition cannot be used"),
        "control": (world.worker, "a word to workers cannot be read"),
    }
    if role in sayings:
        service, saying = sayings[role]

        async def said() -> bool:
            lines = (json.loads(line) for line in service.output.splitlines() if line.startswith("{"))
            return any(line.get("message") == saying and line.get("offset") == offset for line in lines)

        await until(said, f"{service.name} says: {saying}")
    await world.still_works()


async def _lonely(world: World, run_id: str) -> ActionCommand:
    """Start a run whose command nobody takes; the command."""
    await world.client.start("lonely", "somebody", run_id=run_id)
    topic, partition = world.topics.commands("lonely"), world.shard(run_id)
    commands: list[ActionCommand] = []

    async def out() -> bool:
        found = [world.codec.decode(ActionCommand, record.value) for record in await world.read(topic, partition)]
        commands[:] = [command for command in found if command.run_id == run_id]
        return bool(commands)

    await until(out, "the command is out")
    return commands[0]


def _result(command: ActionCommand, **changes: object) -> ActionResult:
    """A success of the command, or what is made of it."""
    values = {
        "command_id": command.command_id,
        "step_key": command.step_key,
        "run_id": command.run_id,
        "kind": ResultKind.SUCCEEDED,
        "nonce": command.nonce,
        "output": b'"by hand"',
    }
    return ActionResult(**values | changes)


async def _answer(world: World, result: ActionResult) -> None:
    await world.put(world.topics.results, world.shard(result.run_id), b"k", world.codec.encode(result))


async def test_results_that_are_forged_or_late_change_nothing(world: World) -> None:
    """A wrong nonce, a run or step that does not exist, a second result: each is counted, none is believed."""
    run_id = f"victim-{uuid.uuid4().hex}"
    command = await _lonely(world, run_id)
    handle = world.client.handle(run_id)
    names = ("actionbus_forged_results_total", "actionbus_stale_results_total", "actionbus_duplicate_results_total")
    before = [await world.counted(name) for name in names]

    async def grown(forged: int, others: int) -> bool:
        now = [await world.counted(name) for name in names]
        return (now[0] - before[0], now[1] + now[2] - before[1] - before[2]) == (forged, others)

    def genuine(command_id: str) -> str:
        return identifiers.nonce(NONCE_KEY.encode(), command_id)

    elsewhere = command.command_id.replace("/lonely/", "/never/")
    nobody = command.command_id.replace(run_id, f"nobody-{run_id}")
    await _answer(world, _result(command, nonce="0" * 32))
    await _answer(world, _result(command, command_id=elsewhere))
    await until(lambda: grown(2, 0), "a guessed nonce and the nonce of another command are counted as forged")
    await _answer(world, _result(command, command_id=elsewhere, nonce=genuine(elsewhere)))
    await _answer(
        world, _result(command, command_id=nobody, run_id=f"nobody-{run_id}", nonce=genuine(nobody), step_key=nobody)
    )
    await until(lambda: grown(2, 2), "a step and a run that do not exist are counted")
    assert (await handle.state()).version == 1
    await _answer(world, _result(command))
    assert await handle.result(WAIT_SECONDS) == "by hand"
    history = await handle.history()
    await _answer(world, _result(command))
    await _answer(world, _result(command, kind=ResultKind.FAILED, output=None))
    await until(lambda: grown(2, 4), "results of a step that is done are counted")
    assert await handle.history() == history
    await world.still_works()


async def test_a_step_without_a_worker_waits_and_the_doctor_says_so(world: World) -> None:
    """The command of an action that nobody hosts is a backlog with a name, and is carried out once somebody does."""
    run_id = f"patient-{uuid.uuid4().hex}"
    await _lonely(world, run_id)
    assert (await world.client.handle(run_id).state()).status is RunStatus.RUNNING
    doctor = await asyncio.to_thread(world.installation.command, "doctor", "--output", "json", ok=False)
    found = {each["check"]: each for each in json.loads(doctor.stdout)}
    assert found["workers of greet"]["level"] == "ok"
    assert found["workers of lonely"]["level"] == "problem"
    assert "0 run" in found["workers of lonely"]["found"]
    assert doctor.returncode == 1
    late = world.installation.worker(f"late-{run_id}", world.lonely_app)
    assert await world.client.handle(run_id).result(WAIT_SECONDS) == "somebody is here"
    assert await asyncio.to_thread(late.stop) == 0


async def _verdict(world: World, request: WorkflowRequest, shard: int) -> tuple[EntryKind, str]:
    """Write a request as it is, past the client's own checks; the verdict on it."""
    await world.put(world.topics.requests, shard, request.run_id.encode(), world.codec.encode(request))
    verdicts: list[tuple[EntryKind, str]] = []

    async def given() -> bool:
        for record in await world.read(world.topics.events, world.shard(request.run_id)):
            if record.key == request.run_id.encode():
                event = world.codec.decode(WorkflowEvent, record.value)
                answers = [entry for entry in event.entries if entry.request_id == request.request_id]
                verdicts.extend((entry.kind, entry.reason or "") for entry in answers)
        return bool(verdicts)

    await until(given, "there is a verdict")
    return verdicts[0]


def _start(run_id: str, **changes: object) -> WorkflowRequest:
    values = {
        "request_id": uuid.uuid4().hex,
        "run_id": run_id,
        "kind": RequestKind.START,
        "workflow": "greet",
        "payload": b'"you"',
    }
    return WorkflowRequest(**values | changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"payload": json.dumps("x" * 300_000).encode()}, "262144", id="payload over the limit"),
        pytest.param({"payload": b"5"}, "string", id="payload breaks its schema"),
        pytest.param({"payload": b"\xff"}, "JSON", id="payload is no JSON"),
        pytest.param({"payload": None}, "", id="no payload"),
        pytest.param({"workflow": "nowhere"}, "nowhere", id="unknown workflow"),
        pytest.param({"workflow": None}, "not deployed", id="no workflow"),
        pytest.param({"version": "99"}, "99", id="unknown version"),
        pytest.param({"kind": RequestKind.MIGRATE}, "", id="kind of a later version"),
        pytest.param({"kind": RequestKind.UNKNOWN}, "", id="unknown kind"),
        pytest.param({"kind": RequestKind.CANCEL}, "no run", id="cancel of no run"),
    ],
)
async def test_a_request_that_makes_no_sense_is_rejected_with_the_reason(
    world: World, changes: dict, says: str
) -> None:
    """Whatever a foreign client asks for, it is answered in the events, and nothing is started."""
    run_id = f"refused-{uuid.uuid4().hex}"
    kind, reason = await _verdict(world, _start(run_id, **changes), world.shard(run_id))
    assert kind is EntryKind.REQUEST_REJECTED
    assert says in reason
    assert reason
    with pytest.raises(Refused, match="there is no run"):
        await world.client.handle(run_id).state()


async def test_a_refused_start_reaches_its_caller(world: World) -> None:
    """An unknown workflow, an input that breaks its schema and a taken id are three clear errors of the client."""
    run_id = f"taken-{uuid.uuid4().hex}"
    with pytest.raises(Refused, match="no-such-workflow"):
        await world.client.start("no-such-workflow", "you")
    with pytest.raises(Refused, match="string"):
        await world.client.start("greet", 5)
    handle = await world.client.start("greet", "you", run_id=run_id)
    with pytest.raises(Conflict, match=run_id):
        await world.client.start("greet", "you", run_id=run_id)
    assert await handle.result(WAIT_SECONDS) == "hello you"
    with pytest.raises(Conflict, match=run_id):
        await world.client.start("greet", "you", run_id=run_id)


async def test_the_same_request_again_has_one_effect(world: World) -> None:
    """A start that comes twice with one request id is accepted twice and begins once."""
    run_id = f"again-{uuid.uuid4().hex}"
    for _ in range(2):
        handle = await world.client.start("greet", "you", run_id=run_id, request_id="same")
        assert await handle.result(WAIT_SECONDS) == "hello you"
    kinds = [entry.kind for event in await handle.history() for entry in event.entries]
    assert kinds.count(EntryKind.RUN_STARTED) == 1


async def test_a_request_on_the_wrong_partition_finds_its_way(world: World) -> None:
    """A client with another partitioner is served all the same, and counted."""
    run_id = f"astray-{uuid.uuid4().hex}"
    before = await world.counted("actionbus_misrouted_records_total")
    kind, _ = await _verdict(world, _start(run_id), (world.shard(run_id) + 1) % world.installation.shards)
    assert kind is EntryKind.REQUEST_ACCEPTED
    assert await world.client.handle(run_id).result(WAIT_SECONDS) == "hello you"
    assert await world.counted("actionbus_misrouted_records_total") == before + 1


async def test_a_start_in_plain_json_is_accepted(world: World) -> None:
    """A client without Avro writes JSON with the payload inline."""
    run_id = f"plain-{uuid.uuid4().hex}"
    body = {"request_id": "r", "run_id": run_id, "kind": "start", "workflow": "greet", "payload": "you"}
    await world.put(world.topics.requests, world.shard(run_id), run_id.encode(), json.dumps(body).encode())

    async def begun() -> bool:
        return bool(await world.client.handle(run_id).history())

    await until(begun, "the run has begun")
    assert await world.client.handle(run_id).result(WAIT_SECONDS) == "hello you"


@pytest.mark.parametrize(
    ("workflow", "error"),
    [
        ("raise", "LookupError: nobody knows you"),
        ("hang", "Timeout"),
        ("hang-in-a-thread", "Timeout"),
        ("return-an-object", "OutputRefused"),
        ("return-too-much", "ResultTooLarge"),
        ("emit-to-a-topic-that-is-gone", "EmitRefused"),
        ("emit-undeclared", "EmitRefused"),
        ("end-its-process", "SystemExit"),
    ],
)
async def test_an_action_that_misbehaves_fails_its_own_run_only(world: World, workflow: str, error: str) -> None:
    """It raises, hangs, returns or emits what it may not: its run fails with the reason, and others go on."""
    run_id = f"{workflow}-{uuid.uuid4().hex}"
    handle = await world.client.start(workflow, "you", run_id=run_id)
    with pytest.raises(RunFailed, match=error) as failed:
        await handle.result(WAIT_SECONDS)
    assert failed.value.status == RunStatus.FAILED
    for partition in range(4):
        published = [record.key for record in await world.read(world.greetings, partition)]
        assert b"you" not in published  # what a refused result asked for besides is not published either
    await world.still_works()
    assert world.worker.process.poll() is None


async def test_the_only_trace_of_a_run_is_its_own(world: World) -> None:
    """After all of that, every accepted greeting was published exactly once, under its own run."""
    await world.still_works()
    keys = [record.key for partition in range(4) for record in await world.read(world.greetings, partition)]
    assert len(keys) == len(set(keys))
