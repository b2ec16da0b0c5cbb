"""Every fault of the catalogue in a short dose; `make faults` injects the doses of the published table."""

from random import Random

import pytest

from faults.catalogue import FAULTS
from faults.fault import Fault, NotHere
from faults.ground import Ground

SEED = 20_261_126


def _case(fault: Fault):
    marks = [getattr(pytest.mark, need) for need in fault.needs]
    return pytest.param(fault, id=fault.id.replace("/", "-"), marks=marks)


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("fault", [_case(fault) for fault in FAULTS.values() if fault.short])
async def test_fault(fault: Fault, ground: Ground) -> None:
    """Nothing is lost, doubled, partial, left uncompensated or out of order, and everything ends."""
    try:
        outcome = await fault.play(ground, fault.short, Random(SEED))  # noqa: S311 - a schedule, not a secret
    except NotHere as reason:
        pytest.skip(str(reason))
    assert outcome.injected >= fault.short
    assert outcome.workflows > 0
    assert outcome.clean, f"{outcome.faults}, {outcome.unfinished} of {outcome.workflows} unfinished"
