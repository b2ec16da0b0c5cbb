"""Every metric of actionbus, each with its name, labels and meaning. Services use them directly.

Units are base units and stand in the name. A label never carries a run id, a key or a payload, so the number of series
is bounded by workflows, actions and partitions. Serving them is the business of probes.py.
"""

import platform
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

REGISTRY: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=REGISTRY)  # CPU, memory and file descriptors of this process, under their usual names

_TRACE_ENDS: Final = 35  # in a traceparent: version, dash, 32 digits of the trace id, dash
_MINUTE: Final = 60.0
_HOUR: Final = 3_600.0
_DAY: Final = 86_400.0
# The default buckets end at 10 s: too coarse for one hop (about 1 ms), and blind to runs that take days.
FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG: Final = (
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    *(_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY),
)
SPAN: Final = (*FAST, *(bound for bound in LONG if bound > FAST[-1]))  # a step takes a millisecond or waits for hours

# The canary: what became of the runs that it asks for, by its own ledger.
CANARY_RUNS: Final = Counter(
    "actionbus_canary_runs_total", "Runs of the canary that are judged, by outcome.", ["outcome"], registry=REGISTRY
)
CANARY_LATENCY: Final = Histogram(
    "actionbus_canary_latency_seconds",
    "From asking for a run of the canary to its end.",
    buckets=SPAN,
    registry=REGISTRY,
)
CANARY_OVERDUE: Final = Gauge(
    "actionbus_canary_overdue_runs", "Runs of the canary that have not ended in time.", registry=REGISTRY
)
CANARY_LOST: Final = Counter(
    "actionbus_canary_lost_total", "Runs of the canary that are gone, or ended without their effect.", registry=REGISTRY
)
CANARY_DOUBLED: Final = Counter(
    "actionbus_canary_doubled_total", "Runs of the canary whose effect happened more than once.", registry=REGISTRY
)

# Runs: fed by the orchestrator that owns the run's shard. Gauges of several orchestrators add up.
RUNS_STARTED: Final = Counter("actionbus_runs_started_total", "Runs started.", ["workflow"], registry=REGISTRY)
RUNS_COMPLETED: Final = Counter(
    "actionbus_runs_completed_total", "Runs that ended, by final status.", ["workflow", "status"], registry=REGISTRY
)
RUNS_LIVE: Final = Gauge("actionbus_runs_live", "Runs that have not ended.", ["workflow"], registry=REGISTRY)
RUN_DURATION: Final = Histogram(
    "actionbus_run_duration_seconds", "From start to end of a run.", ["workflow"], buckets=LONG, registry=REGISTRY
)
DECISIONS: Final = Counter(
    "actionbus_decisions_total", "Decisions on failures, by kind of decision.", ["decision"], registry=REGISTRY
)
INCIDENTS_OPEN: Final = Gauge(
    "actionbus_incidents_open", "Steps that wait for an operator.", ["workflow"], registry=REGISTRY
)
STEPS_IN_DOUBT: Final = Counter(
    "actionbus_steps_in_doubt_total",
    "Attempts of which nobody knows whether they had their effect; each waits for an operator or has a rule.",
    ["workflow"],
    registry=REGISTRY,
)
STEPS_QUEUED: Final = Gauge(
    "actionbus_steps_queued", "Steps that wait for their turn under a limit.", ["action"], registry=REGISTRY
)
RUNS_QUEUED: Final = Gauge(
    "actionbus_runs_queued", "Runs that wait for their turn to begin.", ["workflow"], registry=REGISTRY
)
RUNS_STUCK: Final = Gauge(
    "actionbus_runs_stuck",
    "Live runs that nothing is left to move, or whose oldest unbegun command waits for longer than "
    "ACTIONBUS_ORCHESTRATOR_STUCK_AFTER_SECONDS although workers of its action have answered within that time.",
    ["workflow"],
    registry=REGISTRY,
)
ACTION_BACKLOG: Final = Gauge(
    "actionbus_action_backlog_records",
    "Commands that no worker has begun, as the runs of this orchestrator's shards know; right also without workers.",
    ["action"],
    registry=REGISTRY,
)
ACTION_BACKLOG_AGE: Final = Gauge(
    "actionbus_action_backlog_age_seconds",
    "How long the oldest of these commands has waited; 0 without any.",
    ["action"],
    registry=REGISTRY,
)
COMMANDS_PUBLISHED: Final = Counter(
    "actionbus_commands_published_total", "Commands published for the first time.", ["action"], registry=REGISTRY
)
COMMANDS_REDISPATCHED: Final = Counter(
    "actionbus_commands_redispatched_total",
    "Commands published again under the same id.",
    ["action"],
    registry=REGISTRY,
)

RESULTS_DIFFER: Final = Counter(
    "actionbus_results_differ_total",
    "Steps of which a second attempt gave another output than the one that was accepted.",
    ["action"],
    registry=REGISTRY,
)

# The proof of durability: what arrived twice, late, forged or astray, and did no harm.
DUPLICATE_RESULTS: Final = Counter(
    "actionbus_duplicate_results_total", "Results of steps that had already ended; ignored.", registry=REGISTRY
)
STALE_RESULTS: Final = Counter(
    "actionbus_stale_results_total", "Results of attempts that nobody waits for any more; ignored.", registry=REGISTRY
)
FORGED_RESULTS: Final = Counter(
    "actionbus_forged_results_total", "Results whose nonce does not fit their command; ignored.", registry=REGISTRY
)
MISROUTED_RECORDS: Final = Counter(
    "actionbus_misrouted_records_total", "Records found on another partition than their key's.", registry=REGISTRY
)
DEAD_LETTERS: Final = Counter(
    "actionbus_dead_letters_total",
    "Records set aside unread; action is empty for workflow topics.",
    ["action", "reason"],
    registry=REGISTRY,
)

TIMERS_PENDING: Final = Gauge("actionbus_timers_pending", "Timers that have not fired.", registry=REGISTRY)
TIMER_FIRE_DELAY: Final = Histogram(
    "actionbus_timer_fire_delay_seconds", "From a timer's due time to its firing.", buckets=SPAN, registry=REGISTRY
)

# Kafka, as the orchestrator's shards see it.
TXN_COMMITS: Final = Counter(
    "actionbus_txn_commits_total", "Transactions that were cleanly committed.", registry=REGISTRY
)
TXN_ABORTS: Final = Counter(
    "actionbus_txn_aborts_total", "Transactions that were aborted or whose outcome is unknown.", registry=REGISTRY
)
TXN_DURATION: Final = Histogram(
    "actionbus_txn_duration_seconds", "From begin to acknowledged commit.", buckets=FAST, registry=REGISTRY
)
PRODUCER_REBUILDS: Final = Counter(
    "actionbus_producer_rebuilds_total",
    "Times a shard dropped its memory and producers.",
    ["reason"],
    registry=REGISTRY,
)
SHARD_TAKEOVER: Final = Histogram(
    "actionbus_shard_takeover_seconds",
    "From the assignment of a shard to its first batch.",
    buckets=SPAN,
    registry=REGISTRY,
)
STATE_RESTORE: Final = Histogram(
    "actionbus_state_restore_seconds", "Reading a shard's state during a takeover.", buckets=SPAN, registry=REGISTRY
)
SHARDS_OWNED: Final = Gauge(
    "actionbus_shards_owned", "Shards this orchestrator owns and has not stopped.", registry=REGISTRY
)
REBALANCES: Final = Counter("actionbus_rebalances_total", "Rebalances this member went through.", registry=REGISTRY)
CONSUMER_LAG: Final = Gauge(
    "actionbus_consumer_lag_records", "Records that are not consumed yet.", ["topic", "partition"], registry=REGISTRY
)
CONSUMER_LAG_AGE: Final = Gauge(
    "actionbus_consumer_lag_age_seconds",
    "Age of the oldest record that is not consumed yet; 0 without any.",
    ["topic", "partition"],
    registry=REGISTRY,
)
LSO_LAG: Final = Gauge(
    "actionbus_lso_lag_seconds",
    "For how long an open transaction has held back everything after it from readers of committed records.",
    ["topic", "partition"],
    registry=REGISTRY,
)

# Steps: fed by the worker that performs them.
STEP_SCHEDULE_TO_START: Final = Histogram(
    "actionbus_step_schedule_to_start_seconds",
    "From a command's issue to the start of its attempt.",
    ["action"],
    buckets=SPAN,
    registry=REGISTRY,
)
STEP_DURATION: Final = Histogram(
    "actionbus_step_duration_seconds",
    "One attempt, by outcome.",
    ["action", "outcome"],
    buckets=SPAN,
    registry=REGISTRY,
)
STEP_RETRIES: Final = Counter(
    "actionbus_step_retries_total", "Attempts that were not the first of their step.", ["action"], registry=REGISTRY
)
STEP_TIMEOUTS: Final = Counter(
    "actionbus_step_timeouts_total", "Attempts that ran out of time, by kind of timeout.", ["kind"], registry=REGISTRY
)
COMMANDS_IN_PROGRESS: Final = Gauge(
    "actionbus_commands_in_progress", "Attempts that are running now.", ["action"], registry=REGISTRY
)
ATTEMPTS_STUCK: Final = Gauge(
    "actionbus_attempts_stuck",
    "Attempts whose time is over and whose code still runs; each holds a slot.",
    ["action"],
    registry=REGISTRY,
)
INBOX_DUPLICATES: Final = Counter(
    "actionbus_inbox_duplicates_total",
    "Commands answered from the inbox without a second effect.",
    ["action"],
    registry=REGISTRY,
)

RESULTS_RELAYED: Final = Counter(
    "actionbus_results_relayed_total",
    "Committed results that were published from the outbox, because their worker had not done so.",
    ["store"],
    registry=REGISTRY,
)
ROWS_REMOVED: Final = Counter(
    "actionbus_store_rows_removed_total",
    "Rows of inboxes and journals that were removed because they were old.",
    ["store"],
    registry=REGISTRY,
)

# The tables that people read: fed by the projectors.
PROJECTOR_EVENTS: Final = Counter(
    "actionbus_projector_events_total",
    "Events read, by what became of them: written, repeated, verdict, unreadable.",
    ["outcome"],
    registry=REGISTRY,
)
PROJECTOR_LAG: Final = Gauge(
    "actionbus_projector_lag_seconds", "How old the tables are; 0 when nothing is left to write.", registry=REGISTRY
)
PROJECTOR_BATCH: Final = Histogram(
    "actionbus_projector_batch_seconds", "Writing one batch, commit included.", buckets=FAST, registry=REGISTRY
)
# The last whole minute, hour and day (1m, 1h, 1d), as the tables have them. Every projector says the same.
WINDOW_RUNS_STARTED: Final = Gauge(
    "actionbus_window_runs_started", "Runs started in the last whole window.", ["workflow", "window"], registry=REGISTRY
)
WINDOW_RUNS_COMPLETED: Final = Gauge(
    "actionbus_window_runs_completed",
    "Runs that completed in the last whole window.",
    ["workflow", "window"],
    registry=REGISTRY,
)
WINDOW_RUNS_FAILURE: Final = Gauge(
    "actionbus_window_runs_failure_ratio",
    "Of the runs that ended in the last whole window, the part that failed or took too long; absent without any.",
    ["workflow", "window"],
    registry=REGISTRY,
)
WINDOW_RUNS_DURATION: Final = Gauge(
    "actionbus_window_runs_duration_seconds",
    "From start to end of the runs that completed in the last whole window: p50 and p95; absent without any.",
    ["workflow", "window", "percentile"],
    registry=REGISTRY,
)
WINDOW_ATTEMPTS_STARTED: Final = Gauge(
    "actionbus_window_attempts_started",
    "Attempts sent in the last whole window.",
    ["action", "window"],
    registry=REGISTRY,
)
WINDOW_STEPS_COMPLETED: Final = Gauge(
    "actionbus_window_steps_completed",
    "Steps that succeeded in the last whole window.",
    ["action", "window"],
    registry=REGISTRY,
)
WINDOW_ATTEMPTS_FAILURE: Final = Gauge(
    "actionbus_window_attempts_failure_ratio",
    "Of the attempts that ended in the last whole window, the part that failed or took too long; absent without any.",
    ["action", "window"],
    registry=REGISTRY,
)
WINDOW_STEPS_DURATION: Final = Gauge(
    "actionbus_window_steps_duration_seconds",
    "From the first attempt to success of the steps of the last whole window: p50 and p95; absent without any.",
    ["action", "window", "percentile"],
    registry=REGISTRY,
)
EVENT_VERSION_GAPS: Final = Counter(
    "actionbus_event_version_gaps_total", "Events whose run's version before was never seen.", registry=REGISTRY
)
EVENTS_LOST: Final = Counter(
    "actionbus_projector_lost_offsets_total", "Offsets removed from the topic before they were read.", registry=REGISTRY
)
RECORDS_IGNORED: Final = Counter(
    "actionbus_records_ignored_total", "Records passed over, as nobody could read them.", ["kind"], registry=REGISTRY
)

BUILD: Final = Info("actionbus_build", "The version that is running, and as which service.", registry=REGISTRY)

# Who feeds what; every metric stands in one group or more.
GATEWAY_REQUEST_DURATION: Final = Histogram(
    "actionbus_gateway_request_duration_seconds",
    "From a request to the end of its answer; of a stream, as long as it was open.",
    ["route", "method", "status"],
    buckets=SPAN,
    registry=REGISTRY,
)
GATEWAY_STREAMS: Final = Gauge(
    "actionbus_gateway_streams_open", "Event streams and waits for results that are open.", registry=REGISTRY
)

ORCHESTRATOR: Final[tuple[MetricWrapperBase, ...]] = (
    *(RUNS_STARTED, RUNS_COMPLETED, RUNS_LIVE, RUN_DURATION, DECISIONS, INCIDENTS_OPEN, STEPS_IN_DOUBT),
    *(RESULTS_DIFFER, RECORDS_IGNORED),
    *(STEPS_QUEUED, RUNS_QUEUED, RUNS_STUCK, ACTION_BACKLOG, ACTION_BACKLOG_AGE),
    *(COMMANDS_PUBLISHED, COMMANDS_REDISPATCHED),
    *(DUPLICATE_RESULTS, STALE_RESULTS, FORGED_RESULTS, MISROUTED_RECORDS, DEAD_LETTERS),
    *(TIMERS_PENDING, TIMER_FIRE_DELAY, TXN_COMMITS, TXN_ABORTS, TXN_DURATION, PRODUCER_REBUILDS),
    *(SHARD_TAKEOVER, STATE_RESTORE, SHARDS_OWNED, REBALANCES, CONSUMER_LAG, CONSUMER_LAG_AGE, LSO_LAG),
)
WORKER: Final[tuple[MetricWrapperBase, ...]] = (
    *(STEP_SCHEDULE_TO_START, STEP_DURATION, STEP_RETRIES, STEP_TIMEOUTS, COMMANDS_IN_PROGRESS),
    *(ATTEMPTS_STUCK, INBOX_DUPLICATES, RESULTS_RELAYED, ROWS_REMOVED, DEAD_LETTERS),
    *(REBALANCES, CONSUMER_LAG, CONSUMER_LAG_AGE, RECORDS_IGNORED),
)
GATEWAY: Final[tuple[MetricWrapperBase, ...]] = (GATEWAY_REQUEST_DURATION, GATEWAY_STREAMS, RECORDS_IGNORED)
PROJECTOR: Final[tuple[MetricWrapperBase, ...]] = (
    *(PROJECTOR_EVENTS, PROJECTOR_LAG, PROJECTOR_BATCH, EVENT_VERSION_GAPS, EVENTS_LOST, CONSUMER_LAG),
    *(WINDOW_RUNS_STARTED, WINDOW_RUNS_COMPLETED, WINDOW_RUNS_FAILURE, WINDOW_RUNS_DURATION),
    *(WINDOW_ATTEMPTS_STARTED, WINDOW_STEPS_COMPLETED, WINDOW_ATTEMPTS_FAILURE, WINDOW_STEPS_DURATION),
)
CANARY: Final[tuple[MetricWrapperBase, ...]] = (
    *(CANARY_RUNS, CANARY_LATENCY, CANARY_OVERDUE, CANARY_LOST, CANARY_DOUBLED),
)
EVERY_SERVICE: Final[tuple[MetricWrapperBase, ...]] = (BUILD,)


def example(trace: str | None) -> dict[str, str] | None:
    """The exemplar of an observation that belongs to a W3C traceparent; scrapers get it where they take OpenMetrics."""
    if trace is None or trace[2:3] != "-" or trace[_TRACE_ENDS : _TRACE_ENDS + 1] != "-":
        return None
    return {"trace_id": trace[3:_TRACE_ENDS]}


def identify(service: str) -> None:
    """Say in ``actionbus_build_info`` which service and version this process is."""
    BUILD.info({"service": service, "version": version("actionbus"), "python": platform.python_version()})
