"""Workflows for the tests of the gateway: one that ends or fails, one that waits and answers, one that asks.

A folder of the test, if there is one, takes the tokens of those who are asked.
"""

import os
from pathlib import Path

from pydantic import BaseModel

from actionbus import ActionContext, Flow, NonRetryable, action, cel, workflow


class Item(BaseModel):
    """What is put into a basket."""

    name: str
    price: int


@action(id="greet", description="Greets.")
async def greet(name: str) -> str:
    """A greeting; refuses to greet nobody."""
    if name.startswith("nobody"):
        raise NonRetryable(f"there is nobody to greet: {name}")
    return f"Hello, {name}!"


@workflow(id="hello", version="1")
def hello(flow: Flow, name: str) -> str:
    """Greets."""
    return flow.run(greet(name=name))


@workflow(id="basket", version="1")
def basket(flow: Flow, budget: int) -> list[Item]:
    """Waits for an item that its budget allows."""
    flow.show("state", "open")
    first = flow.wait_for(
        "add",
        Item,
        accept=lambda item: cel("item.price <= budget", item=item, budget=budget),
        answer=lambda item: {"left": cel("budget - price", budget=budget, price=item.price)},
    )
    return [first]


class Decision(BaseModel):
    """What a person hands in."""

    granted: bool
    reason: str = ""


@action(id="ask", description="Asks somebody who answers by a token.", timeout="1h", heartbeat="1h")
async def ask(ctx: ActionContext, name: str) -> str:
    """The token goes into a file by the name of who is asked."""
    folder = Path(os.environ["GATEWAY_TOKENS"])
    (folder / f"{name}.draft").write_text(ctx.token)
    (folder / f"{name}.draft").rename(folder / name)
    return ctx.answer_later()


@workflow(id="approval", version="1")
def approval(flow: Flow, name: str) -> str:
    """Asks somebody by token, then a person by a form."""
    found = flow.run(ask(name=name))
    decision = flow.wait_for_person("Approve it", Decision, id="approve", assignee="sales")
    flow.choose((cel("!granted", granted=decision.granted), lambda: flow.fail("Refused", decision.reason)))
    return found
