"""What may be asked of the metrics: who serves which, and which metrics an expression reads."""

import promql_parser
from prometheus_client.metrics import Histogram, MetricWrapperBase

from actionbus.process import metrics, reference

OTHERS = {"up", "ALERTS", "process_resident_memory_bytes", "process_cpu_seconds_total"}
CHOICES = ("workflow", "action")  # variables of the boards


def declared():
    """Every metric that is declared, of whatever service."""
    return [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]


def served_names():
    """The names of all series that a service serves, and the few that others add."""
    kinds = {reference.exposed_name(each): isinstance(each, Histogram) for each in declared()}
    names = set(OTHERS)
    for name, spread in kinds.items():
        names |= {f"{name}_bucket", f"{name}_count", f"{name}_sum"} if spread else {name}
    return names


def filled(expression):
    """An expression of a board as Grafana sends it when everything is chosen."""
    for name in CHOICES:
        expression = expression.replace(f"${name}", ".*")
    return expression.replace("$__rate_interval", "1m")


def metric_names(expression):
    """The metrics that an expression reads; one that does not parse raises ValueError."""
    return _names(promql_parser.parse(filled(expression)))


def _names(part):
    if isinstance(part, promql_parser.VectorSelector):
        return {part.name}
    children = [getattr(part, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    children += getattr(part, "args", [])
    return set().union(*(_names(child) for child in children if child is not None))


def stem(name):
    """The metric of a series."""
    return name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
