"""The round of sizes notices when a limit is not held, and when a stranger's record is passed over in silence."""

from functools import partial
from random import Random

import pytest

from actionbus.contracts.limits import DEFAULT_LIMITS
from faults.catalogue import sizes
from faults.ground import Ground

pytestmark = [pytest.mark.kafka, pytest.mark.java, pytest.mark.postgres, pytest.mark.slow]
SEED = 20_261_126
TOO_MUCH = DEFAULT_LIMITS.payload_bytes + 1
IMPATIENT_SECONDS = 5.0


async def test_what_does_not_hold_its_limits_or_its_letters_is_noticed(ground: Ground) -> None:
    """Services with another limit begin runs and take results of a byte too much; a mute worker keeps no letter."""
    cases = (
        partial(sizes._by_gateway, TOO_MUCH),
        partial(sizes._by_foreigner, TOO_MUCH),
        partial(sizes._result, TOO_MUCH),
        partial(sizes._nonsense, "commands", "thousands"),
    )
    without = {"ACTIONBUS_LIMITS_PAYLOAD_BYTES": str(2 * TOO_MUCH), "PARCEL_MUTE": "yes"}
    chance = Random(SEED)  # noqa: S311 - a schedule
    outcome = await sizes.sized(ground, len(cases), chance, cases, environment=without, patience=IMPATIENT_SECONDS)
    found = " ".join(outcome.faults["disordered"])
    assert found.count("has begun") == 2
    assert "should be ResultTooLarge, is COMPLETED" in found
    assert "has 0 letters" in found
