"""T29: a saga that fails or is cancelled at each of its steps, and a crash at every point of its undoing.

Played in memory, on the shipped shard and engine, with a worker that keeps an inbox as the real one does (`protocol`):
only there can every point be met. Where a process dies in the real world, T03 and T04 kill it.
"""

import asyncio
from dataclasses import dataclass, field
from random import Random

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.decisions import Call, RetryPolicy
from actionbus.contracts.definitions import ActionSpec, Effect, Graph
from actionbus.contracts.nodes import SequenceNode, StepNode
from actionbus.contracts.run import RunStatus
from faults.fault import Fault, Outcome
from faults.ground import Ground
from protocol.world import QUIET_TURNS, ROUNDS, Violated, World

STEPS = ("one", "two", "three")
RUN = "r1"
FENCED_MS = 10_000  # longer than anybody waits before another takeover
ENDED = {"fails": RunStatus.FAILED}  # what is not said here ends as CANCELLED


@dataclass(frozen=True)
class _Cause:
    """Why a saga goes back: ``fails``; or cancelled while the step is at work, which then ends at once or too late."""

    how: str
    step: str


CAUSES = [_Cause(how, step) for how in ("fails", "cancelled", "cancelled, and late") for step in STEPS]


@dataclass(frozen=True)
class _Crash:
    """Who dies, and behind how much since the cause.

    The ``owner`` behind so many requests to the brokers, or the ``worker`` behind so many undos in its database, before
    it has answered the last one.
    """

    who: str
    at: int


@dataclass
class _Saga:
    """One world, from the start of its run to its end."""

    cause: _Cause
    crashes: list[_Crash]
    world: World = field(default_factory=lambda: World(graph=_three()))
    base: int | None = None
    requests: int = 0
    undos: int = 0
    crashed: int = 0
    undone: list[str] = field(default_factory=list)
    held: ActionCommand | None = None

    async def play(self) -> list[str]:
        """Everything that is wrong at the end."""
        self.world.owner("owner").start()
        self.world.start(RUN)
        if self.cause.how == "fails":
            self.world.worker.failing[self.cause.step] = 1
        idle = 0
        for _ in range(ROUNDS):
            await self._settle()
            idle = 0 if self._work() else idle + 1
            if idle > 3 and self.world.runs()[RUN].status.ended:
                break
            self.world.broker.time_ms += FENCED_MS
            for owner in self.world.owners:
                owner.clock.move(FENCED_MS)
        if self.held is not None:
            self._answer_late()
            await self._settle()
        for owner in self.world.owners:
            await owner.crash()
        return self._judge()

    async def _settle(self) -> None:
        """Let everybody go on until nobody can; owners die where they have to."""
        broker = self.world.broker
        quiet, before = 0, broker.activity
        while quiet < QUIET_TURNS:
            await asyncio.sleep(0)
            quiet, before = (quiet + 1 if broker.activity == before else 0), broker.activity
            if self.base is None:
                continue
            self.requests = broker.activity - self.base
            for each in self._due("owner", self.requests):
                self.crashes.remove(each)
                self.crashed += 1
                await self.world.owners[-1].crash()
                self.world.owner(f"owner-{self.crashed}").start()
                quiet = 0

    def _due(self, who: str, reached: int) -> list[_Crash]:
        return [each for each in self.crashes if each.who == who and each.at <= reached][:1]

    def _work(self) -> int:
        commands = self.world.worker.take()
        for command in commands:
            undo = command.kind is CommandKind.COMPENSATE
            if self._cancels(command):
                continue
            result = self.world.worker.execute(command)
            if result.error is not None and self.base is None:
                self.base = self.world.broker.activity
            if undo:
                self._undid(command.step)
                for each in self._due("worker", self.undos):  # its result is lost, and the command comes again
                    self.crashes.remove(each)
                    self.crashed += 1
                    result = self.world.worker.execute(command)
            self.world.worker.answer(result)
            if undo and self.held is not None and self.held.step == command.step:
                self._answer_late()
        return len(commands)

    def _cancels(self, command: ActionCommand) -> bool:
        """Whether the run is cancelled while the worker is at work on this command."""
        mine = command.step == self.cause.step and command.kind is not CommandKind.COMPENSATE
        if not mine or self.cause.how == "fails" or self.base is not None:
            return False
        self.base = self.world.broker.activity
        self.world.cancel(RUN)
        self.held = command
        if self.cause.how == "cancelled":
            self._answer_late()
        return True

    def _answer_late(self) -> None:
        self.world.worker.answer(self.world.worker.execute(self.held))
        self.held = None

    def _undid(self, step: str) -> None:
        self.undos += 1
        row = self.world.worker.rows.get(self._key(step))
        if row is not None and row.undone and step not in self.undone:
            self.undone.append(step)

    def _key(self, step: str) -> str:
        run = self.world.runs()[RUN]
        return identifiers.step_key(run.run_id, run.incarnation, step)

    def _judge(self) -> list[str]:
        found = []
        try:
            for look in (self.world.one_history, self.world.nothing_torn, self.world.no_phantoms, self.world.all_ended):
                look()
        except Violated as error:
            found.append(str(error))
        wanted, status = ENDED.get(self.cause.how, RunStatus.CANCELLED), self.world.runs()[RUN].status
        if status is not wanted:
            found.append(f"the run is {status}")
        for step in STEPS:
            row = self.world.worker.rows.get(self._key(step))
            if row is not None and (row.applied > 1 or row.applied != row.undone):
                found.append(f"{step} was done {row.applied} times and undone {row.undone} times")
        if self.undone != [step for step in reversed(STEPS) if step in self.undone]:
            found.append(f"undone in the order {self.undone}")
        return [f"{self.cause}: {each}" for each in found]


def _three() -> Graph:
    names = [*STEPS, *(f"undo-{step}" for step in STEPS)]
    retry = RetryPolicy(attempts=1)
    actions = {name: ActionSpec(id=name, effect=Effect.TRANSACTIONAL, store="db", retry=retry) for name in names}
    steps = [
        StepNode(id=step, call=Call(action=step, input={}), undo=Call(action=f"undo-{step}", input={}))
        for step in STEPS
    ]
    return Graph(name="three", version="1", root=SequenceNode(id="root", nodes=tuple(steps)), actions=actions)


async def _points() -> list[tuple[_Cause, _Crash]]:
    """Every point at which somebody can die, by a saga of each cause in which nobody does."""
    found = []
    for cause in CAUSES:
        calm = _Saga(cause, [])
        wrong = await calm.play()
        assert not wrong, wrong
        found += [(cause, _Crash("owner", at)) for at in range(calm.requests + 1)]
        found += [(cause, _Crash("worker", at)) for at in range(1, calm.undos + 1)]
    return found


async def _saga(_ground: Ground, count: int, chance: Random) -> Outcome:
    points = await _points()
    chance.shuffle(points)
    played, wrong, injected = [], [], 0
    while injected < count:
        cause, crash = points[len(played) % len(points)]
        again = [] if len(played) < len(points) else [_Crash("owner", crash.at + chance.randrange(1, 20))]
        saga = _Saga(cause, [crash, *again])
        wrong += [f"{crash}, {again}: {each}" for each in await saga.play()]
        played.append(saga)
        injected += saga.crashed
    rows = [row for saga in played for row in saga.world.worker.rows.values()]
    return Outcome(
        injected=injected,
        workflows=len(played),
        steps=len(rows),
        effects=sum(row.applied + row.undone for row in rows),
        faults={"uncompensated": wrong} if wrong else {},
    )


FAULTS = (
    Fault(
        id="T29/saga",
        name="crash while undoing",
        what="three steps, of which each one fails or is cancelled at work, with its worker in time or after the undo; the "
        "owner dies behind every single request from there to the end, the worker after every undo: all points once, then "
        "again with a second death of the owner at a random point (in memory)",
        play=_saga,
        short=100,
        each=1_000,
        published=2_000,
        full=10_000,
        needs=(),
    ),
)
