"""One world: built from a plan, run to its end on a clock of its own, and judged all the while."""

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.engine.definition import Definition
from actionbus.engine.schedule import ScheduleDefinition
from actionbus.kafka.codec import Codec
from actionbus.orchestrator.store import MemoryShelf
from engine.graphs import DAY_MS
from simulation import groups, ledger, processes, workflows
from simulation.acts import Ask, Deploy, Freeze, Jump, Kill, Markers, Move, Trouble
from simulation.broker import Broker
from simulation.clients import Clients
from simulation.ear import listening
from simulation.faults import ACTIVE_MS
from simulation.holders import Holders
from simulation.judge import Judge
from simulation.judgement import Violated, hold
from simulation.loop import Process, VirtualLoop, current
from simulation.owners import Owners
from simulation.plan import Plan
from simulation.shelf import Shelf

ENDS = "once the faults stop everything ends"
SURE = "nothing surprises the shipped code"
SURPRISES = ("user code raised",)  # what the actions here do not do
SESSION_MS = 1_000
LOOK_MS = 500
CALM_ROUNDS = 60  # looks until everything that can be done without an operator is done
LAST_ROUNDS = 200  # looks until an operator has brought every run to its end
_codec = Codec()


@dataclass
class Report:
    """How a world ended: what was broken, if anything, and everything that happened."""

    plan: Plan
    broken: Violated | None = None
    trace: list[tuple] = field(default_factory=list)
    happened: Counter = field(default_factory=Counter)

    def text(self) -> str:
        """The trace, a line for each thing that happened."""
        return "".join(f"{at:>9.1f}  {who:<7} {' '.join(map(str, what))}\n" for at, who, *what in self.trace)


def run(plan: Plan) -> Report:
    """Run the world of a plan to its end."""
    loop = VirtualLoop()
    with ExitStack() as stack:
        for each in (
            loop.world(),
            ledger.installed(),
            groups.installed(),
            processes.paced(),
            listening(),
            workflows.compiled_once(),
        ):
            stack.enter_context(each)
        world = World(plan, loop)
        loop.run_until_complete(world.go())
        return world.report


class World:
    """Everything there is."""

    session_ms = SESSION_MS

    def __init__(self, plan: Plan, loop: VirtualLoop) -> None:
        self.plan = plan
        self.limits = plan.limits
        self.loop = loop
        self.report = Report(plan)
        self.calm = False
        self.codec = _codec
        self.topics = Topics("w")
        built_in = ScheduleDefinition(limits=self.limits, run_retention_ms=DAY_MS)
        self._written = [WorkflowDefinition.of(each, deployed_at=0, deployed_by="test") for each in plan.graphs]
        compiled = [built_in, *(workflows.compiled(each, self.limits) for each in self._written)]
        self._definitions = {(each.name, each.version): each for each in compiled}
        self.command_topics = [self.topics.commands(action) for action in ("a", "f", "u")]
        self.judge = Judge(self)
        self.broker = Broker(self)
        self.holders = Holders(self)
        self.ledger = ledger.Ledger(self.holders.give)
        self.groups = groups.Groups(self.broker)
        self._numbers: Counter = Counter()
        self._troubles = {(each.who, each.kind, each.number): each for each in plan.acts if isinstance(each, Trouble)}
        self._since: defaultdict[tuple, list] = defaultdict(list)  # ends of processes, by the effect they are told by
        self._ends: defaultdict[tuple, list] = defaultdict(list)  # the same, by the effect at which they come
        for act in plan.acts:
            if isinstance(act, Kill | Freeze):
                self._since[act.who, act.kind, act.number].append(act)
        self._over = loop.create_future()
        loop.restless = lambda: self._break(Violated(ENDS, "somebody is busy with nothing"))
        self._buried: list[Process] = []
        self._shelves: dict[tuple[str, int], Shelf] = {}
        self.living: dict[str, Process] = {}
        self.owners = Owners(self)
        self.clients = Clients(self)
        topics = self.topics
        for topic in (topics.requests, topics.results, topics.state, topics.events, topics.dead_letters):
            self.broker.make(topic, plan.shards)
        for topic in (topics.definitions, topics.control, "told", *self.command_topics):
            self.broker.make(topic)
        for definition in self._written:
            if definition.version == "1":
                self._deploy(definition)

    async def go(self) -> None:
        """Live; what is left of it at the end is buried."""
        for name in (*self.plan.orchestrators, *self.plan.workers):
            self._begin(name)
        for act in self.plan.acts:
            if not isinstance(act, Kill | Freeze | Trouble):
                self.loop.later(act.at_ms, self._act, act)
        living = self.loop.create_task(self._live())
        try:
            await asyncio.wait({living, self._over}, return_when=asyncio.FIRST_COMPLETED)
            if not self._over.done():
                living.result()
        except Violated as broken:
            self._break(broken)
        self.tell("world", "is over:", self.report.broken or "every promise is kept")
        living.cancel()
        self.calm = True
        self._over.cancel()
        self.tell = lambda *_: None
        for process in [*self._buried, *self.living.values()]:
            await process.bury()

    async def _live(self) -> None:
        await asyncio.sleep(ACTIVE_MS / 1000)
        self._heal()
        self.holders.insist()
        for _ in range(CALM_ROUNDS):
            if not self.judge.unanswered():
                break
            await self._look()
        hold(not self.judge.unanswered(), ENDS, "; ".join(self.judge.unanswered()))
        for number in range(LAST_ROUNDS):
            if self.judge.ended() and not self.judge.unanswered():
                break
            if number % 4 == 0:
                self.clients.help(number)
                self.holders.insist()
            await self._look()
        stuck = [f"{run.run_id} is {run.status.value}" for run in self.judge.runs.values() if not run.status.ended]
        hold(not stuck, ENDS, "; ".join(stuck))
        for run in self.judge.runs.values():
            self.judge.balances(run)

    async def _look(self) -> None:
        await asyncio.sleep(LOOK_MS / 1000)
        for process in self.living.values():
            if isinstance(process, processes.Orchestrator):
                hold(process.halted() is None, ENDS, f"{process.name} is stopped: {process.halted()}")

    def _heal(self) -> None:
        """The faults stop."""
        self.tell("world", "the faults stop")
        self.calm = True
        self._troubles.clear()
        self._since.clear()
        self._ends.clear()
        self.broker.markers_wait = self.broker.loses_markers = False
        self.broker.write_markers()

    # What is noticed

    def tell(self, who: str, *what) -> None:
        """Something happened."""
        self.report.trace.append((self.loop.time() * 1000, who, *what))

    @contextmanager
    def judging(self) -> Iterator[None]:
        """A promise that is broken inside ends the world, and is not for whoever called."""
        try:
            yield
        except Violated as broken:
            self._break(broken)

    def _break(self, broken: Violated) -> None:
        if self.report.broken is None:
            self.report.broken = broken
        if not self._over.done():
            self._over.set_result(None)

    def heard(self, event: str, fields: dict) -> None:
        """The shipped code has said something to an operator."""
        surprise = fields.pop("exc_info", False)
        error = f"{type(sys.exception()).__name__}: {sys.exception()}" if surprise else ""
        self.tell(current().name, "says:", event, error, *(f"{name}={fields[name]}" for name in fields))
        with self.judging():
            hold(not surprise and event not in SURPRISES, SURE, f"{event} {error}")

    def definition_of(self, run: WorkflowRun | WorkflowEvent) -> Definition:
        """What a run is pinned to."""
        return self._definitions[run.workflow, run.definition_version]

    def shelf(self, name: str, shard: int) -> MemoryShelf:
        """What a process finds on its disk of a shard."""
        return self._shelves.setdefault((name, shard), Shelf()) if self.plan.keeps_shelves else MemoryShelf()

    # What processes do

    async def leaves(self, process: Process, kind: str, about: str) -> tuple[int, Trouble | None]:
        """A process is about to have an effect: its number among those of its kind, and what happens to it.

        Returns when the process is there to have it: later if it freezes here, never if it dies here.
        """
        trouble = None
        for who in (process.name, process.name[0]):
            self._numbers[who, ""] += 1
            self._numbers[who, kind] += 1
            total, number = self._numbers[who, ""], self._numbers[who, kind]
            for act in (*self._since.pop((who, "", total), ()), *self._since.pop((who, kind, number), ())):
                self._ends[who, total + act.then].append(act)
            trouble = self._troubles.pop((who, kind, number), None) or trouble
        self.tell(process.name, kind, about, *(() if trouble is None else ("but it is", trouble.fate, trouble.ms)))
        if trouble is not None:
            self.report.happened["trouble"] += 1
        self._meet(process, after=False)
        if not process.running:
            await asyncio.sleep(0)
        return self._numbers[process.name, kind], trouble

    async def left(self, process: Process) -> None:
        """The effect is under way; returns as ``leaves`` does."""
        self._meet(process, after=True)
        if not process.running:
            await asyncio.sleep(0)

    def _meet(self, process: Process, *, after: bool) -> None:
        for who in (process.name, process.name[0]):
            acts = self._ends.get((who, self._numbers[who, ""]), ())
            for act in [each for each in acts if not isinstance(each, Kill) or each.after is after]:
                acts.remove(act)
                if process.running:
                    (self._kill if isinstance(act, Kill) else self._freeze)(process, act)

    # What happens to processes

    def _begin(self, name: str) -> None:
        """A process starts, and the group hears of it."""
        self.tell(name, "starts")
        kind = processes.Orchestrator if name in self.plan.orchestrators else processes.Worker
        process = self.living[name] = kind(self, name)
        if kind is processes.Orchestrator:
            self.owners.tell(process)

    def _kill(self, process: Process, act: Kill) -> None:
        self.tell(process.name, "is killed")
        self.report.happened["kill"] += 1
        process.alive = False
        self._buried.append(process)
        self.ledger.leave(process)
        lot = self.plan.lot("shelf", process.name, self._numbers[process.name, ""])
        for (name, _), shelf in self._shelves.items():
            if name == process.name:
                shelf.crash(lot)
        self.loop.later(min(act.back_ms, SESSION_MS), self._expire, process)
        self.loop.later(act.back_ms, self._begin, process.name)
        del self.living[process.name]

    def _freeze(self, process: Process, act: Freeze) -> None:
        self.tell(process.name, "freezes")
        self.report.happened["freeze"] += 1
        process.frozen = True
        if act.for_ms > SESSION_MS:
            self.loop.later(SESSION_MS, self._expire, process)
        if act.for_ms > ledger.IDLE_MS:
            self.loop.later(ledger.IDLE_MS, self.ledger.leave, process)
        self.loop.later(act.for_ms, self._thaw, process)

    def _thaw(self, process: Process) -> None:
        self.tell(process.name, "wakes up")
        if isinstance(process, processes.Orchestrator):
            self.owners.return_of(process)
        else:
            self.groups.return_of(process.members)
        process.thaw()

    def _expire(self, process: Process) -> None:
        """The group misses a process: somebody else gets what it held."""
        if isinstance(process, processes.Worker):
            self.groups.expire(process)
        else:
            self.owners.expire(process)

    # What the world does

    def _act(self, act) -> None:
        self.report.happened[type(act).__name__.lower()] += 1
        match act:
            case Ask():
                self.clients.ask(act)
            case Jump(by_ms=by_ms):
                self.tell("broker", "its clock jumps by", by_ms)
                self.broker.skew_ms += by_ms
            case Markers(for_ms=for_ms, lost=lost):
                self.tell("broker", "markers are lost" if lost else "markers are late")
                if lost:
                    self.broker.loses_markers = True
                else:
                    self.broker.markers_wait = True
                self.loop.later(for_ms, self._markers)
            case Move():
                self._move(act)
            case Deploy():
                self._deploy(self._written[-1])

    def _deploy(self, definition: WorkflowDefinition) -> None:
        self.tell("client", "deploys", definition.name, definition.version)
        self.broker.append((self.topics.definitions, 0), [workflows.record(self.codec, definition)])

    def _markers(self) -> None:
        self.broker.markers_wait = self.broker.loses_markers = False
        self.broker.write_markers()

    def _move(self, act: Move) -> None:
        heir = self.living.get(act.to)
        if heir is None or not heir.running:
            return
        if isinstance(heir, processes.Worker):
            self.tell("group", "gives all commands to", act.to)
            for topic in self.command_topics:
                self.groups.move(topic, heir)
        else:
            self.owners.move(act.shard % self.plan.shards, heir, act.told_new_ms, act.told_old_ms)
