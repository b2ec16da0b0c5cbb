"""The oracles of faults notice when the rule is removed that a fault is about."""

from random import Random

import pytest

from faults import copier
from faults.catalogue import copies, transactions
from faults.ground import Ground
from support.mutation import mutated

pytestmark = [pytest.mark.kafka, pytest.mark.java, pytest.mark.slow]
SEED = 20_261_126


async def test_a_producer_that_goes_on_after_silence_tears_a_transaction(ground: Ground) -> None:
    """It sends the end again, as the library does: then the late copy ends half of its next transaction."""
    again = (
        'raise Doubt(f"{self._name}: no end within {self._commit_seconds:g} s") from error',
        "self._cluster.close_lane(ConnectionGroup.COORDINATION); await self._end()",
    )
    with mutated("actionbus.kafka.transaction", again):
        outcome = await transactions.torn(ground, 2, Random(SEED), ("half",))  # noqa: S311 - a schedule
    assert outcome.faults["partial"]


async def test_a_refused_end_that_counts_as_a_commit_is_noticed(ground: Ground) -> None:
    """The shard goes on from what the broker has aborted, and the run in it waits in vain."""
    refused = ('raise self._refused(reply.error_code, "its end")', "return")
    with mutated("actionbus.kafka.transaction", refused):
        outcome = await transactions.overdue(ground, 1, Random(SEED), patience=10)  # noqa: S311 - a schedule
    assert outcome.faults


async def test_a_position_of_its_own_loses_what_a_kill_interrupts(ground: Ground) -> None:
    """The position is committed before what it is about, and the kill comes between the two."""
    play = copies.copied(broker=False, hard=True, watched=False, environment={copier.PARTED: "yes"})
    outcome = await play(ground, 2 * copies.SLICE, Random(SEED))  # noqa: S311 - a schedule
    assert outcome.faults["lost"]
