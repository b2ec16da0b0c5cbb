"""The dashboards are current, ask only for metrics that exist, and fit on the screen."""

import json
from pathlib import Path

import pytest

from actionbus.process import metrics, reference
from actionbus.provisioner import dashboards

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, build in dashboards.DASHBOARDS.items()
    for panel in build()["panels"]
]


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_a_dashboard_is_current(name):
    """A file is what its builder gives; `make docs` renews it."""
    assert (FOLDER / "dashboards" / f"{name}.json").read_text(encoding="utf-8") == dashboards.text(name)


def test_no_dashboard_is_left_over(tmp_path):
    """The folder holds the dashboards that are built, and no other."""
    dashboards.main([str(tmp_path)])
    assert {file.name for file in (FOLDER / "dashboards").iterdir()} == {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_asks_for_metrics_that_exist(panel, metric_names, served_names):
    """Every expression parses and reads only metrics that a service serves; every panel says what to read from it."""
    for target in panel["targets"]:
        asked = metric_names(target["expr"])
        assert asked
        assert asked <= served_names
    assert panel["description"].endswith(".")


def test_every_metric_is_seen_somewhere(metric_names):
    """A metric that no dashboard shows would be collected for nobody."""
    asked = {name for panel in PANELS for target in panel.values[0]["targets"] for name in metric_names(target["expr"])}
    stems = {name.removesuffix("_bucket").removesuffix("_count") for name in asked}
    fed = (*metrics.ORCHESTRATOR, *metrics.WORKER, *metrics.EVERY_SERVICE)
    assert {reference.exposed_name(metric) for metric in fed} <= stems


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_panels_do_not_overlap(name):
    """No two panels cover the same cell of the grid, and none reaches beyond its width."""
    cells = [
        (x, y)
        for panel in dashboards.DASHBOARDS[name]()["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < dashboards.WIDTH


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_a_dashboard_can_be_told_apart(name):
    """Identifiers are unique and stable: links and bookmarks keep working after an update."""
    board = json.loads(dashboards.text(name))
    assert board["uid"] == f"actionbus-{name}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
