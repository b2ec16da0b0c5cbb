"""The reference pages that are derived from the code: settings, metrics and crash points.

``python -m actionbus.process.reference docs/reference`` writes them.
"""

import sys
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from prometheus_client.metrics import Histogram, MetricWrapperBase
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from actionbus.process import crashing, metrics, variables
from actionbus.process.settings import SECRETS_DIR, Settings
from actionbus.process.shutdown import ExitCode

_DERIVED: Final = (
    "<!-- derived from services/actionbus/process by `python -m actionbus.process.reference`; do not edit -->"
)

_BOUNDS: Final[dict[tuple[float, ...], str]] = {metrics.FAST: "FAST", metrics.LONG: "LONG", metrics.SPAN: "SPAN"}


def settings_page() -> str:
    """docs/reference/settings.md."""
    lines = [
        "# Settings",
        _DERIVED,
        "",
        "Every setting is a variable of the environment.",
        f"A file with the variable's name in the folder `{SECRETS_DIR}` says the same; the variable wins.",
        "A variable that begins with `ACTIONBUS_` and is not listed here is refused: a misspelt one is never ignored.",
        f"The one beside them is `{crashing.VARIABLE}`, for [tests of crashes](crash-points.md) alone.",
        "",
    ]
    for group, rows in _grouped():
        lines += [f"## {group}", "", "| variable | value | default | meaning |", "| --- | --- | --- | --- |", *rows, ""]
    lines += ["## Exit codes", "", "| code | meaning |", "| --- | --- |"]
    lines += [f"| {code.value} | {code.meaning} |" for code in ExitCode]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """docs/reference/metrics.md."""
    lines = [
        "# Metrics",
        _DERIVED,
        "",
        "Each process serves its own at `/metrics`; sums over processes are the installation's.",
        "Histogram bounds are in seconds:",
        f"FAST {_bounds(metrics.FAST)}; LONG {_bounds(metrics.LONG)}; SPAN is FAST and the bounds of LONG above it.",
        "No label carries a run id.",
        "Durations of runs, steps and timers carry a run's trace id as an exemplar where OpenMetrics is asked for.",
        "When a run counts as stuck is said in [decision 29](../decisions/0029-backlog-is-read-off-the-runs.md).",
        "",
    ]
    for title, group in (
        ("Orchestrator", metrics.ORCHESTRATOR),
        ("Worker", metrics.WORKER),
        ("Gateway", metrics.GATEWAY),
        ("Projector", metrics.PROJECTOR),
        ("Canary", metrics.CANARY),
        ("Every service", metrics.EVERY_SERVICE),
    ):
        lines += [f"## {title}", "", "| metric | type | labels | meaning |", "| --- | --- | --- | --- |"]
        lines += [*map(_metric_row, group), ""]
    return "\n".join(lines[:-1]) + "\n"


def crash_points_page() -> str:
    """docs/reference/crash-points.md."""
    lines = [
        "# Crash points",
        _DERIVED,
        "",
        f"`{crashing.VARIABLE}=POINT:NTH` ends a service at the NTH visit of a point, as `kill -9` does.",
        f"Its exit code is {crashing.EXIT_CODE}, and its last words on standard error name the point.",
        f"With `{crashing.STOP}` behind it the service is stopped there as by SIGSTOP, and goes on after SIGCONT.",
        "It is for tests; see [trying crashes](../operations.md#trying-crashes).",
        "",
        "| point | what has happened by then, and what has not |",
        "| --- | --- |",
    ]
    lines += [f"| `{point.label}` | {point.meaning} |" for point in crashing.Point]
    return "\n".join(lines) + "\n"


PAGES: Final = {"settings.md": settings_page, "metrics.md": metrics_page, "crash-points.md": crash_points_page}


def main(arguments: Sequence[str]) -> None:
    """Write every page into the folder that is named."""
    (folder,) = arguments
    for name, page in PAGES.items():
        (Path(folder) / name).write_text(page(), encoding="utf-8")


def exposed_name(metric: MetricWrapperBase) -> str:
    """The name under which a metric is scraped; a histogram's is without ``_bucket``, ``_sum`` and ``_count``."""
    described = next(iter(metric.describe()))
    return described.name + {"counter": "_total", "info": "_info"}.get(described.type, "")


def _grouped() -> Iterable[tuple[str, list[str]]]:
    groups: dict[str, list[str]] = {}
    for name, field in variables.known().items():
        group = name.removeprefix("ACTIONBUS_").split("_")[0].lower()
        tree = Settings.model_fields[group].annotation if group in Settings.model_fields else None
        nested = isinstance(tree, type) and issubclass(tree, BaseModel)
        title = str(tree.__doc__).split(".")[0] if nested else "Stores" if group == "store" else "The installation"
        groups.setdefault(title, []).append(
            f"| `{name}` | {_values(field)} | {_default(field)} | {field.description} |"
        )
    return groups.items()


def _values(field: FieldInfo) -> str:
    kind: Any = field.annotation
    kinds = [each for each in get_args(kind) if each is not type(None)]
    if type(None) in get_args(kind):
        kind = kinds[0]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    if get_origin(kind) is tuple:
        return "comma list"
    if get_origin(kind) is dict or kind is SecretStr:
        return "secret text"
    if isinstance(kind, type):
        return {"bool": "`true` or `false`", "int": "whole number", "float": "number", "str": "text", "Path": "path"}[
            kind.__name__
        ]
    return ", ".join(f"`{choice}`" for choice in get_args(kind))


def _default(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, tuple):
        default = ",".join(default)
    return "" if default is None or default == "" or field.default_factory is not None else f"`{default}`"


# The library says a metric's labels and buckets only in private attributes; two functions below read them.


def _metric_row(metric: MetricWrapperBase) -> str:
    described = next(iter(metric.describe()))
    kind = described.type
    if isinstance(metric, Histogram):
        kind += " " + _BOUNDS[tuple(metric._upper_bounds[:-1])]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above
    labels = ", ".join(f"`{label}`" for label in _labels(metric))
    return f"| `{exposed_name(metric)}` | {kind} | {labels} | {described.documentation} |"


def _labels(metric: MetricWrapperBase) -> tuple[str, ...]:
    return tuple(metric._labelnames)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - see above


def _bounds(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


if __name__ == "__main__":
    main(sys.argv[1:])
