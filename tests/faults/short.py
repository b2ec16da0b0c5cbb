"""A short dose of every fault, for the suite; in several files, so that they are shared out to processes."""

from random import Random

import pytest

from faults.catalogue import FAULTS
from faults.fault import Fault, NotHere
from faults.ground import Ground

SEED = 20_261_126
LAST = 32
"""The number of the last fault in the catalogue."""


def faults(first: int, last: int = LAST):
    """The marks of a test of the faults with these numbers, ``T01`` being the first."""
    chosen = [each for each in FAULTS.values() if each.short and first <= int(each.id[1:3]) <= last]

    def marked(test):
        for mark in (pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(1_800)):
            test = mark(test)
        return pytest.mark.parametrize("fault", [_case(each) for each in chosen])(test)

    return marked


def _case(fault: Fault):
    marks = [getattr(pytest.mark, need) for need in fault.needs]
    return pytest.param(fault, id=fault.id.replace("/", "-"), marks=marks)


async def play(fault: Fault, ground: Ground) -> None:
    """A round of it: nothing is lost, doubled, partial, left uncompensated or out of order, and everything ends."""
    try:
        outcome = await fault.play(ground, fault.short, Random(SEED))  # noqa: S311 - a schedule, not a secret
    except NotHere as reason:
        pytest.skip(str(reason))
    assert outcome.injected >= fault.short
    assert outcome.workflows > 0
    assert outcome.clean, f"{outcome.faults}, {outcome.unfinished} of {outcome.workflows} unfinished"
