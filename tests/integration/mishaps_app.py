"""Actions that do what no action should, one workflow around each, and one that is as it should be.

Topics that they emit to are named by the test, in MISHAPS_TOPIC: it makes one, and removes another after the deployment.
"""

import asyncio
import os
import threading

from actionbus import ActionContext, Flow, Retry, action, workflow

TOPIC = os.environ.get("MISHAPS_TOPIC", "mishaps")
GONE = f"{TOPIC}-gone"
TWICE = Retry(attempts=2, initial="10ms", cap="10ms")
ONCE = Retry(attempts=1)


@action(id="greet", description="Greets, and says so on a topic.", emits=[TOPIC])
def greet(ctx: ActionContext, name: str) -> str:
    """As it should be."""
    ctx.emit(TOPIC, key=ctx.run_id, value={"step_key": ctx.step_key})
    return f"hello {name}"


@action(id="raise", description="Raises.", retry=TWICE)
def raising(name: str) -> str:
    """Never succeeds."""
    raise LookupError(f"nobody knows {name}")


@action(id="hang", description="Waits for ever.", timeout="500ms", retry=TWICE)
async def hang(name: str) -> str:
    """Is cancelled where it waits."""
    await asyncio.Event().wait()
    return name


@action(id="hang-in-a-thread", description="Waits for ever, where nobody can stop it.", timeout="500ms", retry=ONCE)
def hang_in_a_thread(name: str) -> str:
    """Its thread is lost; it is a daemon."""
    threading.Event().wait()
    return name


@action(id="return-an-object", description="Returns what JSON cannot say.")
def return_an_object(name: str) -> str:
    """Breaks its return type."""
    del name
    return object()  # type: ignore[return-value] - that is the mishap


@action(id="return-too-much", description="Returns more than a record may hold.")
def return_too_much(name: str) -> str:
    """Breaks the limit of payloads."""
    return name * 300_000


@action(id="emit-to-a-topic-that-is-gone", description="Emits where there is nothing.", emits=[TOPIC, GONE])
def emit_to_a_topic_that_is_gone(ctx: ActionContext, name: str) -> str:
    """The first of its two records must not be published either."""
    ctx.emit(TOPIC, key=name, value="half")
    ctx.emit(GONE, key=name, value="other half")
    return name


@action(id="emit-undeclared", description="Emits where it did not say it would.", emits=[TOPIC])
def emit_undeclared(ctx: ActionContext, name: str) -> str:
    """Is refused in its own process."""
    ctx.emit(f"{TOPIC}-else", value=name)
    return name


@action(id="end-its-process", description="Ends the process it runs in.", retry=Retry(attempts=2, initial="10ms"))
def end_its_process(ctx: ActionContext, name: str) -> str:
    """SystemExit in user code is a failure like any other."""
    raise SystemExit(f"{name} wants out, attempt {ctx.attempt}")


def _around(mishap):
    @workflow(id=mishap.id, version="1")
    def made(flow: Flow, name: str) -> str:
        """One step."""
        return flow.run(mishap(name=name))

    return made


greeting = _around(greet)
raises = _around(raising)
hangs = _around(hang)
hangs_in_a_thread = _around(hang_in_a_thread)
returns_an_object = _around(return_an_object)
returns_too_much = _around(return_too_much)
emits_to_a_topic_that_is_gone = _around(emit_to_a_topic_that_is_gone)
emits_undeclared = _around(emit_undeclared)
ends_its_process = _around(end_its_process)
