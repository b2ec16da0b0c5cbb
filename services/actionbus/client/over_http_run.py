"""One run in a caller's hand, over HTTP: what may be asked of it, its result, its state and its history."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Unpack
from urllib.parse import quote

from actionbus.client import streaming, unfolding
from actionbus.client.asking import milliseconds, written
from actionbus.client.exchange import WAIT_SECONDS, Exchange
from actionbus.client.interface import Asked, StartedRun
from actionbus.contracts import identifiers, payloads
from actionbus.contracts.errors import RunFailed, RunMissing, Unavailable
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.payloads import Json
from actionbus.contracts.run import RunStatus, WorkflowRun

PAGE: Final = 500  # events of one page of a history


class HttpRun(StartedRun):
    """A run by its id. Made by ``HttpClient.start`` and ``HttpClient.handle``; usable while its client is open.

    Its verbs raise what those of a run over Kafka raise.
    """

    def __init__(
        self,
        exchange: Exchange,
        run_id: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        start: tuple[str, Mapping[str, Any], Asked] | None = None,
    ) -> None:
        self._exchange = exchange
        self._run_id = run_id
        self._limits = limits
        self._path = f"/v1/runs/{quote(run_id, safe='')}"
        self._start = start
        """What is asked again for the verdict on a start that nobody waited for."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self._run_id

    def __repr__(self) -> str:
        return f"HttpRun({self.run_id!r})"

    async def result(self, timeout: float | None = None) -> Json:  # noqa: ASYNC109 - a caller's word for it
        """The run's output, once it has completed; raises what ``RunHandle.result`` raises."""
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        if self._start is not None:
            path, body, asked = self._start
            within = self._exchange.seconds if timeout is None else timeout
            await self._exchange.ask(path, body, {**asked, "wait": True, "within": within})
            self._start = None
        while True:
            left = WAIT_SECONDS if until is None else until - loop.time()
            wait = round(min(max(left, 0.0), WAIT_SECONDS), 3)
            status, found = await self._exchange.get(
                f"{self._path}/result", {"wait": wait}, within=self._exchange.seconds if until is None else max(left, 1)
            )
            if status != HTTPStatus.ACCEPTED:
                return self._output(found)
            if until is not None and loop.time() >= until:
                raise Unavailable(f"the end of run {self.run_id} was not seen within {timeout:g} s")

    async def state(self) -> WorkflowRun:
        """The run as it stands; raises RunMissing when there is none."""
        return unfolding.run((await self._exchange.get(f"{self._path}/state"))[1])

    async def view(self, name: str) -> Json:
        """What the run shows under a name; raises Refused when it shows nothing by that name."""
        return (await self._exchange.get(f"{self._path}/views/{quote(name, safe='')}"))[1]

    async def history(self) -> list[WorkflowEvent]:
        """What happened to the run, oldest first, as far as it has reached the views: some moments may be missing."""
        found: list[WorkflowEvent] = []
        after = 0
        while True:
            try:
                _, page = await self._exchange.get(f"{self._path}/history", {"after": after, "limit": PAGE})
            except RunMissing:
                return found
            found += [unfolding.event(each) for each in page["items"]]
            if page.get("next_after") is None:
                return found
            after = page["next_after"]

    async def follow(self) -> AsyncGenerator[WorkflowEvent]:
        """What happened to the run, then what happens to it, until it has ended.

        After a cut it goes on where it was, for as long as the gateway comes back in time; then it raises Unavailable.
        """
        async for each in streaming.events(self._exchange, f"{self._path}/events"):
            yield unfolding.event(each)

    async def signal(self, name: str, payload: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Hand the run a named value; it is kept until something waits for it."""
        await self._ask(f"signals/{quote(name, safe='')}", asked, reason, payload=self._json(payload, name))

    async def update(self, name: str, payload: Any = None, reason: str = "", **asked: Unpack[Asked]) -> Json:
        """Hand the run a named value that it answers, and return the answer."""
        value = self._json(payload, name)
        return (await self._ask(f"updates/{quote(name, safe='')}", asked, reason, payload=value)).get("answer")

    async def complete_task(self, path: str, form: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Hand in the form that a person was asked for at a path."""
        await self._ask("complete-task", asked, reason, path=path, form=self._json(form, "the form"))

    async def assign_task(self, path: str, who: str | None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Ask somebody else for what a person was asked for at a path; None: anybody."""
        await self._ask("assign-task", asked, reason, path=path, who=who)

    async def cancel(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Stop the run and undo what it did."""
        await self._ask("cancel", asked, reason)

    async def terminate(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """End the run at once and undo nothing."""
        await self._ask("terminate", asked, reason)

    async def pause(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Schedule nothing new until the run is resumed."""
        await self._ask("pause", asked, reason)

    async def resume(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Go on after a pause, and try every step again that waits for an operator."""
        await self._ask("resume", asked, reason)

    async def restart(self, version: str | None = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Run it again from its beginning, with the input that it had; only a run that has ended."""
        await self._ask("restart", asked, reason, version=version)

    async def migrate(
        self, version: str, names: Mapping[str, str] | None = None, reason: str = "", **asked: Unpack[Asked]
    ) -> None:
        """Let the run go on under another deployed version; ``names`` gives nodes their new ids."""
        await self._ask("migrate", asked, reason, version=identifiers.version(version), names=dict(names or {}))

    async def retry_step(self, step: str, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Try a step, or its undo, again at once."""
        await self._ask("retry-step", asked, reason, step=step)

    async def retry_from(self, step: str, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Undo what ran from a node on, last first, and run it from there again; only a run that lives."""
        await self._ask("retry-from", asked, reason, step=step)

    async def skip_step(self, step: str, output: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Go on as if the step had given this output."""
        await self._ask("skip-step", asked, reason, step=step, output=self._json(output, "the output"))

    async def complete_step(self, step: str, output: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Say that somebody did by hand what the step was to do."""
        await self._ask("complete-step", asked, reason, step=step, output=self._json(output, "the output"))

    async def change_timer(self, path: str, until: datetime, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Let what waits at a path wait until another time."""
        milliseconds(until)  # refuses a time without its zone
        await self._ask("change-timer", asked, reason, path=path, until=until.isoformat())

    async def _ask(self, verb: str, asked: Asked, reason: str, **body: Any) -> dict[str, Any]:
        return await self._exchange.ask(f"{self._path}/{verb}", {"reason": reason, **body}, asked)

    def _json(self, value: Any, what: str) -> Json:
        return payloads.decode(written(value, self._limits.payload_bytes, what))

    def _output(self, found: Mapping[str, Any]) -> Json:
        if found["status"] == RunStatus.COMPLETED:
            return found.get("output")
        error: Mapping[str, Any] = found.get("error") or {}
        said = (error.get("type"), error.get("message"))
        why = ": ".join(str(part) for part in said if part) or "no reason was given"
        raise RunFailed(self.run_id, found["status"], why)
