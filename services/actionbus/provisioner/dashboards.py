"""The Grafana dashboards, as plain dictionaries. Their metrics are declared in process/metrics.py.

``python -m actionbus.provisioner.dashboards`` writes them, in a checkout. Every panel says in a sentence what to read
from it; numbers of all replicas are added up, and nothing is shown by run.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
FOLDER: Final = "deploy/grafana/dashboards"
WIDTH: Final = 24  # columns of Grafana's grid
HEIGHT: Final = 8
RATE: Final = "$__rate_interval"

Panel = dict[str, Any]


def graph(title: str, meaning: str, *queries: tuple[str, str], unit: str = "short", columns: int = 3) -> Panel:
    """A graph over time; a query is an expression and the name of its lines, ``columns`` how many stand in a row."""
    return _panel("timeseries", title, meaning, queries, unit=unit, columns=columns) | {
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    }


def number(title: str, meaning: str, expr: str, *, unit: str = "short", red_above: float | None = None) -> Panel:
    """One number of now; red when it is above a bound."""
    panel = _panel("stat", title, meaning, [(expr, title)], unit=unit, columns=6)
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if red_above is not None:
        steps.append({"color": "red", "value": red_above})
    panel["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": steps}
    panel["options"] = {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return panel


def rate(metric: str, by: str = "") -> str:
    """Per second, over all replicas, by labels if any are named."""
    return f"sum by ({by}) (rate({metric}[{RATE}]))" if by else f"sum(rate({metric}[{RATE}]))"


def quantile(share: float, metric: str, by: str = "") -> str:
    """A quantile of a histogram over all replicas, by labels if any are named."""
    labels = ", ".join([*([by] if by else []), "le"])
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[{RATE}])))"


def runs() -> dict[str, Any]:
    """What happens to the business: runs, failures, decisions."""
    return _dashboard(
        "runs",
        "actionbus: runs",
        [
            number("Live", "Runs that have not ended.", "sum(actionbus_runs_live)"),
            number("Incidents", "Steps that wait for an operator.", "sum(actionbus_incidents_open)", red_above=1),
            number("Started per second", "Runs started.", rate("actionbus_runs_started_total"), unit="ops"),
            number("Ended per second", "Runs that ended.", rate("actionbus_runs_completed_total"), unit="ops"),
            number("Timers", "Retries, timeouts and sleeps that wait for their time.", "sum(actionbus_timers_pending)"),
            number(
                "Dead letters in an hour",
                "Records set aside unread.",
                "sum(increase(actionbus_dead_letters_total[1h])) or vector(0)",
                red_above=1,
            ),
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
                (quantile(0.5, "actionbus_run_duration_seconds", "workflow"), "{{workflow}} p50"),
                (quantile(0.99, "actionbus_run_duration_seconds", "workflow"), "{{workflow}} p99"),
                unit="s",
            ),
            graph(
                "Live by workflow", "Rising for ever: more starts than ends.", _sum("actionbus_runs_live", "workflow")
            ),
            graph("Incidents by workflow", "Each needs an operator.", _sum("actionbus_incidents_open", "workflow")),
            graph(
                "Held back by limits",
                "What waits for its turn. Rising for ever: more comes than the limit lets through.",
                _sum("actionbus_steps_queued", "action"),
                _sum("actionbus_runs_queued", "workflow"),
            ),
            graph(
                "Decisions on failures",
                "What the definitions decided, per second.",
                (rate("actionbus_decisions_total", "decision"), "{{decision}}"),
                unit="ops",
            ),
        ],
    )


def steps() -> dict[str, Any]:
    """What the workers do, by action."""
    return _dashboard(
        "steps",
        "actionbus: steps",
        [
            graph(
                "Attempts",
                "Ended attempts per second, by action.",
                (rate("actionbus_step_duration_seconds_count", "action"), "{{action}}"),
                unit="ops",
            ),
            graph(
                "Outcomes",
                "How attempts ended, per second.",
                (rate("actionbus_step_duration_seconds_count", "outcome"), "{{outcome}}"),
                unit="ops",
            ),
            graph(
                "In progress",
                "Attempts that run now. Stuck: the code goes on after its time and holds a slot.",
                _sum("actionbus_commands_in_progress", "action"),
                ("sum by (action) (actionbus_attempts_stuck)", "{{action}}, stuck"),
            ),
            graph(
                "Schedule to start",
                "How long a step waits for a worker, p95. Growing: add workers.",
                (quantile(0.95, "actionbus_step_schedule_to_start_seconds", "action"), "{{action}}"),
                unit="s",
            ),
            graph(
                "Duration of an attempt",
                "User code, p95.",
                (quantile(0.95, "actionbus_step_duration_seconds", "action"), "{{action}}"),
                unit="s",
            ),
            graph(
                "Backlog",
                "Commands that no worker has taken; what an autoscaler looks at.",
                ('sum by (topic) (actionbus_consumer_lag_records{topic=~".+[.]commands[.]v1"})', "{{topic}}"),
            ),
            graph(
                "Retries",
                "Attempts after the first, per second.",
                (rate("actionbus_step_retries_total", "action"), "{{action}}"),
                unit="ops",
            ),
            graph(
                "Timeouts",
                "Attempts that ran out of time, per second.",
                (rate("actionbus_step_timeouts_total", "kind"), "{{kind}}"),
                unit="ops",
            ),
            graph(
                "Answered from the inbox",
                "Commands that came twice and had their effect once, per second.",
                (rate("actionbus_inbox_duplicates_total", "action"), "{{action}}"),
                unit="ops",
            ),
        ],
    )


def shards() -> dict[str, Any]:
    """How the orchestrators and Kafka get along."""
    return _dashboard(
        "shards",
        "actionbus: shards and Kafka",
        [
            graph("Shards owned", "Their sum is constant but for seconds.", _sum("actionbus_shards_owned", "instance")),
            graph("Lag", "Records that wait, by topic.", _sum("actionbus_consumer_lag_records", "topic")),
            graph(
                "Transactions",
                "Commits, and all that was not a clean commit, per second.",
                (rate("actionbus_txn_commits_total"), "committed"),
                (rate("actionbus_txn_aborts_total"), "aborted or in doubt"),
                unit="ops",
            ),
            graph(
                "Duration of a transaction",
                "From begin to acknowledged commit.",
                (quantile(0.5, "actionbus_txn_duration_seconds"), "p50"),
                (quantile(0.99, "actionbus_txn_duration_seconds"), "p99"),
                unit="s",
            ),
            graph(
                "Commands",
                "Published for the first time, and again under the same id, per second.",
                (rate("actionbus_commands_published_total"), "published"),
                (rate("actionbus_commands_redispatched_total"), "sent again"),
                unit="ops",
            ),
            graph(
                "Timers",
                "How late timers fire, p99.",
                (quantile(0.99, "actionbus_timer_fire_delay_seconds"), "p99"),
                unit="s",
            ),
            graph(
                "Takeovers",
                "From the assignment of a shard to its first batch, and the reading of its state in it, p99.",
                (quantile(0.99, "actionbus_shard_takeover_seconds"), "takeover"),
                (quantile(0.99, "actionbus_state_restore_seconds"), "restore"),
                unit="s",
            ),
            graph(
                "Rebuilds and rebalances",
                "In five minutes. Storms mean that processes die or starve.",
                ("sum by (reason) (increase(actionbus_producer_rebuilds_total[5m]))", "rebuilt: {{reason}}"),
                ("sum by (job) (increase(actionbus_rebalances_total[5m]))", "rebalanced: {{job}}"),
            ),
            graph(
                "Harmless by design",
                "What arrived twice, late, forged or astray and changed nothing, per second. Forged needs an inquiry.",
                (rate("actionbus_duplicate_results_total"), "duplicate results"),
                (rate("actionbus_stale_results_total"), "stale results"),
                (rate("actionbus_forged_results_total"), "forged results"),
                (rate("actionbus_misrouted_records_total"), "misrouted records"),
                unit="ops",
            ),
            graph(
                "Dead letters",
                "In five minutes, by reason.",
                ("sum by (reason) (increase(actionbus_dead_letters_total[5m]))", "{{reason}}"),
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
            graph(
                "Versions",
                "Processes by service and version; two versions during a roll-out only.",
                ("count by (service, version) (actionbus_build_info)", "{{service}} {{version}}"),
                columns=1,
            ),
        ],
    )


DASHBOARDS: Final = {"runs": runs, "steps": steps, "shards": shards}


def text(name: str) -> str:
    """The file of one dashboard."""
    return json.dumps(DASHBOARDS[name](), indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Write every dashboard into the folder that is named, or into its place in a checkout."""
    (folder,) = arguments or [FOLDER]
    for name in DASHBOARDS:
        (Path(folder) / f"{name}.json").write_text(text(name), encoding="utf-8")


def _sum(metric: str, by: str) -> tuple[str, str]:
    return f"sum by ({by}) ({metric})", f"{{{{{by}}}}}"


def _panel(
    kind: str, title: str, meaning: str, queries: Sequence[tuple[str, str]], *, unit: str, columns: int
) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": meaning,
        "datasource": DATASOURCE,
        "gridPos": {"h": HEIGHT if kind == "timeseries" else HEIGHT // 2, "w": WIDTH // columns},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": DATASOURCE, "expr": expr, "legendFormat": legend}
            for index, (expr, legend) in enumerate(queries)
        ],
    }


def _dashboard(name: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    return {
        "uid": f"actionbus-{name}",
        "title": title,
        "description": "Derived by actionbus.provisioner.dashboards: change it there.",
        "tags": ["actionbus"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "title": "actionbus", "tags": ["actionbus"], "keepTime": True}],
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}]
        },
        "panels": _placed(panels),
    }


def _placed(panels: Sequence[Panel]) -> list[Panel]:
    placed: list[Panel] = []
    x = y = row = 0
    for number_, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if x + place["w"] > WIDTH:
            x, y, row = 0, y + row, 0
        placed.append(panel | {"id": number_, "gridPos": place | {"x": x, "y": y}})
        x += place["w"]
        row = max(row, place["h"])
    return placed


if __name__ == "__main__":
    main(sys.argv[1:])
