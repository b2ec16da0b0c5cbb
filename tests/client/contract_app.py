"""Workflows for the tests that hold for every client."""

from actionbus import NonRetryable, action, workflow


@action(id="greet", description="Greets.")
async def greet(name: str) -> str:
    """A greeting; refuses to greet nobody."""
    if name == "nobody":
        raise NonRetryable("there is nobody to greet")
    return f"Hello, {name}!"


@workflow(id="hello", version="1")
def hello(flow, name: str) -> str:
    """Greets."""
    return flow.run(greet(name=name))


@workflow(id="asks", version="1")
def asks(flow, name: str) -> str:
    """Waits for a name, then greets it."""
    flow.run(greet(name=name))
    said = flow.wait_for("name", str)
    return flow.run(greet(name=said), id="again")
