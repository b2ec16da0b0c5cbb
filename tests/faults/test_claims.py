"""The oracle of a shard with two claimants notices when nothing keeps them apart."""

from random import Random

import pytest

from faults.catalogue import claims
from faults.ground import Ground
from support.mutation import mutated

pytestmark = [pytest.mark.kafka, pytest.mark.java, pytest.mark.slow]
SEED = 20_261_126
NAMED = 'return f"{self.prefix}.shard.{shard}.{slot}"'
FRESH = 'return f"{self.prefix}.shard.{shard}.{slot}.{next(_fresh)}"'
BEGINNING = "class TopicRole(StrEnum):\n"


async def test_owners_with_ids_of_their_own_fork_the_history(ground: Ground) -> None:
    """Without an id in common neither fences the other, and both write what follows from the same position."""
    changes = ((NAMED, FRESH), (BEGINNING, f"import itertools\n_fresh = itertools.count()\n\n\n{BEGINNING}"))
    with mutated("actionbus.contracts.topics", *changes):
        outcome = await claims.claimed(ground, 1, Random(SEED), claims.HOLDS[-1:], patience=10)  # noqa: S311 - a schedule
    assert outcome.faults["disordered"]
