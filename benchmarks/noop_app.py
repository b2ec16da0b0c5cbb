"""Ten steps that do nothing: what remains is the cost of actionbus and Kafka."""

from actionbus import Flow, action, workflow


@action(id="noop", description="Does nothing.", max_concurrency=2_000)
async def noop(n: int) -> int:
    """Gives back what it got."""
    return n


@workflow(id="ten-noops", version="1")
def ten_noops(flow: Flow, n: int) -> int:
    """Ten steps, each fed by the one before."""
    value = flow.run(noop(n=n), id="step-0")
    for step in range(1, 10):
        value = flow.run(noop(n=value), id=f"step-{step}")
    return value
