"""A short dose of the faults from T01 to T03; `make faults` injects the doses of the published table."""

from faults import short


@short.faults(1, 3)
async def test_fault(fault, ground) -> None:
    """Nothing is lost, doubled, partial, left uncompensated or out of order, and everything ends."""
    await short.play(fault, ground)
