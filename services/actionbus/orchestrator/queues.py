"""Who waits for a turn under which limit of a shard, who has one, and who is next.

All of it is derived from the runs, by looking at each as it changes and at all of them at a takeover, so a new owner
knows what the old one knew. Only the fairness of a line, which turn is the tenth, begins anew.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.run import ROOT, RunStatus, StepStatus, WorkflowRun
from actionbus.orchestrator.definitions import Definitions
from actionbus.process import metrics

FAIR_EVERY: Final = 10  # every tenth turn of a line is for whoever has waited longest, whatever their priority
AT_ONCE_MS: Final = 10  # of what a rate allows may begin together: no timer is more exact

Path = tuple[str, str]  # the run and the step in it; the root: the run itself


class LineId(NamedTuple):
    """What is counted together: an action, or a workflow whose runs are meant, and a key of its limit."""

    action: str
    workflow: str
    key: str


class Place(NamedTuple):
    """One that waits, or has a turn (``queued_at`` 0), with the definition that says what its limit is."""

    run_id: str
    path: str
    line: LineId
    queued_at: int
    priority: int
    workflow: str
    definition_version: str
    definition_hash: str


@dataclass(slots=True)
class _Line:
    taken: int = 0  # turns that are out
    given: int = 0  # turns so far, for the fairness
    free_at: float = 0  # when the rate allows the next one, epoch milliseconds
    waiting: dict[Path, Place] = field(default_factory=dict[Path, Place])
    by_priority: list[tuple[int, int, Path]] = field(default_factory=list[tuple[int, int, Path]])
    by_age: list[tuple[int, Path]] = field(default_factory=list[tuple[int, Path]])

    def join(self, place: Place) -> None:
        path = (place.run_id, place.path)
        self.waiting[path] = place
        heapq.heappush(self.by_priority, (-place.priority, place.queued_at, path))
        heapq.heappush(self.by_age, (place.queued_at, path))

    def head(self) -> Place | None:
        """Whoever is next: the highest priority and of those the oldest, or at every tenth turn the oldest of all."""
        heap: list[Any] = self.by_age if self.given % FAIR_EVERY == FAIR_EVERY - 1 else self.by_priority
        while heap:
            *_, queued_at, path = heap[0]
            place = self.waiting.get(path)
            if place is not None and place.queued_at == queued_at:
                return place
            heapq.heappop(heap)  # it waits no longer, or stands further back
        return None


class Queues:
    """The lines of one shard."""

    def __init__(self, definitions: Definitions, shard: int, shards: int) -> None:
        self._definitions = definitions
        self._shard = shard
        self._shards = shards
        self._lines: dict[LineId, _Line] = {}
        self._runs: dict[str, dict[str, Place]] = {}
        self._ready: dict[LineId, None] = {}  # lines that may have a turn to give, in the order they came to it
        self._later: list[tuple[float, LineId]] = []
        self._aside: list[tuple[int, Path]] = []
        self._told: Counter[tuple[str, str]] = Counter()  # what this shard has added to the gauges

    @property
    def lines(self) -> int:
        """How many lines are remembered."""
        return len(self._lines)

    def knows(self, run_id: str) -> bool:
        """Whether something in a run waits or has a turn, as it was noted last."""
        return run_id in self._runs

    @property
    def next_at(self) -> float | None:
        """When there may be a turn to give although nothing else happens."""
        return min((heap[0][0] for heap in (self._later, self._aside) if heap), default=None)

    def note(self, run: WorkflowRun) -> None:
        """A run is as it is now."""
        self._compare(run.run_id, {place.path: place for place in _places(run)})

    def drop(self, run_id: str) -> None:
        """There is no such run."""
        self._compare(run_id, {})

    def pace(self, outline: Mapping[str, Any]) -> None:
        """At a takeover: when a run last used turns under rates. It may have ended since."""
        workflow, turn = outline["workflow"], outline["turn"]
        definition = self._definitions.find(workflow, outline["definition_version"])
        if definition is None:
            return
        whole, actions = definition.graph.limit, definition.graph.actions
        if turn is not None and turn["taken_at"] and whole is not None:
            self._used(LineId("", workflow, turn["key"]), whole, turn["taken_at"])
        for pace in outline["paces"]:
            action = pace["action"]
            if not action:
                line, limit = LineId("", workflow, pace["key"]), whole
            else:
                line, limit = LineId(action, "", pace["key"]), actions[action].limit if action in actions else None
            if limit is not None:
                self._used(line, limit, pace["at"])

    def next(self, now: int) -> Place | None:
        """Whose turn it is; the same one again until it is noted as taken, or postponed. None: nobody's."""
        while self._later and self._later[0][0] <= now:
            self._ready[heapq.heappop(self._later)[1]] = None
        while self._aside and self._aside[0][0] <= now:
            self._return(heapq.heappop(self._aside)[1])
        while self._ready:
            line_id = next(iter(self._ready))
            line = self._lines.get(line_id)
            place = None if line is None else line.head()
            policy = None if place is None else self.limit_of(place)
            if line is None or place is None:
                del self._ready[line_id]
                if line is not None and not line.taken and line.free_at <= now - AT_ONCE_MS:
                    del self._lines[line_id]
            elif policy is None:
                return place  # its definition is gone: whoever lets it go on is told so
            elif not self._room(line, policy):
                del self._ready[line_id]
            elif policy.rate is not None and line.free_at > now:
                del self._ready[line_id]
                heapq.heappush(self._later, (line.free_at, line_id))
            else:
                return place
        return None

    def took(self, place: Place, now: int) -> None:
        """A turn was given to a place."""
        line, policy = self._line(place), self.limit_of(place)
        line.given += 1
        if policy is not None and policy.rate is not None:
            line.free_at = max(line.free_at, now - AT_ONCE_MS) + policy.gap_ms(self._shards)

    def postpone(self, place: Place, until: int) -> None:
        """A place cannot go on now: let the others of its line go first."""
        self._line(place).waiting.pop((place.run_id, place.path), None)
        heapq.heappush(self._aside, (until, (place.run_id, place.path)))

    def limit_of(self, place: Place) -> LimitPolicy | None:
        """What limits a place; None when its definition is not deployed any more."""
        definition = self._definitions.of(place)
        if definition is None:
            return None
        action = place.line.action
        return definition.action(action).limit if action else definition.graph.limit

    def end(self) -> None:
        """Take back what is in the gauges."""
        for line, count in self._told.items():
            _gauge(line).dec(count)
        self._told.clear()

    def _compare(self, run_id: str, now: dict[str, Place]) -> None:
        before = self._runs.pop(run_id, {})
        if now:
            self._runs[run_id] = now
        for path, place in before.items():
            if now.get(path) != place:
                self._leave(place)
        for path, place in now.items():
            if before.get(path) != place:
                self._join(place)

    def _join(self, place: Place) -> None:
        line = self._line(place)
        if not place.queued_at:
            line.taken += 1
            return
        line.join(place)
        self._count(place, 1)
        self._ready[place.line] = None

    def _leave(self, place: Place) -> None:
        line = self._line(place)
        if place.queued_at:
            line.waiting.pop((place.run_id, place.path), None)
            self._count(place, -1)
        else:
            line.taken -= 1
        if line.waiting:
            self._ready[place.line] = None
            return
        line.by_priority.clear()
        line.by_age.clear()
        if not line.taken:  # forgotten as soon as the rate need not be remembered
            heapq.heappush(self._later, (line.free_at + AT_ONCE_MS, place.line))

    def _return(self, path: Path) -> None:
        place = self._runs.get(path[0], {}).get(path[1])
        if place is not None and place.queued_at:
            self._line(place).join(place)
            self._ready[place.line] = None

    def _room(self, line: _Line, policy: LimitPolicy) -> bool:
        most = policy.room(self._shard, self._shards)
        return most is None or line.taken < most

    def _line(self, place: Place) -> _Line:
        return self._lines.setdefault(place.line, _Line())

    def _used(self, line_id: LineId, policy: LimitPolicy, at: int) -> None:
        if policy.rate is not None:
            line = self._lines.setdefault(line_id, _Line())
            line.free_at = max(line.free_at, at + policy.gap_ms(self._shards))

    def _count(self, place: Place, more: int) -> None:
        line = (place.line.action, place.workflow)
        self._told[line] += more
        _gauge(line).inc(more)


def _gauge(line: tuple[str, str]) -> Any:
    action, workflow = line
    if action:
        return metrics.STEPS_QUEUED.labels(action=action)
    return metrics.RUNS_QUEUED.labels(workflow=workflow)


def _places(run: WorkflowRun) -> Iterator[Place]:
    """Where a run stands in lines. What waits in a paused run stands in none; what is out there keeps its turn."""
    paused = run.status is RunStatus.PAUSED
    if run.turn is not None and not run.status.ended:
        line = LineId("", run.workflow, run.turn.key)
        if run.turn.taken_at:
            yield _place(run, ROOT, line, 0)
        elif run.queued and not paused:
            yield _place(run, ROOT, line, run.turn.queued_at)
    for step in run.steps:
        if step.turn is None:
            continue
        line = LineId(step.action, "", step.turn.key)
        if step.dispatch_seq and step.status in (StepStatus.SCHEDULED, StepStatus.COMPENSATING):
            yield _place(run, step.path, line, 0)
        elif step.queued and not paused:
            yield _place(run, step.path, line, step.turn.queued_at)


def _place(run: WorkflowRun, path: str, line: LineId, queued_at: int) -> Place:
    return Place(
        run_id=run.run_id,
        path=path,
        line=line,
        queued_at=queued_at,
        priority=run.priority,
        workflow=run.workflow,
        definition_version=run.definition_version,
        definition_hash=run.definition_hash,
    )
