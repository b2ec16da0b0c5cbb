"""The story of a run in sentences."""

import pytest

from actionbus.cli import story
from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.run import RunStatus
from contracts import samples


def _event(
    *entries: EventEntry, version: int = 1, at: int = 1_000, status: RunStatus = RunStatus.RUNNING
) -> WorkflowEvent:
    return samples.EVENT.replace(entries=entries, version=version, at=at, status=status)


@pytest.mark.parametrize("kind", EntryKind)
def test_every_kind_of_entry_has_words(kind: EntryKind) -> None:
    """Whatever happens to a run can be told, with all its fields and with none of them."""
    whole = samples.EVENT.entries[0].replace(kind=kind)
    for entry in (whole, EventEntry(kind=kind)):
        told = list(story.tell([_event(entry, version=0)]))
        assert len(told) == 2
        assert "None" not in told[1]
        assert told[1].rstrip().endswith(".")


def test_times_are_seconds_since_the_first_event() -> None:
    """The first event has its moment in the heading, all lines their distance from it."""
    first = _event(EventEntry(kind=EntryKind.RUN_STARTED, data=b"1"))
    second = _event(EventEntry(kind=EntryKind.STEP_SUCCEEDED, step="a", data=b"2"), version=2, at=2_250)
    heading, began, done = story.tell([first, second])
    assert heading == "Run signup-1 of user-signup@1, from 1970-01-01T00:00:01.000Z on:"
    assert began.strip() == "+0.000 s  It began with 1."
    assert done.strip() == "+1.250 s  a succeeded and gave 2."


def test_a_missing_beginning_is_said() -> None:
    """Where the oldest events are gone, the story says so instead of seeming whole."""
    told = list(story.tell([_event(EventEntry(kind=EntryKind.STEP_CANCELLED, step="a"), version=5)]))
    assert "older than what the log keeps" in told[0]


def test_a_decision_is_told_with_rule_and_reason() -> None:
    """A decision is told in words, with the rule that matched and why."""
    entry = EventEntry(kind=EntryKind.DECISION, decision=samples.DECISION)
    (_, told) = story.tell([_event(entry)])
    assert told.strip().endswith("Decided to do something else instead (MailboxFull): the rule for MailboxFull.")


def test_a_decision_of_a_newer_version_is_told_by_its_name() -> None:
    """A decision that this version has no words for is told by its own name."""
    entry = EventEntry(kind=EntryKind.DECISION, decision=samples.DECISION.replace(decision="migrate"))
    assert "Decided to migrate" in list(story.tell([_event(entry)]))[1]


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (b'{"outcome":"undone"}', "is undone"),
        (b'{"outcome":"never_happened"}', "never happened"),
        (b"oops", "is undone"),
    ],
)
def test_an_undone_step_is_told_apart_from_one_that_never_happened(output: bytes, says: str) -> None:
    """Whether something was undone or had never happened is said."""
    entry = EventEntry(kind=EntryKind.STEP_COMPENSATED, step="a", data=output)
    assert says in list(story.tell([_event(entry)]))[1]


def test_a_long_payload_is_cut() -> None:
    """A payload of any size leaves a sentence that can be read."""
    entry = EventEntry(kind=EntryKind.RUN_STARTED, data=b"x" * 100_000)
    assert len(list(story.tell([_event(entry)]))[1]) < 250


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (RunStatus.UNKNOWN, "c: the run r-2 was refused: no workflow of that name."),
        (RunStatus.FAILED, "c: the run r-2 is FAILED: no workflow of that name."),
    ],
)
def test_a_run_that_never_began_was_refused(status: RunStatus, says: str) -> None:
    """A start that was refused is told as such: there is no run, so it has no status."""
    data = payloads.encode({"run_id": "r-2", "status": status})
    entry = EventEntry(kind=EntryKind.CHILD_ENDED, step="c", data=data, reason="no workflow of that name")
    (_, told) = story.tell([_event(entry)])
    assert told.strip().endswith(says)
