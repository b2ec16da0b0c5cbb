"""The dashboards are current, well formed, ask only for metrics that exist, and fit on the screen."""

import json
from pathlib import Path

import jsonschema
import pytest

from actionbus.process import reference
from actionbus.provisioner.dashboards import files
from actionbus.provisioner.dashboards.panels import WIDTH
from deploy import watched
from deploy.dashboard_schema import DASHBOARD

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana"
PANELS = [
    pytest.param(name, panel, id=f"{name}-{panel['title']}")
    for name, build in files.DASHBOARDS.items()
    for panel in build()["panels"]
]


@pytest.mark.parametrize("name", files.DASHBOARDS)
def test_a_dashboard_is_current(name):
    """A file is what its builder gives; `make docs` renews it."""
    assert (FOLDER / "dashboards" / f"{name}.json").read_text(encoding="utf-8") == files.text(name)


def test_no_dashboard_is_left_over(tmp_path):
    """The folder holds the dashboards that are built, and no other."""
    files.main([str(tmp_path)])
    assert {file.name for file in (FOLDER / "dashboards").iterdir()} == {file.name for file in tmp_path.iterdir()}


@pytest.mark.parametrize("name", files.DASHBOARDS)
def test_a_dashboard_says_only_what_grafana_reads(name):
    """Every field of a dashboard is one of Grafana's model, with a value of its type."""
    jsonschema.Draft202012Validator(DASHBOARD).validate(json.loads(files.text(name)))


def test_a_misspelt_field_is_found():
    """The model is not so lenient that it would pass a field that Grafana ignores."""
    board = json.loads(files.text("overview"))
    board["panels"][0]["fieldConfig"]["defaults"]["units"] = "s"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(DASHBOARD).validate(board)


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_asks_for_metrics_that_exist(name, panel):
    """Every expression parses and reads only metrics that a service serves; every panel says what to read from it."""
    variables = {each["name"] for each in files.DASHBOARDS[name]()["templating"]["list"]}
    for target in panel["targets"]:
        asked = watched.metric_names(target["expr"])
        assert asked
        assert asked <= watched.served_names()
        assert {each for each in watched.CHOICES if f"${each}" in target["expr"]} <= variables
        assert target["exemplar"] is ("histogram_quantile" in target["expr"])
    assert panel["description"].endswith(".")


def test_every_metric_is_seen_somewhere():
    """A metric that no dashboard shows would be collected for nobody."""
    panels = [panel.values[1] for panel in PANELS]
    asked = {name for panel in panels for target in panel["targets"] for name in watched.metric_names(target["expr"])}
    wanted = {reference.exposed_name(metric) for metric in watched.declared()}
    assert wanted <= {watched.stem(name) for name in asked}


@pytest.mark.parametrize("name", files.DASHBOARDS)
def test_a_reader_chooses_among_what_there_is(name):
    """A variable lists the values that a metric has, and takes all of them at first."""
    for variable in files.DASHBOARDS[name]()["templating"]["list"]:
        if variable["type"] == "query":
            metric, label = variable["query"].removeprefix("label_values(").removesuffix(")").split(", ")
            assert metric in watched.served_names()
            assert label == variable["name"]
            assert variable["current"]["value"] == ["$__all"]


@pytest.mark.parametrize("name", files.DASHBOARDS)
def test_every_dashboard_leads_to_the_others(name):
    """A menu finds all boards by their tag, and takes the time and what was chosen along."""
    board = files.DASHBOARDS[name]()
    (link,) = board["links"]
    assert set(link["tags"]) <= set(board["tags"])
    assert link["keepTime"]
    assert link["includeVars"]


@pytest.mark.parametrize("name", files.DASHBOARDS)
def test_panels_do_not_overlap(name):
    """No two panels cover the same cell of the grid, and none reaches beyond its width."""
    cells = [
        (x, y)
        for panel in files.DASHBOARDS[name]()["panels"]
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < WIDTH


@pytest.mark.parametrize("name", files.DASHBOARDS)
def test_a_dashboard_can_be_told_apart(name):
    """Identifiers are unique and stable: links and bookmarks keep working after an update."""
    board = json.loads(files.text(name))
    assert board["uid"] == f"actionbus-{name}"
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
