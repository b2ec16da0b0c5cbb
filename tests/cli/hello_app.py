"""Two actions and two workflows for the tests of the command line."""

from pathlib import Path

from actionbus import NonRetryable, Retry, action, workflow


@action(id="greet", description="Greets.")
async def greet(name: str) -> str:
    """A greeting; refuses to greet nobody."""
    if name == "nobody":
        raise NonRetryable("there is nobody to greet")
    return f"Hello, {name}!"


@action(id="reserve", description="Reserves.")
async def reserve(name: str) -> str:
    """A reservation."""
    return f"reserved {name}"


@action(id="release", description="Takes a reservation back.")
async def release(what: str | None) -> None:
    """Tolerates that there was none."""


@action(id="hold", description="Waits until a file is there.", retry=Retry(attempts=None, initial="250ms", factor=1))
async def hold(file: str) -> bool:
    """Fails until the file is there."""
    Path(file).read_bytes()  # noqa: ASYNC240 - a look at a file of nothing
    return True


@workflow(id="hello", version="1")
def hello(flow, name: str) -> str:
    """Reserves, then greets."""
    flow.run(reserve(name=name), undo=lambda made: release(what=made))
    return flow.run(greet(name=name))


@workflow(id="wait", version="1")
def wait(flow, file: str) -> bool:
    """Waits until a file is there."""
    return flow.run(hold(file=file))
