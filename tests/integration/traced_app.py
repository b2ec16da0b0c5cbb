"""Actions and workflows whose trace a test reads: a retry, code with spans and lines of its own, a child, an undo."""

import logging

import structlog
from opentelemetry import trace

from actionbus import ActionContext, ActionFailed, Flow, NonRetryable, Retry, action, workflow


class NotYet(ActionFailed):
    """It may be there next time."""


@action(id="fetch", retry=Retry(attempts=3, initial="10ms"))
def fetch(ctx: ActionContext, name: str) -> str:
    """Fails once; says a span and two lines of its own, in a thread."""
    with trace.get_tracer("user").start_as_current_span("user code"):
        logging.getLogger("user").warning("fetching %s", name)
        structlog.get_logger("user").warning("fetching as well")
    if ctx.attempt == 1:
        raise NotYet("NotYet", "not yet")
    return name


@action(id="forget")
async def forget(name: str | None) -> None:
    """Undoes fetch."""
    structlog.get_logger("user").warning("forgetting", what=name)


@action(id="refuse")
async def refuse(name: str) -> str:
    """Fails for good."""
    raise NonRetryable(f"no {name}", type="Refused")


@workflow(id="below", version="1")
def below(flow: Flow, name: str) -> str:
    """The child."""
    return flow.run(fetch(name=name))


@workflow(id="above", version="1")
def above(flow: Flow, name: str) -> str:
    """Fetches, waits for a word, lets a child fetch, fails, and is undone."""
    flow.run(fetch(name=name), undo=lambda made: forget(name=made))
    flow.wait_for("go", bool)
    flow.child(below, name)
    return flow.run(refuse(name=name))
