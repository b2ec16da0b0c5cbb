"""The round of T28 sees when a rule of calls over HTTP is taken out."""

from random import Random

import pytest

from faults.catalogue import FAULTS
from support import mutation

ROUNDS = 5
RULES = {
    "every attempt asks under the same key": (
        "        else:\n            base = command.step_key",
        "        else:\n            base = command.command_id",
    ),
    "nothing is sent after the window": ("over = _now() - first_sent > self._window_ms", "over = False"),
}


@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
async def test_without_a_rule_the_log_of_the_peer_shows_it(ground, rule):
    """An effect happens twice, or under a key that is that of no step."""
    with mutation.mutated("actionbus.worker.calls", RULES[rule]):
        for seed in range(ROUNDS):  # a database for each
            outcome = await FAULTS["T28/peer"].play(ground, 100, Random(f"{rule} {seed}"))  # noqa: S311 - a schedule, not a secret
            if "doubled" in outcome.faults:
                return
    raise AssertionError(f"{ROUNDS} rounds are as if the rule held: {outcome}")
