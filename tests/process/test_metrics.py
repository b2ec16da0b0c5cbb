"""Metrics keep the conventions of Prometheus and stay bounded."""

import re

import pytest
from prometheus_client.metrics import Histogram, MetricWrapperBase

from actionbus.process import metrics, reference

ALL = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]


@pytest.mark.parametrize("metric", ALL, ids=reference.exposed_name)
def test_a_name_keeps_the_conventions(metric):
    """Names begin with the product's and end with a unit, a count or what they count."""
    assert re.fullmatch(r"actionbus_[a-z][a-z_]*", reference.exposed_name(metric))
    if isinstance(metric, Histogram):
        assert reference.exposed_name(metric).endswith("_seconds")


@pytest.mark.parametrize("metric", ALL, ids=reference.exposed_name)
def test_labels_are_bounded(metric):
    """No label can carry a run id, a key or anything else without bound."""
    assert set(metric._labelnames) <= {
        "workflow", "status", "decision", "action", "reason", "topic", "partition", "outcome", "kind",
    }  # fmt: skip


def test_every_metric_says_who_feeds_it():
    """Each metric belongs to the orchestrator, the worker or every service, and to nobody unknown."""
    groups = {*metrics.ORCHESTRATOR, *metrics.WORKER, *metrics.EVERY_SERVICE}
    assert groups == set(ALL)


def test_the_bounds_reach_from_one_hop_to_a_week():
    """The fast bounds begin at a millisecond, the long ones end at seven days, and all rise."""
    assert (metrics.FAST[0], metrics.FAST[-1]) == (0.001, 10)
    assert (metrics.LONG[0], metrics.LONG[-1]) == (0.1, 7 * 86_400)
    for bounds in (metrics.FAST, metrics.LONG, metrics.SPAN):
        assert list(bounds) == sorted(set(bounds))
