"""A short dose of the faults from T04 to T05; `make faults` injects the doses of the published table."""

from faults import short


@short.faults(4, 5)
async def test_fault(fault, ground) -> None:
    """Nothing is lost, doubled, partial, left uncompensated or out of order, and everything ends."""
    await short.play(fault, ground)
