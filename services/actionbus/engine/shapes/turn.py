"""One look of a schedule at what is due: runs are asked for, and what is not fired is told.

Which moments fire follows from the schedule and the last firing alone; the time only decides what is due by now. A turn
keeps within the limits of a transition, however long it slept; what is left follows in the next one.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from actionbus.contracts import identifiers, moments, payloads, schedules
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import ChildReport, RequestKind, WorkflowRequest
from actionbus.contracts.run import Parent, RunStatus, TimerKind
from actionbus.contracts.schedules import RECENT, Fired, Firing, Overlap, Schedule, Standing
from actionbus.engine import failure
from actionbus.engine.shapes import child

if TYPE_CHECKING:  # the draft uses the definition, which uses the shapes, one of which uses this
    from actionbus.engine.draft import Draft

REASON_BYTES: Final = 400  # of what is remembered of a refusal; the event has all of it


class Turn:
    """A schedule being looked at. ``rest`` stores what it became."""

    def __init__(self, draft: "Draft", path: str) -> None:
        """Raises PayloadRefused when the run's input is no schedule."""
        self.draft = draft
        self.path = path
        self.schedule = schedules.read(Schedule, payloads.decode(draft.input or b"null"), stored=True)
        scope = draft.scopes.get(path)
        if scope is None:
            self.standing = Standing(next=self.schedule.next_after(draft.now))
        else:
            self.standing = schedules.read(Standing, payloads.decode(scope.data or b"null"), stored=True)
        self._limits = draft.definition.limits
        self._looked = 0
        self._started = 0
        self._bytes = 0

    def go(self) -> None:
        """Fire what is due."""
        self._pass_over()
        if self.standing.live is None and self.standing.waiting is not None:
            firing = self.standing.waiting
            self._note(waiting=None)
            self._start(firing, waits=True)
        while self._due and self._room:
            at = self.standing.next or 0
            self._looked += 1
            self._note(next=self.schedule.next_after(at))
            self.fire(self._firing(at), self.schedule.overlap)
        while self._fills and self._room:
            self._fill()

    def rest(self) -> None:
        """Store what is remembered, and wait: for the next firing, for the end of a run, or for nothing any more."""
        standing = self.standing
        self.keep()
        self.draft.disarm(self.path)
        if self._due or self._fills:
            self.draft.arm(TimerKind.WAKE, self.draft.now + 1, self.path)
        elif standing.next is not None:
            self.draft.arm(TimerKind.WAKE, standing.next, self.path)
        elif standing.live is None and standing.waiting is None and standing.backfill is None:
            self.draft.close(self.path)
            self.draft.finish(self.path)

    def keep(self) -> None:
        """Store what is remembered."""
        self.draft.open(self.path, data=payloads.encode(self.standing.model_dump(mode="json")))

    # What it is told

    def heard(self, report: ChildReport) -> bool:
        """A run could not begin, or has ended; False: that is known, or nobody waited for it."""
        standing = self.standing
        known = next((each for each in standing.recent if each.run_id == report.run_id), None)
        refused = report.status is RunStatus.UNKNOWN
        waited_for = report.run_id == standing.live
        if report.status is RunStatus.RUNNING or not (waited_for or refused):
            return False
        if not waited_for and known is not None and known.status != schedules.STARTED:
            return False
        child.tell_end(self.draft, self.path, report)
        if known is not None:
            reason = None if report.error is None else failure.cut(report.error.message, REASON_BYTES)
            ended = Fired(
                at=known.at, run_id=known.run_id, status=schedules.REFUSED if refused else report.status, reason=reason
            )
            self._note(recent=tuple(ended if each is known else each for each in standing.recent))
        if refused:
            self._note(refused=standing.refused + 1)
        if waited_for:
            self._note(live=None, cancelled=False)
        return True

    def trigger(self, overlap: Overlap | None) -> str | None:
        """Fire now; the reason when a live run is in the way."""
        overlap = overlap or self.schedule.overlap
        blocked = self._blocked(overlap)
        if blocked is not None:
            return f"{blocked}, and the overlap is {overlap}: choose another one for this firing, or wait"
        number = self.standing.triggered + 1
        run_id = identifiers.firing_run_id(self.draft.run.run_id, self.draft.now, triggered=number)
        self._note(triggered=number)
        self.fire(Firing(at=self.draft.now, run_id=run_id), overlap)
        return None

    def update(self, schedule: Schedule, given: bytes) -> None:
        """Become another schedule from now on. What is still due of the old one is told as missed."""
        self._pass_over(all_of_it=True)
        self.schedule = schedule
        self.draft.input = given
        self._note(next=schedule.next_after(self.draft.now))

    def backfill(self, span: schedules.Backfill) -> str | None:
        """Fire for a span that is past; the reason when that cannot be."""
        if self.standing.backfill is not None:
            return "another span is being filled: ask again once that is done"
        if span.until < span.since:
            return "to is before from"
        if span.until > self.draft.now:
            return f"the span ends at {moments.text(span.until)}, which is not past: those firings come by themselves"
        self._note(backfill=span)
        return None

    # What it does

    def fire(self, firing: Firing, overlap: Overlap) -> None:
        """Ask for a run, or do with the firing what is said for one that meets a live run."""
        standing = self.standing
        if overlap is Overlap.ALLOW or standing.live is None:
            self._start(firing, waits=overlap is not Overlap.ALLOW)
        elif (blocked := self._blocked(overlap)) is not None:
            self._skip(firing, blocked)
        else:
            if standing.waiting is not None:
                self._skip(standing.waiting, "a later firing takes its place")
            self._note(waiting=firing)
            if overlap is Overlap.CANCEL_OTHER and not standing.cancelled:
                self._cancel(standing.live)

    def _blocked(self, overlap: Overlap) -> str | None:
        """Why a firing would start nothing."""
        standing = self.standing
        full = overlap is Overlap.QUEUE and standing.waiting is not None
        if standing.live is not None and (overlap is Overlap.SKIP or full):
            return f"the run {standing.live} is not over" + (" and another one waits" if full else "")
        return None

    def _pass_over(self, *, all_of_it: bool = False) -> None:
        """Give up the firings that are too late, however many, in one step and one entry."""
        first, oldest = self.standing.next, self.draft.now + 1
        if not all_of_it:
            oldest -= 1 + self.schedule.catch_up_ms
        if first is None or first >= oldest:
            return
        most = self._limits.schedule_times
        number = self.schedule.passed(first, oldest, most)
        told: dict[str, Any] = {"number": number, "at_least": number == most, "from": first, "before": oldest}
        self.draft.note(EntryKind.FIRINGS_MISSED, step=self.path, data=payloads.encode(told))
        self._note(next=self.schedule.next_after(oldest - 1), missed=self.standing.missed + number)

    @property
    def _due(self) -> bool:
        return self.standing.next is not None and self.standing.next <= self.draft.now

    @property
    def _fills(self) -> bool:
        span = self.standing.backfill
        return span is not None and (span.together or self.standing.live is None)

    @property
    def _room(self) -> bool:
        """Whether the transition may hold one more firing."""
        limits = self._limits
        return (
            self._looked < limits.schedule_times
            and self._started < limits.schedule_firings
            and self._bytes < limits.batch_bytes
        )

    def _fill(self) -> None:
        """The next firing of a span that is past; none is left: the span is done."""
        span = self.standing.backfill
        assert span is not None  # noqa: S101 - asked before
        at = self.schedule.next_after(span.since - 1)
        self._looked += 1
        if at is None or at > span.until:
            self._note(backfill=None)
            return
        self._note(backfill=span.model_copy(update={"since": at + 1}))
        self.fire(self._firing(at), Overlap.ALLOW if span.together else Overlap.QUEUE)

    def _firing(self, at: int) -> Firing:
        run_id = identifiers.firing_run_id(self.draft.run.run_id, at)
        begins = None
        if self.schedule.jitter_ms:
            share = int.from_bytes(blake2b(run_id.encode(), digest_size=8).digest())
            begins = at + share % (self.schedule.jitter_ms + 1)
        return Firing(at=at, run_id=run_id, begins=begins)

    def _start(self, firing: Firing, *, waits: bool) -> None:
        standing, schedule = self.standing, self.schedule
        payload = payloads.encode(schedule.value(firing.at))
        request = self._request(RequestKind.START, firing.run_id, waits=waits)
        self.draft.sent.append(
            request.replace(workflow=schedule.workflow, version=schedule.version, payload=payload, due_at=firing.begins)
        )
        told = {"run_id": firing.run_id, "workflow": schedule.workflow}
        self.draft.note(EntryKind.CHILD_STARTED, step=self.path, data=payloads.encode(told))
        self._started += 1
        self._bytes += len(payload)
        self._note(
            live=firing.run_id if waits else standing.live,
            started=standing.started + 1,
            recent=(*standing.recent, Fired(at=firing.at, run_id=firing.run_id))[-RECENT:],
        )

    def _skip(self, firing: Firing, why: str) -> None:
        data = payloads.encode({"run_id": firing.run_id, "at": firing.at})
        self.draft.note(EntryKind.FIRING_SKIPPED, step=self.path, data=data, reason=why)
        self._note(skipped=self.standing.skipped + 1)

    def _cancel(self, run_id: str) -> None:
        request = self._request(RequestKind.CANCEL, run_id, waits=True)
        self.draft.sent.append(request.replace(reason="the next firing of its schedule has come"))
        told = {"run_id": run_id, "asked": RequestKind.CANCEL}
        self.draft.note(EntryKind.CHILD_GIVEN_UP, step=self.path, data=payloads.encode(told))
        self._note(cancelled=True)

    def _request(self, kind: RequestKind, run_id: str, *, waits: bool) -> WorkflowRequest:
        run = self.draft.run
        key = identifiers.step_key(run.run_id, run.incarnation, self.path)
        return WorkflowRequest(
            request_id=f"{key}/{run_id}/{kind}",
            run_id=run_id,
            kind=kind,
            parent=Parent(
                run_id=run.run_id, incarnation=run.incarnation, path=self.path, waits=waits, depth=1 if waits else 0
            ),
            requested_by=f"the schedule {run.run_id}",
            requested_at=self.draft.now,
        )

    def _note(self, **changes: Any) -> None:
        self.standing = self.standing.model_copy(update=changes)
