"""Prometheus accepts what is scraped and what is watched, and every alert fires when it should and only then."""

import subprocess
from pathlib import Path

import httpx
import pytest
import yaml

from actionbus.process import metrics, reference
from actionbus.process.probes import Heartbeat, Probes

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]


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


def test_the_rule_tests_notice_a_broken_rule(promtool, tmp_path):
    """Rule tests that pass also for a rule that can never fire would prove nothing; these fail for each such rule."""
    tests = (FOLDER / "alerts_test.yml").read_text()
    (tmp_path / "alerts_test.yml").write_text(tests)
    for broken in RULES:
        rules = [rule | {"expr": f"({rule['expr']}) and vector(0) > 1"} if rule is broken else rule for rule in RULES]
        (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": [{"name": "actionbus", "rules": rules}]}))
        done = subprocess.run(
            [promtool, "test", "rules", str(tmp_path / "alerts_test.yml")],
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode != 0, f"no test needs {broken['alert']}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_watches_metrics_that_exist(rule, metric_names, served_names):
    """A rule names only metrics that some service feeds, and says what to do."""
    assert metric_names(rule["expr"]) <= served_names
    assert rule["annotations"]["description"].endswith(".")
    assert rule["labels"]["severity"] in ("warning", "critical")


def test_a_live_scrape_passes_the_linter(promtool):
    """Each name and help text keeps Prometheus's conventions: its own linter finds nothing in a real scrape."""
    metrics.identify("orchestrator")
    for metric in (*metrics.ORCHESTRATOR, *metrics.WORKER):
        if metric._labelnames:
            metric.labels(*["x"] * len(metric._labelnames))  # a series is served from its first use on
    with Probes(
        "127.0.0.1", 0, registry=metrics.REGISTRY, heartbeat=Heartbeat(), stall_seconds=60, not_ready=list
    ) as probes:
        body = httpx.get(f"http://127.0.0.1:{probes.port}/metrics", timeout=60, trust_env=False).text
    for metric in (*metrics.ORCHESTRATOR, *metrics.WORKER, *metrics.EVERY_SERVICE):
        assert f"\n{reference.exposed_name(metric)}" in body
    done = succeeds(promtool, "check", "metrics", input=body)
    assert (done.stdout, done.stderr) == ("", "")
