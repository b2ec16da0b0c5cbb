"""The short way to the status of an event gives what the long way gives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.client import standing
from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.run import RunStatus
from actionbus.kafka import codec
from actionbus.kafka.codec import Codec
from contracts import samples

CODEC = Codec()


@given(samples.records(WorkflowEvent))
def test_any_event_stands_where_it_says(event: WorkflowEvent) -> None:
    """The status read from the bytes is the status of the event, whatever its other fields hold."""
    assert standing.after(CODEC.encode(event), CODEC) is event.status


@pytest.mark.parametrize("status", RunStatus)
def test_every_status_is_told(status: RunStatus) -> None:
    """Each status is told from each other."""
    assert standing.after(CODEC.encode(samples.EVENT.replace(status=status)), CODEC) is status


@pytest.mark.parametrize("length", [0, 63, 64, 200])
def test_texts_of_any_length_are_passed_over(length: int) -> None:
    """A workflow's name and a run id of any length stand before the status and change nothing."""
    event = samples.EVENT.replace(run_id="x" * length, workflow="ä" * (length // 2))
    assert standing.after(CODEC.encode(event), CODEC) is samples.EVENT.status


def test_an_event_in_json_is_understood() -> None:
    """An event in another form than this version writes is decoded."""
    assert standing.after(codec.to_json(samples.EVENT), CODEC) is samples.EVENT.status


@given(st.binary(max_size=40))
def test_what_is_no_event_is_unreadable_or_has_a_status(body: bytes) -> None:
    """Bytes that are no event raise RecordUnreadable, never another exception."""
    for data in (body, CODEC.encode(samples.EVENT)[:10] + body):
        try:
            assert standing.after(data, CODEC) in RunStatus
        except RecordUnreadable:
            continue


def test_nothing_is_unreadable() -> None:
    """A record without value is no event."""
    with pytest.raises(RecordUnreadable):
        standing.after(None, CODEC)
