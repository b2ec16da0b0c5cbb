"""The commands of a shard that nobody has begun, and the runs that stand still. Derived from the runs, like the lines.

A command is of the backlog from its scheduling until a worker answers it or says that it has begun, so the numbers hold
also where no worker lives, and cost no question to a broker. A run is stuck when nothing is left that could move it, or
when its oldest such command has waited for too long although workers of the action have answered meanwhile.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from actionbus.contracts.events import EntryKind
from actionbus.contracts.run import RunStatus, StepStatus, TimerKind, WorkflowRun
from actionbus.engine.forsaken import AWAITED, forsaken, waits
from actionbus.orchestrator.ages import Ages
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.fold import Fold

SECOND_MS: Final = 1_000
AGED_AT_ONCE: Final = 2_000  # seconds of a line that one look passes over, some 10 ms; the next look goes on
OUT: Final = frozenset({StepStatus.SCHEDULED, StepStatus.COMPENSATING})
ANSWERED: Final = frozenset(
    {
        EntryKind.STEP_SUCCEEDED,
        EntryKind.STEP_FAILED,
        EntryKind.STEP_DEFERRED,
        EntryKind.STEP_IN_DOUBT,
        EntryKind.STEP_COMPENSATED,
        EntryKind.COMPENSATION_FAILED,
    }
)

_log = structlog.get_logger(__name__)


Unbegun = tuple[int, str]
"""A command that nobody has begun: the second in which it was scheduled, and its action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """The backlog of a shard at one moment."""

    commands: Mapping[str, int]  # by action
    ages_ms: Mapping[str, int]  # of the oldest of them; 0: there is none
    stuck: Mapping[str, int]  # runs, by workflow


class Backlog:
    """What waits in one shard for workers, and which of its runs nothing moves."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        # By workflow and action: the oldest command of each run, so that these are runs as well, and all others.
        self._oldest: dict[tuple[str, str], Ages] = {}
        self._others: dict[tuple[str, str], Ages] = {}
        self._forsaken: dict[str, str] = {}  # run id -> workflow
        self._heard: dict[str, int] = {}  # action -> when its workers last answered

    def committed(self, fold: Fold) -> None:
        """Take in what a fold did."""
        for happened in fold.events:
            for entry in happened.event.entries:
                if entry.kind in ANSWERED and entry.action is not None:
                    self._heard[entry.action] = happened.event.at
        for run_id, run in fold.touched.items():
            before = fold.before.get(run_id)
            old = [] if before is None else unbegun(before)
            new = [] if run is None else unbegun(run)
            if run is not None and not new and forsaken(self._definitions.of(run), run):
                self._forsake(run_id, run.workflow)
            elif self._forsaken:
                self._forsaken.pop(run_id, None)
            if old != new:  # what stays is counted up before it is counted down, so that its second is never let go
                self._count(new, 1, "" if run is None else run.workflow)
                self._count(old, -1, "" if before is None else before.workflow)

    def found(self, outline: Mapping[str, Any], scopes: Callable[[], Iterable[str]]) -> None:
        """A takeover has found a run; ``scopes`` gives the paths of what is under way, asked for only if it matters."""
        status = RunStatus(outline["status"])
        if status.ended:
            return
        begun = {timer["step"] for timer in outline["timers"] if timer["kind"] == TimerKind.START_TO_CLOSE}
        new = [
            (step["scheduled_at"] // SECOND_MS, step["action"])
            for step in outline["steps"]
            if step["status"] in OUT and step["dispatch_seq"] and step["path"] not in begun
            if not 0 < step["deferred"] == step["attempt"]
        ]
        self._count(new, 1, outline["workflow"])
        definition = self._definitions.find(outline["workflow"], outline["definition_version"])
        moved = status in (RunStatus.PAUSED, RunStatus.UNKNOWN) or outline["timers"] or _queued(outline["turn"])
        moved = moved or any(step["status"] in AWAITED or step["stuck"] is not None for step in outline["steps"])
        if definition is None or not (moved or any(waits(definition, path) for path in scopes())):
            self._forsake(outline["run_id"], outline["workflow"])

    def look(self, now: int, stuck_after_ms: int) -> Standstill:
        """As things are now, epoch milliseconds by the broker's clock."""
        stuck = Counter(self._forsaken.values())
        bound, left = now - stuck_after_ms, AGED_AT_ONCE
        for (workflow, action), ages in self._oldest.items():
            if self._heard.get(action, 0) >= bound:
                left -= ages.age(bound // SECOND_MS, left)
                stuck[workflow] += ages.late
        commands: Counter[str] = Counter()
        ages_ms: dict[str, int] = {}
        for lines in (self._oldest, self._others):
            for (_, action), ages in lines.items():
                commands[action] += ages.count
                oldest = ages.oldest
                age = 0 if oldest is None else now - oldest * SECOND_MS
                ages_ms[action] = max(age, ages_ms.get(action, 0))
        return Standstill(commands=commands, ages_ms=ages_ms, stuck=stuck)

    def _forsake(self, run_id: str, workflow: str) -> None:
        if run_id not in self._forsaken:
            _log.error("nothing is left that could move a run", run_id=run_id, workflow=workflow)
        self._forsaken[run_id] = workflow

    def _count(self, commands: list[Unbegun], more: int, workflow: str) -> None:
        if not commands:
            return
        oldest = commands[0]
        if len(commands) > 1:
            oldest, *others = sorted(commands)
            for second, action in others:
                _line(self._others, workflow, action).add(second, more)
        second, action = oldest
        _line(self._oldest, workflow, action).add(second, more)


def _line(lines: dict[tuple[str, str], Ages], workflow: str, action: str) -> Ages:
    found = lines.get((workflow, action))
    if found is None:
        found = lines[workflow, action] = Ages()
    return found


def unbegun(run: WorkflowRun) -> list[Unbegun]:
    """The commands that a run has out and that nobody has begun."""
    if not run.steps:
        return []
    begun = {timer.step for timer in run.timers if timer.kind is TimerKind.START_TO_CLOSE} if run.timers else ()
    return [
        (step.scheduled_at // SECOND_MS, step.action)
        for step in run.steps
        if step.status in OUT and step.waits_for_worker and step.path not in begun
    ]


def _queued(turn: Mapping[str, Any] | None) -> bool:
    return turn is not None and turn["queued_at"] > 0 and not turn["taken_at"]
