"""The points of T29 see when a rule of sagas is taken out."""

from random import Random

import pytest

from faults.catalogue import FAULTS
from support import mutation

POINTS = 300
UNDER_WAY = "step.status not in UNDER_WAY and not waits_for_operator:"
TAKEN = "step.status is StepStatus.COMPENSATING:\n        del draft.steps[step.path]\n        return Outcome.APPLIED\n    if "
RULES = {
    "a step that is being undone ignores its success": (
        "actionbus.engine.complete",
        (UNDER_WAY, TAKEN + UNDER_WAY),
    ),
}


@pytest.mark.parametrize("rule", RULES)
async def test_without_a_rule_some_point_shows_it(ground, rule):
    """A step that was done is not undone, or the run never ends."""
    module, change = RULES[rule]
    with mutation.mutated(module, change):
        try:
            outcome = await FAULTS["T29/saga"].play(ground, POINTS, Random(1))  # noqa: S311 - a schedule, not a secret
        except AssertionError:
            return  # not even a saga in which nobody dies is right
    assert not outcome.clean
