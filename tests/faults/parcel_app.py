"""The bank, and in the same workers runs whose input, result or emitted record is as large as somebody wants."""

import os

from bank_app import *  # noqa: F403 - a worker hosts what is in the module
from pydantic import BaseModel

from actionbus import ActionContext, Flow, Retry, action, workflow
from actionbus.worker.answering import Answering

NARROW = f"{os.environ.get('BANK_TOPIC', 'transfers')}-narrow"  # takes less than actionbus would write
QUOTES = 2  # bytes of a text in JSON beside its letters


class Parcel(BaseModel):
    """What a run is started with, and keeps, as a step reads a part of it."""

    label: str
    text: str


@action(id="weigh", retry=Retry(attempts=1))
async def weigh(text: str) -> int:
    """Say how long a text is."""
    return len(text)


@action(id="fetch", retry=Retry(attempts=1))
async def fetch(size: int) -> str:
    """Make a result of so many bytes."""
    return "x" * (size - QUOTES)


@action(id="tell", retry=Retry(attempts=1), emits=[NARROW])
async def tell(ctx: ActionContext, size: int) -> int:
    """Emit a record of so many bytes."""
    ctx.emit(NARROW, key=ctx.run_id, value="x" * (size - QUOTES))
    return size


@workflow(id="bring", version="1")
def bring(flow: Flow, parcel: Parcel) -> int:
    """A run with a large input."""
    return flow.run(weigh(text=parcel.label))


@workflow(id="fetching", version="1")
def fetching(flow: Flow, size: int) -> int:
    """A step with a large result."""
    flow.run(fetch(size=size))
    return flow.run(weigh(text="whatever"))


@workflow(id="telling", version="1")
def telling(flow: Flow, size: int) -> int:
    """A step that emits a large record."""
    return flow.run(tell(size=size))


@workflow(id="passing", version="1")
def passing(flow: Flow, size: int) -> None:
    """A run that emits what a step has made."""
    flow.emit(NARROW, key="passed", value=flow.run(fetch(size=size)))


@workflow(id="delaying", version="1")
def delaying(flow: Flow, size: int) -> None:
    """The same, after a while: no input leads to the record, a timer does."""
    made = flow.run(fetch(size=size))
    flow.sleep("200ms")
    flow.emit(NARROW, key="passed", value=made)


if os.environ.get("PARCEL_MUTE"):  # the rule is taken out that nothing is passed over in silence
    Answering.set_aside = lambda _, __, claim, ___: claim.finish()
