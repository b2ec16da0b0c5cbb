"""A dashboard around its panels: its variables, its place among the others, and where each panel stands."""

from collections.abc import Sequence
from typing import Any, Final

from actionbus.provisioner.dashboards.panels import DATASOURCE, WIDTH, Panel

SCHEMA_VERSION: Final = 39
TAG: Final = "actionbus"

Board = dict[str, Any]


def board(name: str, title: str, panels: Sequence[Panel], *, chosen_by: Sequence[tuple[str, str]] = ()) -> Board:
    """A dashboard; ``chosen_by``: labels that the reader chooses by, each with the metric whose values it has."""
    return {
        "uid": f"actionbus-{name}",
        "title": f"actionbus: {title}",
        "description": "Derived by actionbus.provisioner.dashboards: change it there.",
        "tags": [TAG],
        "timezone": "browser",
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "10s",
        "graphTooltip": 1,  # one time is marked in all graphs
        "time": {"from": "now-1h", "to": "now"},
        "annotations": {"list": [_alerts()]},
        "links": [_others()],
        "templating": {"list": [_source(), *(_variable(label, metric) for label, metric in chosen_by)]},
        "panels": _placed(panels),
    }


def _others() -> dict[str, Any]:
    """A menu of all boards; time and choices go along."""
    return {
        "type": "dashboards",
        "title": TAG,
        "tags": [TAG],
        "asDropdown": True,
        "keepTime": True,
        "includeVars": True,
        "icon": "external link",
        "targetBlank": False,
        "tooltip": "The other dashboards",
        "url": "",
    }


def _alerts() -> dict[str, Any]:
    """Marks in every graph while an alert fires."""
    return {
        "name": "Alerts",
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Actionbus.+", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
    }


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}


def _variable(label: str, metric: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "type": "query",
        "label": label.capitalize(),
        "datasource": DATASOURCE,
        "query": query,
        "refresh": 2,  # whenever the time range changes
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _placed(panels: Sequence[Panel]) -> list[Panel]:
    placed: list[Panel] = []
    x = y = row = 0
    for number, panel in enumerate(panels, start=1):
        place = panel["gridPos"]
        if x + place["w"] > WIDTH:
            x, y, row = 0, y + row, 0
        placed.append(panel | {"id": number, "gridPos": place | {"x": x, "y": y}})
        x += place["w"]
        row = max(row, place["h"])
    return placed
