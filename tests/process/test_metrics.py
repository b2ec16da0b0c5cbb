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
        "workflow", "status", "decision", "action", "reason", "topic", "partition", "outcome", "kind", "method", "route",
        "store",
        "window", "percentile",
    }  # fmt: skip


def test_every_metric_says_who_feeds_it():
    """Each metric belongs to a service or to all of them, and to nobody unknown."""
    readers = {*metrics.PROJECTOR, *metrics.GATEWAY, *metrics.CANARY}
    groups = {*metrics.ORCHESTRATOR, *metrics.WORKER, *readers, *metrics.EVERY_SERVICE}
    assert groups == set(ALL)


def test_the_bounds_reach_from_one_hop_to_a_week():
    """The fast bounds begin at a millisecond, the long ones end at seven days, and all rise."""
    assert (metrics.FAST[0], metrics.FAST[-1]) == (0.001, 10)
    assert (metrics.LONG[0], metrics.LONG[-1]) == (0.1, 7 * 86_400)
    for bounds in (metrics.FAST, metrics.LONG, metrics.SPAN):
        assert list(bounds) == sorted(set(bounds))


def _named(names):
    return {f"actionbus_{name}" for name in names.split()}


CONVENTION = {  # who has to serve which names
    "ORCHESTRATOR": _named(
        "runs_started_total runs_completed_total runs_live runs_stuck run_duration_seconds decisions_total "
        "incidents_open commands_published_total commands_redispatched_total duplicate_results_total "
        "stale_results_total misrouted_records_total dead_letters_total timers_pending timer_fire_delay_seconds "
        "consumer_lag_records consumer_lag_age_seconds lso_lag_seconds action_backlog_records "
        "action_backlog_age_seconds rebalances_total txn_commits_total txn_aborts_total txn_duration_seconds "
        "producer_rebuilds_total shard_takeover_seconds state_restore_seconds"
    ),
    "WORKER": _named(
        "step_schedule_to_start_seconds step_duration_seconds step_retries_total step_timeouts_total "
        "dead_letters_total consumer_lag_records consumer_lag_age_seconds rebalances_total"
    ),
    "EVERY_SERVICE": _named("build_info"),
}


@pytest.mark.parametrize("service", CONVENTION)
def test_a_service_serves_what_it_is_expected_to(service):
    """Dashboards, alerts and the habits of operators rest on these names: none may go or change."""
    served = {reference.exposed_name(each) for each in getattr(metrics, service)}
    assert CONVENTION[service] <= served


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        (TRACE, {"trace_id": "0af7651916cd43dd8448eb211c80319c"}),
        (None, None),
        ("", None),
        ("no trace at all, but long enough to be one", None),
        ("00-0af7651916cd43dd", None),
    ],
)
def test_only_a_trace_makes_an_exemplar(trace, expected):
    """The trace id is taken out of a traceparent; anything else leaves the observation without one."""
    assert metrics.example(trace) == expected
