"""Prometheus accepts what is scraped and what is watched, and every alert fires when it should and only then."""

import re
import subprocess
from pathlib import Path

import httpx
import pytest
import yaml

from actionbus.process import metrics, reference
from actionbus.process.probes import Heartbeat, Probes
from deploy import watched

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
OPERATIONS = FOLDER.parents[1] / "docs" / "operations.md"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
RULE_TESTS = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())


def succeeds(promtool, *arguments, **more):
    done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False, timeout=120, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_configuration_is_accepted(promtool):
    """Prometheus reads its configuration and the rules it names."""
    succeeds(promtool, "check", "config", str(FOLDER / "prometheus.yml"))


def test_every_alert_fires_for_its_trouble_only(promtool):
    """The rule tests pass: each trouble fires its alerts, an installation that works fires none."""
    succeeds(promtool, "test", "rules", str(FOLDER / "alerts_test.yml"))


def passes(promtool, folder, rules, tests):
    """Whether some of the rule tests hold for some rules."""
    (folder / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "actionbus", "rules": rules}]}))
    (folder / "alerts_test.yml").write_text(yaml.safe_dump(RULE_TESTS | {"tests": tests}))
    command = [promtool, "test", "rules", str(folder / "alerts_test.yml")]
    return subprocess.run(command, capture_output=True, check=False, timeout=120).returncode == 0


def test_the_rule_tests_notice_a_broken_rule(promtool, tmp_path):
    """Rule tests that pass also for a rule that can never fire would prove nothing; those that name it fail without it."""
    for rule in RULES:
        dumb = rule | {"expr": f"({rule['expr']}) and vector(0) > 1"}
        those = [each for each in RULE_TESTS["tests"] if re.search(rf"\b{rule['alert']}\b", yaml.safe_dump(each))]
        assert passes(promtool, tmp_path, RULES, those)
        broken = [dumb if each is rule else each for each in RULES]
        assert not passes(promtool, tmp_path, broken, those), f"no test needs {rule['alert']}"


def test_the_quiet_installation_has_something_to_say_about_every_rule():
    """That an alert stays silent proves something only where the installation without trouble has what it watches."""
    quiet = RULE_TESTS["tests"][0]
    there = {re.match(r"\w+", each["series"])[0] for each in quiet["input_series"]}
    for rule in RULES:
        assert watched.metric_names(rule["expr"]) <= there, f"{rule['alert']} watches what the quiet installation lacks"


def test_the_rule_tests_notice_a_rule_that_always_fires(promtool, tmp_path):
    """An alert that cannot fall silent is found by the installation without trouble, whatever the others do."""
    quiet = RULE_TESTS["tests"][:1]
    assert passes(promtool, tmp_path, RULES, quiet)
    for rule in RULES:
        loud = {"alert": rule["alert"], "expr": "vector(1)", "labels": rule["labels"]}
        assert not passes(promtool, tmp_path, [loud], quiet), f"no test needs {rule['alert']} to be silent"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_watches_metrics_that_exist(rule):
    """A rule names only metrics that some service feeds, and says what to do."""
    assert watched.metric_names(rule["expr"]) <= watched.served_names()
    assert rule["annotations"]["description"].endswith(".")
    assert rule["labels"]["severity"] in ("warning", "critical")


def test_every_alert_has_its_paragraph_and_the_reverse():
    """Whoever is woken finds under the alert's own name what to do; no paragraph is about an alert that is gone."""
    text = OPERATIONS.read_text()
    chapter = text[text.index("\n## Alerts\n") :].split("\n## ")[1]
    paragraphs = dict(re.findall(r"^### (\w+)\n\n(.+?)(?=\n\n|\Z)", chapter, re.MULTILINE | re.DOTALL))
    assert list(paragraphs) == [rule["alert"] for rule in RULES]
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert len(paragraphs[rule["alert"]].split()) > 10


def test_a_live_scrape_passes_the_linter(promtool):
    """Each name and help text keeps Prometheus's conventions: its own linter finds nothing in a real scrape."""
    metrics.identify("orchestrator")
    for metric in (*metrics.ORCHESTRATOR, *metrics.WORKER, *metrics.PROJECTOR):
        if metric._labelnames:
            metric.labels(*["x"] * len(metric._labelnames))  # a series is served from its first use on
    with Probes(
        "127.0.0.1", 0, registry=metrics.REGISTRY, heartbeat=Heartbeat(), stall_seconds=60, not_ready=list
    ) as probes:
        body = httpx.get(f"http://127.0.0.1:{probes.port}/metrics", timeout=60, trust_env=False).text
    for metric in (*metrics.ORCHESTRATOR, *metrics.WORKER, *metrics.PROJECTOR, *metrics.EVERY_SERVICE):
        assert f"\n{reference.exposed_name(metric)}" in body
    done = succeeds(promtool, "check", "metrics", input=body)
    assert (done.stdout, done.stderr) == ("", "")
