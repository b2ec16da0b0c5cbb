"""The kinds of panels, and the expressions they share. Every panel says in a sentence what to read from it.

Numbers of all replicas are added up, and nothing is shown by run.
"""

from collections.abc import Sequence
from typing import Any, Final

DATASOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH: Final = 24  # columns of Grafana's grid
HEIGHT: Final = 8
RATE: Final = "$__rate_interval"

Panel = dict[str, Any]
Query = tuple[str, str]
"""An expression, and the name of its lines."""


def graph(
    title: str,
    meaning: str,
    *queries: Query,
    unit: str = "short",
    columns: int = 3,
    warn_above: float | None = None,
    red_above: float | None = None,
) -> Panel:
    """A graph over time, ``columns`` of which stand in a row; what is above a bound is shaded.

    A quantile's exemplars are shown as points: each leads to the trace of a run.
    """
    panel = _panel("timeseries", title, meaning, queries, unit=unit, columns=columns)
    bounds = _steps(warn_above, red_above)
    if len(bounds) > 1:
        panel["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": bounds}
        panel["fieldConfig"]["defaults"]["custom"] = {"thresholdsStyle": {"mode": "area"}}
    return panel | {
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    }


def number(
    title: str,
    meaning: str,
    expr: str,
    *,
    unit: str = "short",
    warn_above: float | None = None,
    red_above: float | None = None,
) -> Panel:
    """One number of now; yellow or red when it reaches a bound."""
    panel = _panel("stat", title, meaning, [(expr, title)], unit=unit, columns=6)
    panel["fieldConfig"]["defaults"]["thresholds"] = {"mode": "absolute", "steps": _steps(warn_above, red_above)}
    panel["options"] = {"colorMode": "value", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return panel


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Per second, over all replicas, by labels if any are named."""
    counted = f"rate({metric}{_braces(where)}[{RATE}])"
    return f"sum by ({by}) ({counted})" if by else f"sum({counted})"


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram over all replicas, by labels if any are named."""
    labels = ", ".join([*([by] if by else []), "le"])
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket{_braces(where)}[{RATE}])))"


def total(metric: str, by: str, where: str = "", name: str = "") -> Query:
    """A gauge summed over all replicas, by a label that names the lines."""
    return f"sum by ({by}) ({metric}{_braces(where)})", f"{{{{{by}}}}}{name}"


def most(metric: str, by: str, where: str = "", name: str = "") -> Query:
    """The largest value of a gauge over all replicas, by a label that names the lines."""
    return f"max by ({by}) ({metric}{_braces(where)})", f"{{{{{by}}}}}{name}"


def _braces(where: str) -> str:
    return f"{{{where}}}" if where else ""


def _steps(warn_above: float | None, red_above: float | None) -> list[dict[str, Any]]:
    bounds = (("yellow", warn_above), ("red", red_above))
    return [
        {"color": "green", "value": None},
        *({"color": color, "value": bound} for color, bound in bounds if bound is not None),
    ]


def _panel(kind: str, title: str, meaning: str, queries: Sequence[Query], *, unit: str, columns: int) -> Panel:
    return {
        "type": kind,
        "title": title,
        "description": meaning,
        "datasource": DATASOURCE,
        "gridPos": {"h": HEIGHT if kind == "timeseries" else HEIGHT // 2, "w": WIDTH // columns},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": expr,
                "legendFormat": legend,
                "exemplar": expr.startswith("histogram_quantile"),
            }
            for index, (expr, legend) in enumerate(queries)
        ],
    }
