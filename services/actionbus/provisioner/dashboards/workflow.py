"""One workflow, or those that the reader chooses."""

from actionbus.provisioner.dashboards import windows
from actionbus.provisioner.dashboards.board import Board, board
from actionbus.provisioner.dashboards.panels import Panel, graph, number, quantile, rate, total

CHOSEN = 'workflow=~"$workflow"'


def workflow() -> Board:
    """How its runs begin, end, take long, fail and stand still."""
    return board(
        "workflow",
        "workflow",
        [
            number("Live", "Runs that have not ended.", f"sum(actionbus_runs_live{{{CHOSEN}}})"),
            number(
                "Incidents",
                "Steps that wait for an operator.",
                f"sum(actionbus_incidents_open{{{CHOSEN}}})",
                red_above=1,
            ),
            number("Stuck", "Live runs that nothing moves.", f"sum(actionbus_runs_stuck{{{CHOSEN}}})", red_above=1),
            number(
                "Held back",
                "Runs that wait for their turn to begin.",
                f"sum(actionbus_runs_queued{{{CHOSEN}}}) or vector(0)",
            ),
            number(
                "Started per second", "Runs started.", rate("actionbus_runs_started_total", where=CHOSEN), unit="ops"
            ),
            number(
                "Ended per second", "Runs that ended.", rate("actionbus_runs_completed_total", where=CHOSEN), unit="ops"
            ),
            *_graphs(),
            *windows.of_runs(CHOSEN),
        ],
        chosen_by=[("workflow", "actionbus_runs_live")],
    )


def _graphs() -> list[Panel]:
    ended = rate("actionbus_runs_completed_total", "workflow", CHOSEN)
    failed = rate("actionbus_runs_completed_total", "workflow", f'{CHOSEN}, status=~"FAILED|TIMED_OUT"')
    return [
        graph(
            "Started",
            "Per second.",
            (rate("actionbus_runs_started_total", "workflow", CHOSEN), "{{workflow}}"),
            unit="ops",
        ),
        graph(
            "Ended",
            "By final status, per second.",
            (rate("actionbus_runs_completed_total", "status", CHOSEN), "{{status}}"),
            unit="ops",
        ),
        graph(
            "Share that fails",
            "Of the runs that ended, those that FAILED or TIMED_OUT.",
            (f"{failed} / {ended}", "{{workflow}}"),
            unit="percentunit",
            warn_above=0.05,
            red_above=0.25,
        ),
        graph(
            "Duration",
            "From start to end of a run: half of them, and all but one in a hundred. A point is a run's trace.",
            (quantile(0.5, "actionbus_run_duration_seconds", "workflow", CHOSEN), "{{workflow}} p50"),
            (quantile(0.99, "actionbus_run_duration_seconds", "workflow", CHOSEN), "{{workflow}} p99"),
            unit="s",
        ),
        graph("Live", "Rising for ever: more starts than ends.", total("actionbus_runs_live", "workflow", CHOSEN)),
        graph(
            "Incidents and stuck runs",
            "Each incident needs an operator; a stuck run has nothing that could move it.",
            total("actionbus_incidents_open", "workflow", CHOSEN, ", incidents"),
            total("actionbus_runs_stuck", "workflow", CHOSEN, ", stuck"),
        ),
    ]
