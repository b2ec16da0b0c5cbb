"""What a shard's committed transactions say, as metrics. What was not committed has not happened and does not count."""

from collections import Counter

import structlog

from actionbus.contracts.events import EntryKind
from actionbus.engine.transition import Outcome
from actionbus.orchestrator.fold import Fold, Happened
from actionbus.process import metrics

_log = structlog.get_logger(__name__)


class Tally:
    """The part of the gauges that is one shard's; it is taken back when the shard is let go."""

    def __init__(self) -> None:
        self._live: Counter[str] = Counter()
        self._incidents: Counter[str] = Counter()

    def found(self, workflow: str, *, live: bool, stuck: int) -> None:
        """Count a run that a takeover has found; ``stuck``: how many of its steps wait for an operator."""
        if live:
            self._lives(workflow, 1)
        if stuck:
            self._waits(workflow, stuck)

    def committed(self, fold: Fold) -> None:
        """Count what a fold did."""
        for happened in fold.events:
            self._count(happened)
        duplicates, stale = fold.outcomes[Outcome.REPEATED], fold.outcomes[Outcome.STALE]
        if duplicates:
            metrics.DUPLICATE_RESULTS.inc(duplicates)
        if stale:
            metrics.STALE_RESULTS.inc(stale)
        if fold.strays:
            metrics.MISROUTED_RECORDS.inc(len(fold.strays))
        if fold.forged:
            metrics.FORGED_RESULTS.inc(fold.forged)
        for reason, count in fold.buried.items():
            metrics.DEAD_LETTERS.labels(action="", reason=reason).inc(count)
        for late_ms, trace in fold.fired:
            metrics.TIMER_FIRE_DELAY.observe(late_ms / 1000, metrics.example(trace))

    def end(self) -> None:
        """Take back what is in the gauges."""
        for workflow, count in self._live.items():
            metrics.RUNS_LIVE.labels(workflow=workflow).dec(count)
        for workflow, count in self._incidents.items():
            metrics.INCIDENTS_OPEN.labels(workflow=workflow).dec(count)
        self._live.clear()
        self._incidents.clear()

    def _count(self, happened: Happened) -> None:
        event = happened.event
        workflow = event.workflow
        for entry in event.entries:
            match entry.kind:
                case EntryKind.RUN_STARTED:
                    metrics.RUNS_STARTED.labels(workflow=workflow).inc()
                    self._lives(workflow, 1)
                case EntryKind.RUN_ENDED:
                    metrics.RUNS_COMPLETED.labels(workflow=workflow, status=event.status).inc()
                    trace = metrics.example(happened.trace)
                    metrics.RUN_DURATION.labels(workflow=workflow).observe(happened.age_ms / 1000, trace)
                    self._lives(workflow, -1)
                case EntryKind.DECISION if entry.decision is not None:
                    metrics.DECISIONS.labels(decision=entry.decision.decision).inc()
                case EntryKind.STEP_IN_DOUBT:
                    metrics.STEPS_IN_DOUBT.labels(workflow=workflow).inc()
                case EntryKind.RESULTS_DIFFER:
                    metrics.RESULTS_DIFFER.labels(action=entry.action or "").inc()
                    about = {"run_id": event.run_id, "workflow": workflow, "step": entry.step, "attempt": entry.attempt}
                    _log.error("two results of one step differ", action=entry.action, reason=entry.reason, **about)
                case EntryKind.INCIDENT_OPENED:
                    self._waits(workflow, 1)
                case EntryKind.INCIDENT_CLOSED:
                    self._waits(workflow, -1)
                case _:
                    pass

    def _lives(self, workflow: str, more: int) -> None:
        self._live[workflow] += more
        metrics.RUNS_LIVE.labels(workflow=workflow).inc(more)

    def _waits(self, workflow: str, more: int) -> None:
        self._incidents[workflow] += more
        metrics.INCIDENTS_OPEN.labels(workflow=workflow).inc(more)
