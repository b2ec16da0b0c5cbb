"""The processes: who is up, what each does, and what it costs."""

from actionbus.provisioner.dashboards.board import Board, board
from actionbus.provisioner.dashboards.panels import RATE, Panel, graph, number, rate, total


def workers() -> Board:
    """Processes by service, and the worker's part of Kafka."""
    return board(
        "workers",
        "workers and processes",
        [
            number("Orchestrators", "That answer.", 'sum(up{job="orchestrator"})'),
            number("Workers", "That answer.", 'sum(up{job="worker"})'),
            number("In progress", "Attempts that run now.", "sum(actionbus_commands_in_progress) or vector(0)"),
            number(
                "Hanging",
                "Attempts whose time is over and whose code still runs.",
                "sum(actionbus_attempts_stuck) or vector(0)",
                warn_above=1,
            ),
            number(
                "Attempts per second", "Attempts that ended.", rate("actionbus_step_duration_seconds_count"), unit="ops"
            ),
            number(
                "Down",
                "Processes that do not answer.",
                'count(up{job=~"orchestrator|worker"} == 0) or vector(0)',
                red_above=1,
            ),
            graph("In progress", "Attempts by process.", total("actionbus_commands_in_progress", "instance")),
            graph(
                "Attempts",
                "Ended attempts per second, by process.",
                (rate("actionbus_step_duration_seconds_count", "instance"), "{{instance}}"),
                unit="ops",
            ),
            graph(
                "Commands that wait",
                "Commands in the partitions of a worker that are not done; none is shown for partitions nobody holds.",
                total("actionbus_consumer_lag_records", "instance", 'job="worker"'),
            ),
            *_house(),
        ],
    )


def _house() -> list[Panel]:
    """What workers stand on: their stores, their group, memory and processors."""
    return [
        graph(
            "Stores",
            "Results that were published from the outbox because their worker had died, and old rows removed, per "
            "second.",
            (rate("actionbus_results_relayed_total", "store"), "{{store}} relayed"),
            (rate("actionbus_store_rows_removed_total", "store"), "{{store}} removed"),
            unit="ops",
        ),
        graph(
            "Rebalances",
            "In five minutes, by process.",
            ("sum by (instance) (increase(actionbus_rebalances_total[5m]))", "{{instance}}"),
        ),
        graph(
            "Memory",
            "Resident, by process.",
            ("process_resident_memory_bytes", "{{job}} {{instance}}"),
            unit="bytes",
        ),
        graph(
            "CPU",
            "Cores in use, by process.",
            (f"rate(process_cpu_seconds_total[{RATE}])", "{{job}} {{instance}}"),
        ),
    ]
