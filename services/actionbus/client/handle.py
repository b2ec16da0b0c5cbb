"""One run in a caller's hand: its result, its state and its history. What may be asked of it is in `asking`."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Final, Unpack

from actionbus.client import outcomes, told
from actionbus.client.asking import Asking
from actionbus.client.desk import Desk
from actionbus.client.interface import Asked, StartedRun
from actionbus.client.tail import Follower, Outcome
from actionbus.contracts import payloads
from actionbus.contracts.errors import ActionbusError, NoVerdict, Refused, RunMissing
from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import IfExists, RequestKind
from actionbus.contracts.run import WorkflowRun

_BEGAN: Final = (EntryKind.RUN_STARTED, EntryKind.START_CHANGED)  # whose data is the input


class RunHandle(Asking, StartedRun):
    """A run by its id. Made by ``Client.start`` and ``Client.handle``; usable as long as its client is open."""

    def __init__(self, desk: Desk, run_id: str, started: Outcome | None = None) -> None:
        super().__init__(desk, run_id)
        self._started = started

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run_id

    def __repr__(self) -> str:
        return f"RunHandle({self.run_id!r})"

    async def accepted(self, timeout: float | None = None) -> WorkflowEvent | None:  # noqa: ASYNC109 - a caller's word
        """Wait until the start was accepted, and return the event that says so; None for a run started elsewhere.

        Raises Conflict when a run has this id, another Refused when the workflow or its input is wrong, NoVerdict
        after ``timeout`` seconds: the request stays in the log and is answered once an orchestrator runs.
        """
        if self._started is None:
            return None
        what = f"the start of run {self.run_id}"
        event, entry = await self._desk.within(timeout, self._started.verdict, what, NoVerdict)
        outcomes.check(event, entry)
        return event

    async def forget(self) -> None:
        """Listen for nothing of this start any more: for who starts runs and leaves their ends to others."""
        if self._started is not None:
            (await self._desk.tail()).remove(self.run_id, self._started)

    async def result(self, timeout: float | None = None) -> Json:  # noqa: ASYNC109 - a caller's word for it
        """The run's output, once it has completed.

        Raises RunFailed when it ended otherwise, what ``accepted`` raises when it never began, Refused when there is no
        such run, Unavailable after ``timeout`` seconds.
        """
        what = f"the end of run {self.run_id}"
        if self._started is None:
            return await self._desk.within(timeout, self._found(), what)
        return await self._desk.within(timeout, self._ended(self._started), what)

    async def state(self) -> WorkflowRun:
        """The run as it stands; raises Refused when there is none.

        It reads one partition of the state topic: fit for looking, not for polling.
        """
        found = await (await self._desk.archive()).state(self.run_id)
        if found is None:
            raise RunMissing(
                f"there is no run {self.run_id}: it was never started, or was forgotten after its retention"
            )
        return found

    async def restart(self, version: str | None = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Run it again from its beginning, with the input that it had; only a run that has ended.

        ``version``: of its workflow; None: the newest. Raises Conflict when the run lives, Refused when there is none,
        or when the event of its start is not kept any more: start it with its input then, and ``if_exists="replace"``.
        """
        run = await self.state()
        begun = (entry for event in await self.history() for entry in event.entries if entry.kind in _BEGAN)
        inputs = [entry.data for entry in begun]
        if not inputs:
            raise Refused(
                f"the input of run {self.run_id} is not kept any more: start it anew, and replace the old one"
            )
        start = {"workflow": run.workflow, "version": version, "payload": inputs[-1], "if_exists": IfExists.REPLACE}
        await self._ask(RequestKind.START, asked, reason=reason, **start)

    async def retry_from(self, step: str, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Undo what ran from a node on, last first, and run it from there again; only a run that lives.

        ``step``: the path of the node, or its id where only one of that id is live. What is read again and the run has
        forgotten is told from its events. Conflict also when the run cannot go back there, which the reason explains,
        or when those events are not kept any more.
        """
        run = await self.state()
        archive = await self._desk.archive()
        deployed = await archive.definitions(run.workflow)
        payload = told.forgotten(run, await self.history(), deployed, step, self._desk.limits)
        await self._ask(RequestKind.REWIND, asked, reason=reason, step=step, payload=payload)

    async def view(self, name: str) -> Json:
        """What the run shows under a name; raises Refused when it shows nothing by that name, or there is no run."""
        run = await self.state()
        if name not in run.views:
            shown = ", ".join(sorted(run.views)) or "nothing"
            raise Refused(f"run {self.run_id} shows nothing by the name {name}; it shows {shown}")
        return payloads.decode(run.views[name])

    async def history(self) -> list[WorkflowEvent]:
        """What happened to the run so far, oldest first; empty when nothing is known of it.

        It reads one partition of the events topic: fit for looking, not for polling.
        """
        return await (await self._desk.archive()).events(self.run_id)

    async def follow(self) -> AsyncGenerator[WorkflowEvent]:
        """What happened to the run, then what happens to it, until it has ended. Close the iterator to stop earlier."""
        tail = await self._desk.tail()
        follower = Follower()
        tail.add(self.run_id, follower)
        try:
            before = await self.history()
            for event in before:
                yield event
            if any(outcomes.ended(event) for event in before):
                return
            while True:
                event = await follower.events.get()
                if isinstance(event, ActionbusError):
                    raise event
                if event in before:
                    continue
                yield event
                if outcomes.ended(event):
                    return
        finally:
            tail.remove(self.run_id, follower)

    async def _ended(self, outcome: Outcome) -> Json:
        event, entry = await asyncio.shield(outcome.verdict)
        outcomes.check(event, entry)
        if event.version == 0 and event.status.ended:
            return outcomes.output_of(await self.state())  # the same start was asked again after the run had ended
        return outcomes.output(await asyncio.shield(outcome.ended))

    async def _found(self) -> Json:
        outcome = Outcome(None)
        tail = await self._desk.tail()
        tail.add(self.run_id, outcome)
        try:
            run = await self.state()
            if run.status.ended:
                return outcomes.output_of(run)
            outcome.expect(run.incarnation)
            return outcomes.output(await outcome.ended)
        finally:
            tail.remove(self.run_id, outcome)
