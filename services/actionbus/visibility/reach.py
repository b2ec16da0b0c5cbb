"""Which nodes an entry of an event is about, so that their rows are loaded before it is applied."""

from typing import Final

from actionbus.contracts.events import EntryKind, EventEntry

SWEEPING: Final = frozenset(
    {
        *(EntryKind.BRANCH_GIVEN_UP, EntryKind.RUN_COMPENSATING, EntryKind.RUN_ENDED, EntryKind.RUN_MIGRATED),
        *(EntryKind.INCIDENT_OPENED, EntryKind.INCIDENT_CLOSED),
    }
)
"""Entries that are about nodes which they do not name: all live ones have to be in hand."""
BEGINNING: Final = frozenset(
    {EntryKind.STEP_SCHEDULED, EntryKind.WAIT_BEGAN, EntryKind.TASK_OPENED, EntryKind.CHILD_STARTED}
)
"""Entries that a node begins with, or begins anew: what it was before, if it was, does not count."""


def sweeps(entry: EventEntry) -> bool:
    """Whether an entry is about nodes that it does not name."""
    return entry.kind in SWEEPING or (
        entry.kind is EntryKind.DECISION and entry.action is None and entry.step is not None
    )


def begins(entry: EventEntry) -> bool:
    """Whether a node begins with an entry."""
    return entry.kind in BEGINNING and (entry.attempt or 1) == 1
