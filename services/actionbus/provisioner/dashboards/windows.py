"""What the visibility database counted within the last whole minute; every projector says the same."""

from actionbus.provisioner.dashboards.panels import Panel, Query, graph, most


def of_runs(where: str) -> list[Panel]:
    """Of the workflows that are chosen."""
    return _panels(
        "workflow",
        where,
        ("actionbus_window_runs_started", "actionbus_window_runs_completed"),
        "actionbus_window_runs_failure_ratio",
        "actionbus_window_runs_duration_seconds",
    )


def of_attempts(where: str) -> list[Panel]:
    """Of the actions that are chosen."""
    return _panels(
        "action",
        where,
        ("actionbus_window_attempts_started", "actionbus_window_steps_completed"),
        "actionbus_window_attempts_failure_ratio",
        "actionbus_window_steps_duration_seconds",
    )


def _panels(by: str, where: str, counts: tuple[str, str], failure: str, duration: str) -> list[Panel]:
    minute = f'{where}, window="1m"'
    started, completed = counts
    return [
        graph(
            "Counted in a minute",
            "Exactly, by the visibility database, within the last whole minute.",
            most(started, by, minute, ", started"),
            most(completed, by, minute, ", completed"),
        ),
        graph(
            "Share that failed in a minute",
            "Of what ended within the last whole minute, what failed or took too long.",
            most(failure, by, minute),
            unit="percentunit",
        ),
        graph(
            "Latency in a minute",
            "Of what completed within the last whole minute, p50 and p95, within 2 %.",
            _latency(duration, by, minute, "p50"),
            _latency(duration, by, minute, "p95"),
            unit="s",
        ),
    ]


def _latency(metric: str, by: str, where: str, percentile: str) -> Query:
    return most(metric, by, f'{where}, percentile="{percentile}"', f" {percentile}")
