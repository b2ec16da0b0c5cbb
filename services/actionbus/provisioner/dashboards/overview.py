"""The first board: is all well, and if not, where to look."""

from actionbus.provisioner.dashboards.board import Board, board
from actionbus.provisioner.dashboards.panels import Panel, graph, most, number, quantile, rate, total


def overview() -> Board:
    """What happens to the business, and what needs somebody."""
    return board(
        "overview",
        "overview",
        [
            number("Live", "Runs that have not ended.", "sum(actionbus_runs_live)"),
            number("Incidents", "Steps that wait for an operator.", "sum(actionbus_incidents_open)", red_above=1),
            number("Stuck", "Live runs that nothing moves.", "sum(actionbus_runs_stuck)", red_above=1),
            number(
                "Dead letters in an hour",
                "Records set aside unread.",
                "sum(increase(actionbus_dead_letters_total[1h])) or vector(0)",
                red_above=1,
            ),
            number(
                "Oldest backlog",
                "Age of the oldest command that no worker has begun.",
                "max(actionbus_action_backlog_age_seconds)",
                unit="s",
                warn_above=60,
                red_above=300,
            ),
            number("Timers", "Retries, timeouts and sleeps that wait for their time.", "sum(actionbus_timers_pending)"),
            *_flow(),
            graph(
                "Backlog by action",
                "Commands that no worker has begun. Rising for ever: add workers.",
                total("actionbus_action_backlog_records", "action"),
            ),
            graph(
                "Age of the backlog",
                "How long the oldest command of an action waits, also where no worker lives.",
                most("actionbus_action_backlog_age_seconds", "action"),
                unit="s",
                warn_above=60,
                red_above=300,
            ),
            graph(
                "Held back by limits",
                "What waits for its turn. Rising for ever: more comes than the limit lets through.",
                total("actionbus_steps_queued", "action"),
                total("actionbus_runs_queued", "workflow"),
            ),
            graph(
                "Decisions on failures",
                "What the definitions decided, per second.",
                (rate("actionbus_decisions_total", "decision"), "{{decision}}"),
                unit="ops",
            ),
            *_canary(),
            graph(
                "Versions",
                "Processes by service and version; two versions during a roll-out only.",
                ("count by (service, version) (actionbus_build_info)", "{{service}} {{version}}"),
            ),
        ],
    )


def _flow() -> list[Panel]:
    return [
        graph(
            "Started",
            "By workflow, per second.",
            (rate("actionbus_runs_started_total", "workflow"), "{{workflow}}"),
            unit="ops",
        ),
        graph(
            "Ended",
            "By final status, per second. FAILED and TIMED_OUT deserve a look.",
            (rate("actionbus_runs_completed_total", "status"), "{{status}}"),
            unit="ops",
        ),
        graph(
            "Duration",
            "From start to end of a run: half of them, and all but one in a hundred.",
            (quantile(0.5, "actionbus_run_duration_seconds"), "p50"),
            (quantile(0.99, "actionbus_run_duration_seconds"), "p99"),
            unit="s",
        ),
        graph("Live by workflow", "Rising for ever: more starts than ends.", total("actionbus_runs_live", "workflow")),
    ]


def _canary() -> list[Panel]:
    return [
        graph(
            "Canary",
            "From asking for a small run to its end; above what its workers and shards need, something is slow.",
            (quantile(0.5, "actionbus_canary_latency_seconds"), "p50"),
            (quantile(0.99, "actionbus_canary_latency_seconds"), "p99"),
            unit="s",
        ),
        graph(
            "Judged by the canary",
            "Lost and doubled have to stay at nothing; overdue ones are still waited for.",
            ("sum(increase(actionbus_canary_lost_total[$__rate_interval]))", "lost"),
            ("sum(increase(actionbus_canary_doubled_total[$__rate_interval]))", "doubled"),
            ("sum(actionbus_canary_overdue_runs)", "overdue"),
            (rate("actionbus_canary_runs_total", "outcome"), "{{outcome}} a second"),
        ),
    ]
