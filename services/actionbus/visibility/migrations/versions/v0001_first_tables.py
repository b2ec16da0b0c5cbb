"""The first tables of the visibility database.

Revision id: 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "actionbus_attributes",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column("incarnation", sa.Text(), nullable=False, comment="which run of that id"),
        sa.Column("name", sa.Text(), nullable=False, comment="as the definition declares it searchable"),
        sa.Column("value", sa.Text(), nullable=False, comment="a text as it is, any other scalar as JSON"),
        sa.PrimaryKeyConstraint("generation", "run_id", "incarnation", "name"),
    )
    op.create_index("actionbus_attributes_value", "actionbus_attributes", ["generation", "name", "value"], unique=False)
    op.create_table(
        "actionbus_events",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column("incarnation", sa.Text(), nullable=False, comment="which run of that id"),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False, comment="the bytes of the WorkflowEvent as they came"),
        sa.PrimaryKeyConstraint("generation", "run_id", "incarnation", "version"),
    )
    op.create_index("actionbus_events_at", "actionbus_events", ["generation", "at"], unique=False)
    op.create_table(
        "actionbus_generations",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="live, building or retired; exactly one is live"),
        sa.Column("begun_at", sa.BigInteger(), nullable=False, comment="by the clock of whoever made it"),
        sa.Column("switched_at", sa.BigInteger(), nullable=True, comment="when it became live"),
        sa.PrimaryKeyConstraint("generation"),
    )
    op.create_table(
        "actionbus_latencies",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False, comment="1m, 1h or 1d"),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False, comment="of the window, UTC"),
        sa.Column("kind", sa.Text(), nullable=False, comment="workflow or action"),
        sa.Column("name", sa.Text(), nullable=False, comment="of the workflow or action"),
        sa.Column(
            "bucket",
            sa.SmallInteger(),
            autoincrement=False,
            nullable=False,
            comment="logarithmic; see visibility/latency.py",
        ),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="how many took so long"),
        sa.PrimaryKeyConstraint("generation", "resolution", "start", "kind", "name", "bucket"),
    )
    op.create_table(
        "actionbus_positions",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False, comment="of the events topic"),
        sa.Column("position", sa.BigInteger(), nullable=False, comment="the offset of the next record to write"),
        sa.Column("at", sa.BigInteger(), nullable=False, comment="the time of the last record written"),
        sa.PrimaryKeyConstraint("generation", "partition"),
    )
    op.create_table(
        "actionbus_runs",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column("incarnation", sa.Text(), nullable=False, comment="which run of that id"),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("definition_version", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="RunStatus"),
        sa.Column(
            "version", sa.BigInteger(), nullable=False, comment="of its last event; an event up to it changes nothing"
        ),
        sa.Column(
            "first_version", sa.BigInteger(), nullable=False, comment="of the first event that was seen; 1: all of them"
        ),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column(
            "incident_reason",
            sa.Text(),
            nullable=True,
            comment="why it waits for an operator: the first of its stuck steps",
        ),
        sa.Column("incident_step", sa.Text(), nullable=True),
        sa.Column("incident_since", sa.BigInteger(), nullable=True),
        sa.Column("parent_run_id", sa.Text(), nullable=True),
        sa.Column("parent_incarnation", sa.Text(), nullable=True),
        sa.Column("parent_path", sa.Text(), nullable=True),
        sa.Column(
            "waits_for",
            sa.Text(),
            nullable=True,
            comment="why the whole run has not begun: a time, or its turn under a limit",
        ),
        sa.Column("live_steps", sa.Integer(), nullable=False, comment="its steps that have not ended"),
        sa.PrimaryKeyConstraint("generation", "run_id", "incarnation"),
    )
    op.create_index("actionbus_runs_created", "actionbus_runs", ["generation", "created_at", "run_id"], unique=False)
    op.create_index(
        "actionbus_runs_ended",
        "actionbus_runs",
        ["generation", "ended_at"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NOT NULL"),
        postgresql_where=sa.text("ended_at IS NOT NULL"),
    )
    op.create_index(
        "actionbus_runs_error",
        "actionbus_runs",
        ["generation", "error_type"],
        unique=False,
        sqlite_where=sa.text("error_type IS NOT NULL"),
        postgresql_where=sa.text("error_type IS NOT NULL"),
    )
    op.create_index(
        "actionbus_runs_incident",
        "actionbus_runs",
        ["generation", "incident_since"],
        unique=False,
        sqlite_where=sa.text("incident_since IS NOT NULL"),
        postgresql_where=sa.text("incident_since IS NOT NULL"),
    )
    op.create_index(
        "actionbus_runs_parent",
        "actionbus_runs",
        ["generation", "parent_run_id"],
        unique=False,
        sqlite_where=sa.text("parent_run_id IS NOT NULL"),
        postgresql_where=sa.text("parent_run_id IS NOT NULL"),
    )
    op.create_index("actionbus_runs_status", "actionbus_runs", ["generation", "status", "created_at"], unique=False)
    op.create_index("actionbus_runs_updated", "actionbus_runs", ["generation", "updated_at", "run_id"], unique=False)
    op.create_index("actionbus_runs_workflow", "actionbus_runs", ["generation", "workflow", "created_at"], unique=False)
    op.create_table(
        "actionbus_steps",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column("incarnation", sa.Text(), nullable=False, comment="which run of that id"),
        sa.Column("path", sa.Text(), nullable=False, comment="of the node inside the run"),
        sa.Column("action", sa.Text(), nullable=True, comment="null for a node that waits"),
        sa.Column("status", sa.Text(), nullable=False, comment="StepStatus"),
        sa.Column(
            "attempt", sa.Integer(), nullable=False, comment="the current one; while it is undone, of the compensation"
        ),
        sa.Column("first_scheduled_at", sa.BigInteger(), nullable=True, comment="the first attempt"),
        sa.Column("scheduled_at", sa.BigInteger(), nullable=True, comment="the current attempt"),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("waits_for", sa.Text(), nullable=True, comment="what it waits for, in words"),
        sa.Column("stuck", sa.Text(), nullable=True, comment="why it waits for an operator"),
        sa.Column("stuck_since", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("generation", "run_id", "incarnation", "path"),
    )
    op.create_table(
        "actionbus_tasks",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False, comment="the run"),
        sa.Column("incarnation", sa.Text(), nullable=False, comment="which run of that id"),
        sa.Column("path", sa.Text(), nullable=False, comment="of the node that asks"),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False, comment="the name under which the filled form is sent"),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("overdue", sa.Boolean(), nullable=False, comment="whether the run said so"),
        sa.PrimaryKeyConstraint("generation", "run_id", "incarnation", "path"),
    )
    op.create_index(
        "actionbus_tasks_assignee", "actionbus_tasks", ["generation", "assignee", "opened_at"], unique=False
    )
    op.create_index("actionbus_tasks_opened", "actionbus_tasks", ["generation", "opened_at", "run_id"], unique=False)
    op.create_table(
        "actionbus_unreadable",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False, comment="its offset"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False, comment="its bytes, cut off where they are too many"),
        sa.PrimaryKeyConstraint("generation", "partition", "position"),
    )
    op.create_table(
        "actionbus_windows",
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("resolution", sa.Text(), nullable=False, comment="1m, 1h or 1d"),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False, comment="of the window, UTC"),
        sa.Column("kind", sa.Text(), nullable=False, comment="workflow or action"),
        sa.Column("name", sa.Text(), nullable=False, comment="of the workflow or action"),
        sa.Column("started", sa.BigInteger(), nullable=False, comment="runs begun, or attempts sent"),
        sa.Column("completed", sa.BigInteger(), nullable=False, comment="runs that completed, or steps that succeeded"),
        sa.Column("failed", sa.BigInteger(), nullable=False, comment="runs that failed, or attempts that failed"),
        sa.Column("cancelled", sa.BigInteger(), nullable=False, comment="runs"),
        sa.Column("terminated", sa.BigInteger(), nullable=False, comment="runs"),
        sa.Column("timed_out", sa.BigInteger(), nullable=False, comment="runs, or attempts that took too long"),
        sa.Column("retries", sa.BigInteger(), nullable=False, comment="attempts that another one followed"),
        sa.Column("compensated", sa.BigInteger(), nullable=False, comment="steps that were undone"),
        sa.Column(
            "incidents", sa.BigInteger(), nullable=False, comment="times that something began to wait for an operator"
        ),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False, comment="of all that completed together"),
        sa.PrimaryKeyConstraint("generation", "resolution", "start", "kind", "name"),
    )
    op.execute("INSERT INTO actionbus_generations (generation, status, begun_at) VALUES (1, 'live', 0)")
