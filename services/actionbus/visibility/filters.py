"""Which runs are asked for, as values, and as conditions on the table of runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, or_

from actionbus.contracts.run import RunStatus
from actionbus.visibility.tables import ATTRIBUTES, RUNS


class RunSort(StrEnum):
    """In which order runs are listed."""

    STARTED = "started"
    """The oldest first."""
    NEWEST = "-started"
    """The newest first."""
    UPDATED = "updated"
    """Those first to which nothing has happened for the longest time."""
    LATEST = "-updated"
    """Those first to which something happened last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Runs for which all of this holds; what is None or empty is not asked for.

    Times: from ``after`` on, to before ``before``, epoch milliseconds. ``error``: text in the error or the incident.
    ``incident``: whether one is open. ``live``: whether it has not ended.
    """

    statuses: tuple[RunStatus, ...] = ()
    workflow: str | None = None
    version: str | None = None
    started_after: int | None = None
    started_before: int | None = None
    updated_after: int | None = None
    updated_before: int | None = None
    error: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    incident: bool | None = None
    parent: str | None = None
    live: bool | None = None


def conditions(asked: RunFilter, generation: int) -> ColumnElement[bool]:
    """The filter as one condition on the table of runs."""
    return and_(RUNS.c.generation == generation, *_conditions(asked))


def _conditions(asked: RunFilter) -> Iterator[ColumnElement[bool]]:
    if asked.statuses:
        yield RUNS.c.status.in_([each.value for each in asked.statuses])
    yield from _ranges(asked)
    if asked.error is not None:
        texts = (RUNS.c.error_type, RUNS.c.error_message, RUNS.c.incident_reason)
        yield or_(*(each.icontains(asked.error, autoescape=True) for each in texts))
        yield or_(RUNS.c.error_type.is_not(None), RUNS.c.incident_since.is_not(None))  # these are indexed
    for name, value in asked.attributes:
        yield _has(name, value)


def _ranges(asked: RunFilter) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (RUNS.c.workflow, asked.workflow),
        (RUNS.c.definition_version, asked.version),
        (RUNS.c.parent_run_id, asked.parent),
    ):
        if value is not None:
            yield column == value
    for column, after, before in (
        (RUNS.c.created_at, asked.started_after, asked.started_before),
        (RUNS.c.updated_at, asked.updated_after, asked.updated_before),
    ):
        if after is not None:
            yield column >= after
        if before is not None:
            yield column < before
    for column, wanted in ((RUNS.c.incident_since, asked.incident), (RUNS.c.ended_at, _negated(asked.live))):
        if wanted is not None:
            yield column.is_not(None) if wanted else column.is_(None)


def _negated(value: bool | None) -> bool | None:  # noqa: FBT001 - the value itself
    return None if value is None else not value


def _has(name: str, value: str) -> ColumnElement[bool]:
    return exists().where(
        ATTRIBUTES.c.generation == RUNS.c.generation,
        ATTRIBUTES.c.run_id == RUNS.c.run_id,
        ATTRIBUTES.c.incarnation == RUNS.c.incarnation,
        ATTRIBUTES.c.name == name,
        ATTRIBUTES.c.value == value,
    )
