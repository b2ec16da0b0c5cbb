"""One shard, several who may own it, a worker with an inbox, and a judge who sees everything that was committed."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.decisions import Call, RetryPolicy
from actionbus.contracts.definitions import ActionSpec, Effect, Graph, WorkflowDefinition
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.nodes import SequenceNode, StepNode
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, Emit, ResultKind
from actionbus.contracts.run import RunStatus, StepStatus, WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.orchestrator import charter, definitions, destinations, shard
from actionbus.testing.hand_clock import HandClock
from actionbus.testing.log import MemoryLog
from actionbus.testing.memory_broker import MemoryBroker
from actionbus.testing.network import Fate, Trap

NONCE_KEY = b"the key of this test, which has 32"
QUIET_TURNS = 60  # turns of the loop without anything reaching the broker: nothing is under way any more
ROUNDS = 60
RETENTION_MS = 60_000
# A loop holds its tasks weakly: a world that is left in the middle, as one with a broken rule is, would have its owners
# collected while they wait. Here they live until their loop ends, which cancels them.
_OWNING: set[asyncio.Task[None]] = set()


class Violated(AssertionError):
    """A promise of the protocol is broken."""


def pair(attempts: int = 1) -> Graph:
    """Two steps, each with something that undoes it, each tried so often."""
    retry = RetryPolicy(attempts=attempts, initial_ms=1_000, jitter=0)
    names = ("one", "two", "undo-one", "undo-two")
    actions = {name: ActionSpec(id=name, effect=Effect.TRANSACTIONAL, store="db", retry=retry) for name in names}
    steps = [
        StepNode(id=name, call=Call(action=name, input={}), undo=Call(action=f"undo-{name}", input={}))
        for name in ("one", "two")
    ]
    return Graph(name="pair", version="1", root=SequenceNode(id="root", nodes=tuple(steps)), actions=actions)


class Owner:
    """A process that believes it owns the shard."""

    def __init__(self, world: "World", name: str, **fields) -> None:
        self.name = name
        self.log = MemoryLog(world.broker, world.topics)
        self.clock = HandClock()
        known = definitions.Definitions(
            self.log, world.topics.definitions, world.codec, limits=world.limits, run_retention_ms=RETENTION_MS
        )
        self.shard = shard.Shard(
            charter.Charter(
                partitions=world.shards,
                owner=name,
                topics=world.topics,
                log=self.log,
                clock=self.clock,
                codec=world.codec,
                definitions=known,
                destinations=destinations.Destinations(self.log.partitions, self.clock),
                limits=world.limits,
                **({"shard": 0, "nonce_key": NONCE_KEY} | fields),
            )
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> "Owner":
        """Begin to take the shard over."""
        self._task = asyncio.get_running_loop().create_task(self.shard.run())
        _OWNING.add(self._task)
        self._task.add_done_callback(_OWNING.discard)
        return self

    def trap(self, kind, about: str, fate: Fate, error: Exception | None = None) -> Trap:
        """Say what becomes of its next request of a kind."""
        return self.log.network.trap(kind, about, fate, error)

    async def crash(self) -> None:
        """Die as kill -9 does; what is in the network stays there."""
        self.log.cut()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def gone(self) -> bool:
        """Whether nothing of it runs any more."""
        return self._task is None or self._task.done()

    def drop(self) -> None:
        """Be thrown out of the group: the service cancels what runs the shard."""
        assert self._task is not None
        self._task.cancel()

    async def leave(self) -> None:
        """Release the shard in good order."""
        self.shard.release()
        assert self._task is not None
        await self._task


@dataclass
class Row:
    """What a worker's database knows of a step."""

    status: str
    applied: int = 0
    undone: int = 0
    undo_row: bool = False


@dataclass
class Worker:
    """Carries commands out against one database, each in one transaction, and answers."""

    world: "World"
    rows: dict[str, Row] = field(default_factory=dict)
    failing: Counter[str] = field(default_factory=Counter)  # step -> attempts that still fail
    seen: dict[str, int] = field(default_factory=dict)
    emits: dict[str, tuple[Emit, ...]] = field(default_factory=dict)  # action -> what its results ask for

    def take(self) -> list[ActionCommand]:
        """Every command that was published and not taken yet."""
        found = []
        for topic in self.world.command_topics:
            records = self.world.broker.read((topic, 0), self.seen.get(topic, 0), committed=False)
            self.seen[topic] = self.seen.get(topic, 0) + len(records)
            found += [self.world.codec.decode(ActionCommand, record.value) for record in records]
        return found

    def execute(self, command: ActionCommand) -> ActionResult:
        """Carry a command out; the result is not sent yet."""
        row = self.rows.get(command.step_key)
        if command.kind is CommandKind.COMPENSATE:
            if row is None:
                self.rows[command.step_key] = Row("CANCELLED")
            elif row.status == "DONE" and not row.undo_row:
                row.undone, row.undo_row = row.undone + 1, True
            happened = row is not None and row.status == "DONE"
            return self._result(command, output=b'{"outcome":"%s"}' % (b"undone" if happened else b"never_happened"))
        if row is not None and row.status == "CANCELLED":
            return self._result(command, error=ActionError(type="Cancelled", retryable=False))
        if row is None and self.failing[command.step] > 0:
            self.failing[command.step] -= 1
            return self._result(command, error=ActionError(type="Broken"))
        if row is None:
            self.rows[command.step_key] = Row("DONE", applied=1)
        return self._result(command, output=b"{}")

    def answer(self, result: ActionResult) -> None:
        """Send a result."""
        record = OutRecord(key=result.run_id.encode(), value=self.world.codec.encode(result))
        self.world.broker.append((self.world.topics.results, 0), [record])

    def work(self) -> int:
        """Carry out and answer everything that was published; how many commands."""
        commands = self.take()
        for command in commands:
            self.answer(self.execute(command))
        return len(commands)

    def _result(
        self, command: ActionCommand, output: bytes | None = None, error: ActionError | None = None
    ) -> ActionResult:
        return ActionResult(
            command_id=command.command_id,
            step_key=command.step_key,
            run_id=command.run_id,
            kind=ResultKind.SUCCEEDED if error is None else ResultKind.FAILED,
            nonce=command.nonce,
            output=output,
            error=error,
            emits=self.emits.get(command.action, ()) if error is None else (),
        )


class World:
    """The broker, the worker, and what everybody is told to do."""

    def __init__(
        self,
        *,
        attempts: int = 1,
        verifies: bool = True,
        graph: Graph | None = None,
        shards: int = 1,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self.topics = Topics("w")
        self.codec = Codec()
        self.broker = MemoryBroker(verifies=verifies)
        self.graph = graph or pair(attempts)
        self.shards = shards
        self.limits = limits
        self.owners: list[Owner] = []
        for topic in (
            self.topics.requests,
            self.topics.results,
            self.topics.state,
            self.topics.events,
            self.topics.dead_letters,
        ):
            self.broker.make(topic, shards)
        for topic in (self.topics.definitions, self.topics.control, *self.command_topics):
            self.broker.make(topic)
        self.deploy(self.graph)
        self.worker = Worker(self)

    @property
    def command_topics(self) -> list[str]:
        """Where commands go."""
        return [self.topics.commands(action) for action in self.graph.actions]

    def owner(self, name: str, **fields) -> Owner:
        """One more who may own the shard; ``fields`` of its charter."""
        owner = Owner(self, name, **fields)
        self.owners.append(owner)
        return owner

    def deploy(self, graph: Graph) -> None:
        """Write a definition."""
        definition = WorkflowDefinition.of(graph, deployed_at=0, deployed_by="test")
        key = identifiers.definition_key(graph.name, graph.version).encode()
        self.broker.append((self.topics.definitions, 0), [OutRecord(key=key, value=self.codec.encode(definition))])

    def start(self, run_id: str, request_id: str = "start", **fields) -> None:
        """Ask for a run."""
        self.request(run_id, RequestKind.START, request_id, **{"workflow": self.graph.name, **fields})

    def cancel(self, run_id: str) -> None:
        """Ask for its end."""
        self.request(run_id, RequestKind.CANCEL, f"cancel-{run_id}")

    def request(self, run_id: str, kind: RequestKind, request_id: str, **fields) -> None:
        """Ask for anything."""
        request = WorkflowRequest(request_id=request_id, run_id=run_id, kind=kind, **fields)
        record = OutRecord(key=run_id.encode(), value=self.codec.encode(request))
        self.broker.append((self.topics.requests, 0), [record])

    async def settle(self) -> None:
        """Let everybody go on until nobody can."""
        quiet, before = 0, self.broker.activity
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet, before = (quiet + 1 if self.broker.activity == before else 0), self.broker.activity

    async def move(self, by_ms: int) -> None:
        """Let time pass for everybody, then let everybody go on."""
        self.broker.time_ms += by_ms
        for owner in self.owners:
            owner.clock.move(by_ms)
        await self.settle()

    async def finish(self, *owners: Owner) -> None:
        """Let the world go on, with a worker that answers, until nothing happens any more; then kill the owners."""
        idle = 0
        for _ in range(ROUNDS):
            await self.settle()
            idle = 0 if self.worker.work() else idle + 1
            await self.move(1_000)
            if idle > 15:  # longer than any retry, shorter than the retention
                break
        for owner in owners or self.owners:
            await owner.crash()

    # ---- the judge

    def committed(self, topic: str) -> list[InRecord]:
        """What a reader of committed records sees."""
        return self.broker.read((topic, 0), 0)

    def events(self, run_id: str) -> list[WorkflowEvent]:
        """Every committed event of a run, verdicts included."""
        found = [self.codec.decode(WorkflowEvent, each.value) for each in self.committed(self.topics.events)]
        return [event for event in found if event.run_id == run_id]

    def states(self) -> list[WorkflowRun]:
        """Every committed state of every run, in order."""
        records = [each for each in self.committed(self.topics.state) if each.key != POSITION_KEY]
        return [self.codec.decode(WorkflowRun, each.value) for each in records if each.value is not None]

    def runs(self) -> dict[str, WorkflowRun]:
        """Every run as it was committed last."""
        return {run.run_id: run for run in self.states()}

    def positions(self) -> list[ShardPosition]:
        """Every committed position, in order."""
        records = [each for each in self.committed(self.topics.state) if each.key == POSITION_KEY]
        return [self.codec.decode(ShardPosition, each.value) for each in records]

    def one_history(self) -> None:
        """Each transaction follows from the one before it; each run's events count from 1 without gap or repeat."""
        numbers = [position.txn_seq for position in self.positions()]
        _hold(numbers == list(range(1, len(numbers) + 1)), f"the shard's history forks: {numbers}")
        versions: dict[tuple[str, str], list[int]] = {}
        for record in self.committed(self.topics.events):
            event = self.codec.decode(WorkflowEvent, record.value)
            if event.version:
                versions.setdefault((event.run_id, event.incarnation), []).append(event.version)
        for run, found in versions.items():
            _hold(found == list(range(1, len(found) + 1)), f"the events of {run} are {found}")

    def nothing_torn(self) -> None:
        """No run is ahead of its shard."""
        last = self.positions()[-1].txn_seq
        ahead = [run.run_id for run in self.runs().values() if run.txn_seq > last]
        _hold(not ahead, f"ahead of position {last}: {ahead}")

    def no_phantoms(self) -> None:
        """Every command that went out was scheduled by a committed state."""
        scheduled = set()
        for run in self.states():
            for step in run.steps:
                key = identifiers.step_key(run.run_id, run.incarnation, step.path)
                undo = step.status is StepStatus.COMPENSATING
                if step.dispatch_seq:
                    scheduled.add(identifiers.command_id(key, step.attempt, undo=undo))
        for topic in self.command_topics:
            for record in self.broker.read((topic, 0), 0, committed=False):
                command = self.codec.decode(ActionCommand, record.value)
                _hold(command.command_id in scheduled, f"{command.command_id} was never scheduled")

    def all_ended(self) -> None:
        """No run waits for something that will never come."""
        alive = {run.run_id: run.status.value for run in self.runs().values() if not run.status.ended}
        _hold(not alive, f"not ended: {alive}")

    def effects(self) -> None:
        """What a run did is there once if it completed, and undone if it did not."""
        for run in self.runs().values():
            for step in ("one", "two"):
                row = self.worker.rows.get(identifiers.step_key(run.run_id, run.incarnation, step), Row("NONE"))
                net = row.applied - row.undone
                wanted = 1 if run.status is RunStatus.COMPLETED else 0
                _hold(row.applied <= 1, f"{run.run_id}/{step} happened {row.applied} times")
                _hold(net == wanted, f"{run.run_id} is {run.status}, and {step} has the net effect {net}")

    def judge(self) -> None:
        """Every promise at once."""
        self.one_history()
        self.nothing_torn()
        self.no_phantoms()
        self.all_ended()
        self.effects()


def _hold(condition: bool, message: str) -> None:  # noqa: FBT001 - the condition is the point
    if not condition:
        raise Violated(message)
