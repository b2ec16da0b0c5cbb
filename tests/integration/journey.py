"""A journey: a workflow of every shape, an installation that serves it, and its runs as a test looks at them."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actionbus.client import RunHandle
from actionbus.contracts.definitions import ActionSpec, Graph
from actionbus.contracts.events import EntryKind, EventEntry
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.kafka.codec import Codec
from actionbus.provisioner import deploy
from actionbus.sdk import registry
from engine.graphs import (
    PAUSE,
    block,
    call,
    caught,
    cel,
    child,
    choose,
    each,
    graph,
    handle,
    on,
    parallel,
    person,
    put,
    ref,
    repeat,
    sequence,
    show,
    sleep,
    step,
    wait,
)
from integration.installation import Installation, Service
from integration.orders import until

APP = Path(__file__).with_name("journey_app.py")
LONG_MS, SHORT_MS = 3_600_000, 500
NAME = {"name": ref("input", "name")}


def workflow(version: str, timeout_ms: int) -> Graph:
    """The journey; its versions differ in how long somebody may take to approve it."""
    booking = {"action": "book", "input": NAME, "undo": call("unbook", **NAME)}
    return graph(
        parallel("bookings", step("hotel", **booking), step("flight", **booking)),
        choose(
            "way",
            (cel("size(bags) > 1", bags=ref("input", "bags")), put("heavy", "by ship")),
            otherwise=put("light", 0),
        ),
        each("bags", ref("input", "bags"), step("bag", action="book", input={"name": ref("scope", "bags", "item")})),
        block("papers", step("check", input=NAME), caught("Expired", handle(put("renewed", "renewed")))),
        step("board", input={"gate": ref("input", "gate")}),
        sleep("doze", ref("input", "doze_ms")),
        wait(
            "approval",
            "approved",
            payload_schema={"type": "string"},
            timeout_ms=timeout_ms,
            on_timeout=put("no", "nobody"),
        ),
        sleep("night", ref("input", "night_ms")),
        step("pay", on(None, PAUSE), input=NAME, undo=call("refund", **NAME)),
        step("depart", input=NAME),
        name="journey",
        version=version,
        actions=_actions(),
        output={name: ref("steps", name) for name in ("bookings", "way", "bags", "papers", "approval", "pay")},
    )


def convoy() -> Graph:
    """A run that starts one of ``trip`` for each of its names, waits for all, and departs."""
    trip = child("trip", "trip", input={"name": ref("scope", "trips", "item"), "gate": ref("input", "gate")})
    undo = call("unbook", name=ref("made"))
    return graph(
        each("trips", ref("input", "names"), trip.model_copy(update={"undo": undo})),
        step("depart", input={"name": ref("input", "name")}),
        name="convoy",
        actions=_actions(),
        output=ref("steps", "trips"),
    )


def counter() -> Graph:
    """A run that asks a person for a limit, and then takes numbers below it and shows their sum, twice."""
    add = wait(
        "add",
        "add",
        payload_schema={"type": "integer"},
        accept=cel("n < limit", n=ref("payload"), limit=ref("steps", "limit")),
        answer=cel("n + seen", n=ref("payload"), seen=ref("input")),
    )
    return graph(
        person("limit", "How much?", payload_schema={"type": "integer"}, assignee="ann"),
        repeat("r", sequence("t", add, show("shown", "last", ref("steps", "add"))), limit=2),
        name="counter",
    )


def trip() -> Graph:
    """What a convoy waits for."""
    return graph(
        step("book", input=NAME, undo=call("unbook", **NAME)),
        step("board", input={"gate": ref("input", "gate")}),
        name="trip",
        actions=_actions(),
        output=ref("steps", "book"),
    )


def _actions() -> list[ActionSpec]:
    return [each.spec for each in registry.load(str(APP)).actions.values()]


def given(name: str, **more: Any) -> dict[str, Any]:
    """What a journey is started with: no gate, no sleep, two bags."""
    return {"name": name, "bags": ["trunk", "box"], "gate": "", "doze_ms": 0, "night_ms": 0} | more


def came(name: str, *, approval: str = "Ada", pay: str | None = None) -> dict[str, Any]:
    """What a journey gives when all went well."""
    return {
        "bookings": [f"booked {name}"] * 2,
        "way": "by ship",
        "bags": ["booked trunk", "booked box"],
        "papers": "renewed",
        "approval": approval,
        "pay": pay or f"paid by {name}",
    }


class Journeys:
    """An installation that serves journeys."""

    def __init__(self, installation: Installation, orchestrator: Service, folder: Path) -> None:
        self.installation = installation
        self.orchestrator = orchestrator
        self._folder = folder

    def mark(self, name: str) -> Path:
        """A file that the actions look at."""
        return self._folder / name

    async def runs(self, *arguments: str) -> Any:
        """What a command of ``actionbus runs`` prints."""
        done = await asyncio.to_thread(self.installation.command, "runs", *arguments)
        return json.loads(done.stdout)


async def provide(installation: Installation) -> None:
    """Deploy the journey, in both versions, and the convoy: their shapes have no words in the SDK that the module could use."""
    names, codec = Topics(installation.prefix), Codec()
    async with Admin(installation.connection) as admin:
        exist = await admin.topics()
    wanted = [workflow("1", LONG_MS), workflow("2", SHORT_MS), convoy(), trip(), counter()]
    judged = deploy.judge(wanted, {}, exist, names)
    await deploy.deploy(installation.connection, names, codec, judged, by="a test")


async def stands(run: RunHandle, there: Callable[[WorkflowRun], bool], what: str) -> WorkflowRun:
    """The run, once it stands so."""
    found: list[WorkflowRun] = []

    async def look() -> bool:
        found[:] = [await run.state()]
        return there(found[0])

    await until(look, f"{run.run_id} {what}")
    return found[0]


async def waits_at(run: RunHandle, path: str) -> WorkflowRun:
    """The run, once the node at a path is under way."""
    return await stands(run, lambda state: path in {scope.path for scope in state.scopes}, f"waits at {path}")


async def stuck(run: RunHandle) -> WorkflowRun:
    """The run, once it waits for an operator."""
    return await stands(run, lambda state: state.incident is not None, "waits for an operator")


async def told(run: RunHandle, *kinds: EntryKind) -> list[EventEntry]:
    """What its history tells of these kinds, in order."""
    return [entry for event in await run.history() for entry in event.entries if entry.kind in kinds]
