"""Records on their way from the log to the fold."""

import asyncio

import pytest

from actionbus.contracts.errors import PositionLost
from actionbus.contracts.records import InRecord
from actionbus.orchestrator.intake import WAITING_FOLDS, Intake


def _record(offset: int, size: int = 1) -> InRecord:
    return InRecord(topic="t", partition=0, offset=offset, timestamp_ms=0, key=None, value=b"x" * size)


def _drain(intake: Intake) -> list[int]:
    found = []
    while (record := intake.first()) is not None:
        found.append(record.offset)
        intake.drop()
    return found


async def _turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_records_come_in_order_and_what_is_given_back_comes_first() -> None:
    """A fold that was too large begins again with the same inputs."""

    async def source():
        yield [_record(0), _record(1), _record(2)]
        await asyncio.Event().wait()

    woken = asyncio.Event()
    intake = Intake(source(), woken.set, fold_inputs=10, fold_bytes=1_000)
    await woken.wait()
    taken = []
    for _ in range(2):
        taken.append(intake.first())
        intake.drop()
    intake.give_back(taken)
    assert _drain(intake) == [0, 1, 2]
    await intake.close()


@pytest.mark.parametrize(("size", "fold_inputs"), [(1, 10), (100, 1_000_000)])
async def test_no_more_than_two_folds_wait_in_memory(size: int, fold_inputs: int) -> None:
    """The rest waits in the log, whether there are many records or large ones."""
    asked = 0

    async def source():
        nonlocal asked
        while True:
            asked += 1
            yield [_record(asked, size)]

    intake = Intake(source(), lambda: None, fold_inputs=fold_inputs, fold_bytes=1_000)
    await _turns()
    assert len(intake) == WAITING_FOLDS * 10
    before = asked
    intake.drop()
    await _turns()
    assert asked == before + 1
    await intake.close()


async def test_what_ends_the_following_is_raised() -> None:
    """A lost position is not an empty log."""

    async def source():
        yield [_record(0)]
        raise PositionLost("gone")

    intake = Intake(source(), lambda: None, fold_inputs=10, fold_bytes=1_000)
    intake.check()
    await _turns()
    with pytest.raises(PositionLost):
        intake.check()
    assert _drain(intake) == [0]
    await intake.close()


async def test_closing_ends_the_source() -> None:
    """Its connections are let go."""
    closed = asyncio.Event()

    async def source():
        try:
            yield [_record(0)]
            await asyncio.Event().wait()
        finally:
            closed.set()

    intake = Intake(source(), lambda: None, fold_inputs=10, fold_bytes=1_000)
    await _turns()
    await intake.close()
    assert closed.is_set()
