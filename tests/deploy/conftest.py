"""The tools that judge what is deployed, and what may be asked of the metrics."""

import os
import shutil

import promql_parser
import pytest

from actionbus.process import metrics, reference


@pytest.fixture(scope="session")
def promtool():
    """Prometheus's checker. It may be missing on a desk, never where changes are accepted."""
    found = shutil.which("promtool")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("promtool is missing: install the Debian package prometheus")
    if found is None:
        pytest.skip("promtool is missing (Debian package prometheus)")
    return found


@pytest.fixture(scope="session")
def served_names():
    """The names of all series that a service can serve, and the few that others add."""
    names = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}
    for metric in (*metrics.ORCHESTRATOR, *metrics.WORKER, *metrics.EVERY_SERVICE):
        name = reference.exposed_name(metric)
        names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"} if name.endswith("_seconds") else {name}
    return names


@pytest.fixture(scope="session")
def metric_names():
    """Gives the metrics that a PromQL expression reads; an expression that does not parse raises ValueError."""

    def names(expression):
        if isinstance(expression, promql_parser.VectorSelector):
            return {expression.name}
        children = [getattr(expression, part, None) for part in ("expr", "lhs", "rhs", "vector_selector", "param")]
        children += getattr(expression, "args", [])
        return set().union(*(names(child) for child in children if child is not None))

    return lambda text: names(promql_parser.parse(text.replace("$__rate_interval", "1m")))
