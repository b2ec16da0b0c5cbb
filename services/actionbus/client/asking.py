"""What may be asked of a run that is under way. Every verb is one request, and one wait for the verdict on it."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Unpack

from pydantic_core import PydanticSerializationError, to_jsonable_python

from actionbus.client import outcomes
from actionbus.client.desk import Desk
from actionbus.client.interface import Asked
from actionbus.client.tail import Outcome
from actionbus.contracts import identifiers, payloads
from actionbus.contracts.errors import NoVerdict, PayloadRefused, PayloadTooLarge, RunMissing
from actionbus.contracts.events import EventEntry, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import RequestKind, WorkflowRequest


class Asking:
    """Asks things of one run. Each verb returns when it was carried out.

    All of them raise Conflict with the orchestrator's reason when the run does not allow it, because it has ended for
    example; RunMissing when there is no such run; NoVerdict, an Unavailable, when the request is in the log and no
    verdict came in time; another Unavailable when nobody knows whether it is. Asking again with the same
    ``request_id`` is safe.
    """

    def __init__(self, desk: Desk, run_id: str) -> None:
        self._desk = desk
        self._run_id = run_id

    async def signal(self, name: str, payload: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Hand the run a named value; it is kept until something waits for it.

        ``payload``: anything pydantic can write as JSON. Conflict also when no node of the workflow waits for such a
        signal, when the payload breaks its schema, or too many signals wait; PayloadRefused when it is no JSON.
        """
        value = written(payload, self._desk.limits.payload_bytes, f"the payload of {name}")
        await self._ask(RequestKind.SIGNAL, asked, reason=reason, signal=name, payload=value)

    async def update(self, name: str, payload: Any = None, reason: str = "", **asked: Unpack[Asked]) -> Json:
        """Hand the run a named value that it answers, and return the answer; None where there is none to give.

        When nothing waits for it yet, the answer comes once something does. Raises what ``signal`` raises; Conflict
        also when the run does not accept the value.
        """
        value = written(payload, self._desk.limits.payload_bytes, f"the payload of {name}")
        verdict = await self._ask(RequestKind.SIGNAL, asked, reason=reason, signal=name, payload=value)
        if verdict is None:
            return None
        event, entry = verdict
        if event.version == 0:  # it had been asked before, and answered then
            known = await (await self._desk.archive()).events(self._run_id)
            entry = next((each for old in known if (each := outcomes.verdict(old, entry.request_id or ""))), entry)
            outcomes.check(event, entry)
        return None if entry.data is None else payloads.decode(entry.data)

    async def complete_task(self, path: str, form: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Hand in the form that a person was asked for at a path.

        Conflict also when nobody is asked there, when the form breaks its schema, or is not accepted.
        """
        value = written(form, self._desk.limits.payload_bytes, "the form")
        await self._ask(RequestKind.SIGNAL, asked, reason=reason, step=path, payload=value)

    async def assign_task(self, path: str, who: str | None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Ask somebody else for what a person was asked for at a path; None: anybody."""
        value = written(who, self._desk.limits.payload_bytes, "the assignee")
        await self._ask(RequestKind.ASSIGN_TASK, asked, reason=reason, step=path, payload=value)

    async def cancel(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Stop the run and undo what it did."""
        await self._ask(RequestKind.CANCEL, asked, reason=reason)

    async def terminate(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """End the run at once and undo nothing, not even what is being undone."""
        await self._ask(RequestKind.TERMINATE, asked, reason=reason)

    async def pause(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Schedule nothing new until the run is resumed. What is out goes on, and its results are taken in."""
        await self._ask(RequestKind.PAUSE, asked, reason=reason)

    async def resume(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Go on after a pause, and try every step again that waits for an operator."""
        await self._ask(RequestKind.RESUME, asked, reason=reason)

    async def retry_step(self, step: str, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Try a step, or its undo, again at once.

        Conflict also when the step waits neither for an operator nor for its next attempt.
        """
        await self._ask(RequestKind.RETRY_STEP, asked, reason=reason, step=step)

    async def skip_step(self, step: str, output: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Go on as if the step had given this output; a step that is being undone counts as undone.

        Conflict also when the step waits for no output or this one breaks its action's schema; PayloadRefused when it
        is no JSON.
        """
        value = written(output, self._desk.limits.payload_bytes, "the output")
        await self._ask(RequestKind.SKIP_STEP, asked, reason=reason, step=step, payload=value)

    async def complete_step(self, step: str, output: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Say that somebody did by hand what the step, or its undo, was to do. Raises what ``skip_step`` raises."""
        value = written(output, self._desk.limits.payload_bytes, "the output")
        await self._ask(RequestKind.COMPLETE_STEP, asked, reason=reason, step=step, payload=value)

    async def change_timer(self, path: str, until: datetime, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Let what waits at a path wait until another time: a sleep, a wait's timeout, a step's next attempt.

        A time that is past ends the waiting at once. Conflict also when nothing waits for a time there; PayloadRefused
        for a time without its zone.
        """
        await self._ask(RequestKind.CHANGE_TIMER, asked, reason=reason, step=path, due_at=milliseconds(until))

    async def migrate(
        self, version: str, names: Mapping[str, str] | None = None, reason: str = "", **asked: Unpack[Asked]
    ) -> None:
        """Let the run go on under another deployed version of its workflow.

        ``names`` gives nodes that have another id there their new one. Conflict also when that version is not deployed,
        or when something in the run would not mean the same there; IdentifierRefused for what can be no version.
        """
        value = written(dict(names or {}), self._desk.limits.payload_bytes, "the map")
        wanted = identifiers.version(version)
        await self._ask(RequestKind.MIGRATE, asked, reason=reason, version=wanted, payload=value)

    async def _ask(
        self, kind: RequestKind, asked: Asked, *, reason: str, **fields: Any
    ) -> tuple[WorkflowEvent, EventEntry] | None:
        """Ask, and return the verdict; None when nobody waits for it."""
        request = WorkflowRequest(
            request_id=asked.get("request_id") or uuid.uuid4().hex,
            run_id=self._run_id,
            kind=kind,
            reason=reason or None,
            requested_by=asked.get("requested_by") or None,
            requested_at=self._desk.now(),
            **fields,
        )
        if not asked.get("wait", True):
            await self._desk.put(request)
            return None
        outcome = Outcome(request.request_id)
        tail = await self._desk.tail()
        tail.add(self._run_id, outcome)
        try:
            await self._desk.put(request)
            what = f"the verdict on the request to {kind} for run {self._run_id}"
            patience = asked.get("within", self._desk.verdict_seconds)
            event, entry = await self._desk.within(patience, outcome.verdict, what, NoVerdict)
        finally:
            tail.remove(self._run_id, outcome)
        outcomes.check(event, entry, RunMissing)
        return event, entry


def written(value: Any, most_bytes: int, what: str) -> bytes:
    """A value as the JSON of a request; raises PayloadRefused when it has none, or too much of it."""
    try:
        data = payloads.encode(to_jsonable_python(value))
    except PydanticSerializationError as error:
        raise PayloadRefused(f"{what} cannot be written as JSON: {error}") from error
    if len(data) > most_bytes:
        raise PayloadTooLarge(
            f"{what} has {len(data)} bytes, {most_bytes} are allowed: store it elsewhere and pass its address"
        )
    return data


def milliseconds(moment: datetime) -> int:
    """Epoch milliseconds; raises PayloadRefused for a time without its zone."""
    if moment.tzinfo is None:
        raise PayloadRefused(f"{moment.isoformat()} says no time zone: give one, such as datetime.UTC")
    return round(moment.timestamp() * 1000)
