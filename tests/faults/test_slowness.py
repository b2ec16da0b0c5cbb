"""The round of slow actions notices when a worker reads on only after it has finished."""

from random import Random

import pytest

from faults.catalogue import slowness
from faults.ground import Ground

pytestmark = [pytest.mark.kafka, pytest.mark.java, pytest.mark.postgres, pytest.mark.slow]
SEED = 20_261_126
IMPATIENT_SECONDS = 5.0


async def test_a_worker_that_reads_on_after_its_work_is_thrown_out(ground: Ground) -> None:
    """The others wait for the slow ones, and the group takes the silent member for dead."""
    outcome = await slowness.slow(ground, 2, Random(SEED), {slowness.HELD: "yes"}, IMPATIENT_SECONDS)  # noqa: S311 - a schedule
    words = " ".join(outcome.faults["disordered"])
    assert "waited for the slow ones" in words
    assert "the members of the groups are not those" in words
