"""Schedules in a caller's hand: how one is written, what may be asked of it, and how it stands.

A schedule is a run, so whatever is known of runs holds for it: its history, its pauses, its end.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal, Unpack

from actionbus.client.asking import milliseconds, written
from actionbus.client.interface import Asked, HasGraph, Runs, StartedRun
from actionbus.contracts import payloads, schedules
from actionbus.contracts.errors import Conflict
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.requests import IfExists
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.contracts.schedules import Overlap, Schedule, Standing
from actionbus.contracts.validation import Schema
from actionbus.sdk import duration
from actionbus.sdk.duration import Duration

WhileLive = Overlap | Literal["skip", "queue", "cancel_other", "allow"]


def schedule(
    workflow: str | HasGraph,
    input: Any = None,  # noqa: A002 - the workflow's input, as its author calls it
    *,
    cron: str | None = None,
    every: Duration | None = None,
    time_zone: str = "UTC",
    start_at: datetime | None = None,
    end_at: datetime | None = None,
    overlap: WhileLive = Overlap.SKIP,
    catch_up: Duration = "1h",
    jitter: Duration = 0,
    time_as: str | None = None,
    version: str | None = None,
) -> Schedule:
    """When a workflow, given by name (or ``name@version``) or as code, is started, and with what.

    ``cron``: minute hour day month weekday, or with the second before them, in ``time_zone``; or ``every``: an
    interval, counted from ``start_at``, else from 1970. ``overlap``: what happens to a firing while the run of an
    earlier one is live. ``catch_up``: how late a firing may be, after a pause or when nothing ran. ``jitter``: runs
    begin up to so much later. ``time_as``: the key of the input under which a run finds the time that it is for.
    ``version``: that of the workflow; the newest at each firing when not given. Raises PayloadRefused when it could
    never fire as it is written.
    """
    given = payloads.decode(written(input, DEFAULT_LIMITS.payload_bytes, "the input"))
    name, _, named = workflow.partition("@") if isinstance(workflow, str) else (workflow.graph.name, "", "")
    said = {
        "workflow": name,
        "version": version or named or None,
        "input": given,
        "time_as": time_as,
        "cron": cron,
        "every_ms": None if every is None else duration.milliseconds(every, what="every"),
        "time_zone": time_zone,
        "start_at": None if start_at is None else milliseconds(start_at),
        "end_at": None if end_at is None else milliseconds(end_at),
        "overlap": overlap,
        "catch_up_ms": duration.milliseconds(catch_up, what="catch_up"),
        "jitter_ms": duration.milliseconds(jitter, what="jitter"),
    }
    made = schedules.schedule(said)
    if not isinstance(workflow, str):
        Schema(workflow.graph.input_schema).complete(made.value(made.start_at or 0))
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """How a schedule stands."""

    schedule_id: str
    status: RunStatus
    schedule: Schedule | None
    """None once it has ended."""
    standing: Standing | None
    """None once it has ended, and before it has begun."""

    def upcoming(self, number: int = 5) -> list[int]:
        """The next firings, epoch milliseconds."""
        if self.schedule is None or self.standing is None or self.standing.next is None:
            return []
        return list(islice(self.schedule.firings(self.standing.next - 1), number))


class ScheduleHandle:
    """A schedule by its id. Every verb returns when it was carried out, and raises what those of a run raise."""

    def __init__(self, run: StartedRun) -> None:
        self.run = run

    @property
    def schedule_id(self) -> str:
        """The schedule's id, which is that of its run."""
        return self.run.run_id

    async def trigger(self, overlap: WhileLive | None = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Fire now; Conflict when a live run is in the way and ``overlap``, else the schedule's, starts nothing."""
        payload = {} if overlap is None else {"overlap": overlap}
        await self.run.signal(schedules.TRIGGER, payload, reason, **asked)

    async def backfill(
        self, since: datetime, until: datetime, *, together: bool = False, reason: str = "", **asked: Unpack[Asked]
    ) -> None:
        """Fire for every time in a span that is past: each once the one before has ended, or all ``together``.

        Their runs have the ids that their times have anyway, so one that is there is not doubled.
        """
        span = {"from": milliseconds(since), "to": milliseconds(until), "together": together}
        await self.run.signal(schedules.BACKFILL, span, reason, **asked)

    async def update(self, schedule: Schedule, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Become another schedule from now on."""
        await self.run.signal(schedules.UPDATE, schedule.model_dump(mode="json"), reason, **asked)

    async def pause(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Start nothing until it is resumed."""
        await self.run.pause(reason, **asked)

    async def resume(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Go on; what the pause held back fires if it is not too late."""
        await self.run.resume(reason, **asked)

    async def delete(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """End the schedule. Its live run goes on."""
        await self.run.terminate(reason, **asked)

    async def state(self) -> ScheduleState:
        """How it stands; raises Refused when there is none, Conflict when the run of that id is no schedule."""
        return state_of(await self.run.state())


class Scheduling(Runs):
    """Creates schedules and finds them again, over whatever way runs are started."""

    async def create_schedule(
        self,
        schedule_id: str,
        schedule: Schedule,
        *,
        if_exists: IfExists | Literal["reject", "return", "replace"] = IfExists.REJECT,
        reason: str = "",
        **asked: Unpack[Asked],
    ) -> ScheduleHandle:
        """Let a schedule begin under an id; raises what ``start`` raises, Conflict when the id is taken."""
        given = schedule.model_dump(mode="json")
        name = schedules.check_id(schedule_id)
        run = await self.start(schedules.WORKFLOW, given, run_id=name, if_exists=if_exists, reason=reason, **asked)
        return ScheduleHandle(run)

    def schedule(self, schedule_id: str) -> ScheduleHandle:
        """A schedule that was created before or elsewhere."""
        return ScheduleHandle(self.handle(schedule_id))


def state_of(run: WorkflowRun) -> ScheduleState:
    """How the schedule stands whose run this is."""
    if run.workflow != schedules.WORKFLOW:
        raise Conflict(f"run {run.run_id} is no schedule but a run of {run.workflow}")
    scope = next((each for each in run.scopes if each.path == schedules.NODE), None)
    given, kept = run.input, None if scope is None else scope.data
    return ScheduleState(
        schedule_id=run.run_id,
        status=run.status,
        schedule=None if given is None else schedules.read(Schedule, payloads.decode(given), stored=True),
        standing=None if kept is None else schedules.read(Standing, payloads.decode(kept), stored=True),
    )
