"""Limits, as the committed states keep them: never more under way than is allowed, and no faster."""

from collections import defaultdict
from collections.abc import Iterator

from actionbus.contracts import payloads
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.run import StepStatus, Turn, WorkflowRun
from simulation.acts import Jump
from simulation.judgement import hold

LIMITED = "a limit is never exceeded"
RATED = "a rate is kept"
AT_ONCE_MS = 10  # of what a rate allows may begin together
SLACK_MS = 40  # a shard's clock may be behind by what its records take

Line = tuple[str, str]


class Allowances:
    """Who has a turn, counted from the runs alone."""

    def __init__(self, world) -> None:
        self._world = world
        self._shards = world.plan.shards
        self._steady = not any(isinstance(each, Jump) for each in world.plan.acts)
        self._out: list[defaultdict[Line, set]] = [defaultdict(set) for _ in range(self._shards)]
        self._of: dict[str, list[tuple[Line, tuple]]] = {}
        self._free_at: dict[tuple[int, Line], float] = {}
        self._begun: dict[tuple, int] = {}

    def follow(self, shard: int, changes: dict[str, WorkflowRun | None]) -> None:
        """Runs have changed."""
        lines = self._out[shard]
        begun = []
        for run_id in changes:
            for line, what in self._of.pop(run_id, ()):
                lines[line].discard(what)
        for run_id, run in changes.items():
            if run is None or run.status.ended:
                continue
            found = list(self._turns(run))
            self._of[run_id] = [(line, what) for line, what, _, _ in found]
            for line, what, policy, turn in found:
                lines[line].add(what)
                self._holds(shard, line, policy)
                if turn is not None and policy.rate is not None:
                    begun.append((turn.taken_at, line, what, policy))
        for taken_at, line, what, policy in sorted(begun, key=lambda each: each[:3]):
            self._paced(shard, line, what, policy, taken_at)

    def _turns(self, run: WorkflowRun) -> Iterator[tuple[Line, tuple, LimitPolicy, Turn | None]]:
        definition = self._world.definition_of(run)
        whole = definition.graph.limit
        if whole is not None and not run.unbegun:
            yield (f"runs of {run.workflow}", run.turn.key if run.turn else ""), (run.run_id, ""), whole, run.turn
        for step in run.steps:
            out = step.dispatch_seq and step.status in (StepStatus.SCHEDULED, StepStatus.COMPENSATING)
            policy = definition.action(step.action).limit if out else None
            if policy is not None:
                key = policy.key_of(payloads.decode(step.input)) if policy.key else ""
                yield (step.action, key), (run.run_id, step.path), policy, step.turn

    def _holds(self, shard: int, line: Line, policy: LimitPolicy) -> None:
        own = len(self._out[shard][line])
        hold(own <= policy.room(shard, self._shards), LIMITED, f"{own} of {line} are out on shard {shard}")
        if policy.key is None:
            every = sum(len(each[line]) for each in self._out)
            hold(every <= max(policy.concurrency, self._shards), LIMITED, f"{every} of {line} are out")

    def _paced(self, shard: int, line: Line, what: tuple, policy: LimitPolicy, at: int) -> None:
        if self._begun.get((line, what)) == at:
            return
        self._begun[line, what] = at
        free_at = self._free_at.get((shard, line), 0)
        if self._steady:
            hold(at >= free_at - SLACK_MS, RATED, f"{what} of {line} begins at {at}, not before {free_at}")
        self._free_at[shard, line] = max(free_at, at - AT_ONCE_MS) + policy.gap_ms(self._shards)
