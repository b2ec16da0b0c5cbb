"""The tables that people read. Their shape only: migrations make them, the writer fills them, questions read them.

Every table but the list of generations is keyed by its generation first: a rebuild fills the next generation beside the
live one, and one update of the list switches all readers. Times are epoch milliseconds by the broker's clock. A run id
may be used again after its retention, so a run is its id and its incarnation.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text

METADATA: Final = MetaData()


def _generation() -> Column[int]:
    return Column("generation", Integer, primary_key=True, autoincrement=False)


def _key(name: str, comment: str) -> Column[str]:
    return Column(name, Text, primary_key=True, comment=comment)


GENERATIONS: Final = Table(
    "actionbus_generations",
    METADATA,
    _generation(),
    Column("status", Text, nullable=False, comment="live, building or retired; exactly one is live"),
    Column("begun_at", BigInteger, nullable=False, comment="by the clock of whoever made it"),
    Column("switched_at", BigInteger, comment="when it became live"),
)

POSITIONS: Final = Table(
    "actionbus_positions",
    METADATA,
    _generation(),
    Column("partition", Integer, primary_key=True, autoincrement=False, comment="of the events topic"),
    Column("position", BigInteger, nullable=False, comment="the offset of the next record to write"),
    Column("at", BigInteger, nullable=False, comment="the time of the last record written"),
)

RUNS: Final = Table(
    "actionbus_runs",
    METADATA,
    _generation(),
    _key("run_id", "the run"),
    _key("incarnation", "which run of that id"),
    Column("workflow", Text, nullable=False),
    Column("definition_version", Text, nullable=False),
    Column("status", Text, nullable=False, comment="RunStatus"),
    Column("version", BigInteger, nullable=False, comment="of its last event; an event up to it changes nothing"),
    Column("first_version", BigInteger, nullable=False, comment="of the first event that was seen; 1: all of them"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("incident_reason", Text, comment="why it waits for an operator: the first of its stuck steps"),
    Column("incident_step", Text),
    Column("incident_since", BigInteger),
    Column("parent_run_id", Text),
    Column("parent_incarnation", Text),
    Column("parent_path", Text),
    Column("waits_for", Text, comment="why the whole run has not begun: a time, or its turn under a limit"),
    Column("live_steps", Integer, nullable=False, comment="its steps that have not ended"),
)
Index("actionbus_runs_created", RUNS.c.generation, RUNS.c.created_at, RUNS.c.run_id)
Index("actionbus_runs_updated", RUNS.c.generation, RUNS.c.updated_at, RUNS.c.run_id)
Index("actionbus_runs_status", RUNS.c.generation, RUNS.c.status, RUNS.c.created_at)
Index("actionbus_runs_workflow", RUNS.c.generation, RUNS.c.workflow, RUNS.c.created_at)
for _name, _column in (
    ("parent", RUNS.c.parent_run_id),
    ("incident", RUNS.c.incident_since),
    ("error", RUNS.c.error_type),
    ("ended", RUNS.c.ended_at),
):  # few rows have these, so only those are in the index
    Index(
        f"actionbus_runs_{_name}",
        RUNS.c.generation,
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

EVENTS: Final = Table(
    "actionbus_events",
    METADATA,
    _generation(),
    _key("run_id", "the run"),
    _key("incarnation", "which run of that id"),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("record", LargeBinary, nullable=False, comment="the bytes of the WorkflowEvent as they came"),
)
Index("actionbus_events_at", EVENTS.c.generation, EVENTS.c.at)

STEPS: Final = Table(
    "actionbus_steps",
    METADATA,
    _generation(),
    _key("run_id", "the run"),
    _key("incarnation", "which run of that id"),
    _key("path", "of the node inside the run"),
    Column("action", Text, comment="null for a node that waits"),
    Column("status", Text, nullable=False, comment="StepStatus"),
    Column("attempt", Integer, nullable=False, comment="the current one; while it is undone, of the compensation"),
    Column("first_scheduled_at", BigInteger, comment="the first attempt"),
    Column("scheduled_at", BigInteger, comment="the current attempt"),
    Column("ended_at", BigInteger),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("waits_for", Text, comment="what it waits for, in words"),
    Column("stuck", Text, comment="why it waits for an operator"),
    Column("stuck_since", BigInteger),
)

ATTRIBUTES: Final = Table(
    "actionbus_attributes",
    METADATA,
    _generation(),
    _key("run_id", "the run"),
    _key("incarnation", "which run of that id"),
    _key("name", "as the definition declares it searchable"),
    Column("value", Text, nullable=False, comment="a text as it is, any other scalar as JSON"),
)
Index("actionbus_attributes_value", ATTRIBUTES.c.generation, ATTRIBUTES.c.name, ATTRIBUTES.c.value)

TASKS: Final = Table(
    "actionbus_tasks",
    METADATA,
    _generation(),
    _key("run_id", "the run"),
    _key("incarnation", "which run of that id"),
    _key("path", "of the node that asks"),
    Column("workflow", Text, nullable=False),
    Column("form", Text, nullable=False, comment="the name under which the filled form is sent"),
    Column("title", Text),
    Column("assignee", Text),
    Column("opened_at", BigInteger, nullable=False),
    Column("due_at", BigInteger),
    Column("overdue", Boolean, nullable=False, comment="whether the run said so"),
)
Index("actionbus_tasks_opened", TASKS.c.generation, TASKS.c.opened_at, TASKS.c.run_id)
Index("actionbus_tasks_assignee", TASKS.c.generation, TASKS.c.assignee, TASKS.c.opened_at)

WINDOWS: Final = Table(
    "actionbus_windows",
    METADATA,
    _generation(),
    _key("resolution", "1m, 1h or 1d"),
    Column("start", BigInteger, primary_key=True, autoincrement=False, comment="of the window, UTC"),
    _key("kind", "workflow or action"),
    _key("name", "of the workflow or action"),
    *(
        Column(name, BigInteger, nullable=False, comment=comment)
        for name, comment in (
            ("started", "runs begun, or attempts sent"),
            ("completed", "runs that completed, or steps that succeeded"),
            ("failed", "runs that failed, or attempts that failed"),
            ("cancelled", "runs"),
            ("terminated", "runs"),
            ("timed_out", "runs, or attempts that took too long"),
            ("retries", "attempts that another one followed"),
            ("compensated", "steps that were undone"),
            ("incidents", "times that something began to wait for an operator"),
            ("duration_ms", "of all that completed together"),
        )
    ),
)

LATENCIES: Final = Table(
    "actionbus_latencies",
    METADATA,
    _generation(),
    _key("resolution", "1m, 1h or 1d"),
    Column("start", BigInteger, primary_key=True, autoincrement=False, comment="of the window, UTC"),
    _key("kind", "workflow or action"),
    _key("name", "of the workflow or action"),
    Column(
        "bucket", SmallInteger, primary_key=True, autoincrement=False, comment="logarithmic; see visibility/latency.py"
    ),
    Column("count", BigInteger, nullable=False, comment="how many took so long"),
)

UNREADABLE: Final = Table(
    "actionbus_unreadable",
    METADATA,
    _generation(),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False, comment="its offset"),
    Column("at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("record", LargeBinary, nullable=False, comment="its bytes, cut off where they are too many"),
)

OF_A_RUN: Final = (EVENTS, STEPS, ATTRIBUTES, TASKS)
"""What is deleted with the run it is about."""
OF_A_GENERATION: Final = (*OF_A_RUN, RUNS, WINDOWS, LATENCIES, UNREADABLE, POSITIONS)
