"""Runs that let time pass, twice: what happens around it is written down with the steady clock, which nobody sets."""

import os
import time
from pathlib import Path

from pydantic import BaseModel

from actionbus import ActionContext, Flow, Retry, action, workflow

PATIENT = Retry(attempts=1_000, initial="50ms", cap="1s")

WAIT_MS = 3_000  # how long the second one is


class Nap(BaseModel):
    """How long the first of the two timers is, in milliseconds."""

    sleep_ms: int


@action(id="note", retry=PATIENT)
def note(ctx: ActionContext, what: str) -> None:
    """Write down what and when, in one write."""
    line = f"{ctx.run_id} {what} {time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000}\n"
    place = os.open(Path(os.environ["BANK_FOLDER"]) / "naps", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(place, line.encode())
    finally:
        os.close(place)


@workflow(id="nap", version="1")
def nap(flow: Flow, nap: Nap) -> str:
    """Sleep, then wait for somebody who never comes."""
    flow.run(note(what="lay-down"), id="lay-down")
    flow.sleep(nap.sleep_ms)
    flow.run(note(what="woke"), id="woke")
    flow.wait_for("tea", str, timeout=f"{WAIT_MS}ms", on_timeout=lambda: flow.run(note(what="rose"), id="rose"))
    return "rested"
