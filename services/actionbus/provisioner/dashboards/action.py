"""One action, or those that the reader chooses: what waits for it, and what its workers do."""

from actionbus.provisioner.dashboards import windows
from actionbus.provisioner.dashboards.board import Board, board
from actionbus.provisioner.dashboards.panels import Panel, graph, most, number, quantile, rate, total

CHOSEN = 'action=~"$action"'


def action() -> Board:
    """Backlog, waiting, attempts and their outcomes."""
    return board(
        "action",
        "action",
        [
            number(
                "Backlog", "Commands that no worker has begun.", f"sum(actionbus_action_backlog_records{{{CHOSEN}}})"
            ),
            number(
                "Oldest",
                "How long the oldest of them has waited.",
                f"max(actionbus_action_backlog_age_seconds{{{CHOSEN}}})",
                unit="s",
                warn_above=60,
                red_above=300,
            ),
            number(
                "In progress", "Attempts that run now.", f"sum(actionbus_commands_in_progress{{{CHOSEN}}}) or vector(0)"
            ),
            number(
                "Attempts per second",
                "Attempts that ended.",
                rate("actionbus_step_duration_seconds_count", where=CHOSEN),
                unit="ops",
            ),
            number(
                "Hanging",
                "Attempts whose time is over and whose code still runs; each holds a slot.",
                f"sum(actionbus_attempts_stuck{{{CHOSEN}}}) or vector(0)",
                warn_above=1,
            ),
            number(
                "Dead letters in an hour",
                "Commands that could not be read.",
                f"sum(increase(actionbus_dead_letters_total{{{CHOSEN}}}[1h])) or vector(0)",
                red_above=1,
            ),
            *_waiting(),
            *_doing(),
            *windows.of_attempts(CHOSEN),
        ],
        chosen_by=[("action", "actionbus_action_backlog_records")],
    )


def _waiting() -> list[Panel]:
    return [
        graph(
            "Backlog",
            "Commands that no worker has begun, as the orchestrators know it: right also without workers.",
            total("actionbus_action_backlog_records", "action", CHOSEN),
        ),
        graph(
            "Age of the backlog",
            "How long the oldest command has waited.",
            most("actionbus_action_backlog_age_seconds", "action", CHOSEN),
            unit="s",
            warn_above=60,
            red_above=300,
        ),
        graph(
            "Schedule to start",
            "How long a step waits for a worker, p50 and p95. Growing: add workers. A point is a run's trace.",
            (quantile(0.5, "actionbus_step_schedule_to_start_seconds", "action", CHOSEN), "{{action}} p50"),
            (quantile(0.95, "actionbus_step_schedule_to_start_seconds", "action", CHOSEN), "{{action}} p95"),
            unit="s",
        ),
        graph(
            "Held back by limits",
            "Steps that wait for their turn under the action's limit.",
            total("actionbus_steps_queued", "action", CHOSEN),
        ),
    ]


def _doing() -> list[Panel]:
    return [
        graph(
            "Outcomes",
            "How attempts ended, per second.",
            (rate("actionbus_step_duration_seconds_count", "outcome", CHOSEN), "{{outcome}}"),
            unit="ops",
        ),
        graph(
            "Duration of an attempt",
            "User code, p50 and p95. A point is a run's trace.",
            (quantile(0.5, "actionbus_step_duration_seconds", "action", CHOSEN), "{{action}} p50"),
            (quantile(0.95, "actionbus_step_duration_seconds", "action", CHOSEN), "{{action}} p95"),
            unit="s",
        ),
        graph(
            "In progress",
            "Attempts that run now. Hanging: the code goes on after its time and holds a slot.",
            total("actionbus_commands_in_progress", "action", CHOSEN),
            total("actionbus_attempts_stuck", "action", CHOSEN, ", hanging"),
        ),
        graph(
            "Retries",
            "Attempts after the first, per second.",
            (rate("actionbus_step_retries_total", "action", CHOSEN), "{{action}}"),
            unit="ops",
        ),
        graph(
            "Timeouts",
            "Attempts of any action that ran out of time, per second, by kind of timeout.",
            (rate("actionbus_step_timeouts_total", "kind"), "{{kind}}"),
            unit="ops",
        ),
        graph(
            "Answered from the inbox",
            "Commands that came twice and had their effect once, per second.",
            (rate("actionbus_inbox_duplicates_total", "action", CHOSEN), "{{action}}"),
            unit="ops",
        ),
        graph(
            "In doubt, and different",
            "In an hour: attempts of which nobody knows whether they had their effect, by workflow, and steps of which "
            "two attempts gave different outputs. Each deserves a look.",
            ("sum by (workflow) (increase(actionbus_steps_in_doubt_total[1h]))", "{{workflow}} in doubt"),
            ("sum by (action) (increase(actionbus_results_differ_total[1h]))", "{{action}} differs"),
        ),
        graph(
            "Commands",
            "Published for the first time, and again under the same id, per second.",
            (rate("actionbus_commands_published_total", "action", CHOSEN), "{{action}} published"),
            (rate("actionbus_commands_redispatched_total", "action", CHOSEN), "{{action}} sent again"),
            unit="ops",
        ),
    ]
