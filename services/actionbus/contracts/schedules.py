"""What a schedule is: which workflow starts when, and what happens to firings that meet a live run or come late.

A schedule is a run of the workflow ``actionbus-schedule``, which every orchestrator knows. The run's id is the
schedule's, its input a ``Schedule`` as JSON. When it fires is a pure function of that; what it remembers between two
firings is its ``Standing``. It is told things by the signals ``trigger``, ``backfill`` and ``update``.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final, Self, TypeVar

from pydantic import BeforeValidator, Field, JsonValue, ValidationError, model_validator

from actionbus.contracts import cron, identifiers, moments
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.part import Part
from actionbus.contracts.payloads import Json

WORKFLOW: Final = "actionbus-schedule"
NODE: Final = "schedule"
TRIGGER: Final = "trigger"
BACKFILL: Final = "backfill"
UPDATE: Final = "update"
SIGNALS: Final = (TRIGGER, BACKFILL, UPDATE)
LATE_MS: Final = 10_000  # least window for late firings: a shard that changes hands is away for about as long
LONGEST: Final = 1_000  # characters of what is said of mistakes: it goes into an event
RECENT: Final = 10  # firings that are remembered
STARTED: Final = "STARTED"
REFUSED: Final = "REFUSED"

P = TypeVar("P", bound=Part)


def _moment(value: Json) -> int:
    return moments.reachable(moments.moment(value))


Moment = Annotated[int, BeforeValidator(_moment)]


class Overlap(StrEnum):
    """What happens to a firing while the run of an earlier one is live."""

    SKIP = "skip"
    """It starts nothing."""
    QUEUE = "queue"
    """It waits for the end of that run; one waits, further ones start nothing."""
    CANCEL_OTHER = "cancel_other"
    """That run is cancelled, and this one starts once it has ended, in place of one that waits for that."""
    ALLOW = "allow"
    """It starts beside it, and nobody waits for its end."""


class Schedule(Part):
    """When a workflow is started, and with what. Moments are RFC 3339 text or epoch milliseconds."""

    workflow: str = Field(description="The workflow that is started.")
    version: str | None = Field(default=None, description="Null: the newest that is deployed at each firing.")
    input: JsonValue = None
    time_as: str | None = Field(
        default=None, description="The key of the input under which a run finds the time that it is for, as RFC 3339."
    )
    cron: str | None = Field(default=None, description="Five fields, or six with the second first.")
    every_ms: int | None = Field(
        default=None, ge=1_000, description="In place of cron: an interval, counted from start_at, else from 1970."
    )
    time_zone: str = Field(default="UTC", description="Of cron: a name such as Europe/Berlin.")
    start_at: Moment | None = Field(default=None, description="No firing before it.")
    end_at: Moment | None = Field(default=None, description="No firing after it; the schedule completes.")
    overlap: Overlap = Overlap.SKIP
    catch_up_ms: int = Field(
        default=3_600_000, ge=LATE_MS, description="How late a firing may be; one that is later starts nothing."
    )
    jitter_ms: int = Field(
        default=0,
        ge=0,
        le=86_400_000,
        description="Runs begin up to so much later, each by an amount that its id decides.",
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        identifiers.name("workflow", self.workflow)
        if self.version is not None:
            identifiers.version(self.version)
        if self.workflow == WORKFLOW:
            raise PayloadRefused("a schedule cannot start schedules: name a workflow of yours")
        if (self.cron is None) == (self.every_ms is None):
            raise PayloadRefused("say either cron or every_ms")
        if self.time_as is not None and not isinstance(self.input, dict):
            raise PayloadRefused("time_as needs an input that is an object: that is where the time is put")
        cron.zone(self.time_zone)
        if self.cron is not None:
            cron.check(self.cron)
        if self.start_at is not None and self.end_at is not None and self.end_at < self.start_at:
            raise PayloadRefused("end_at is before start_at")
        if self.next_after(0) is None:
            raise PayloadRefused("it never fires: see cron, start_at and end_at")
        return self

    def next_after(self, after: int) -> int | None:
        """The first firing after a moment, both epoch milliseconds; None: there is none."""
        if self.start_at is not None:
            after = max(after, self.start_at - 1)
        if self.cron is not None:
            found = cron.next_after(self.cron, self.time_zone, after)
        else:
            first, every = self.start_at or 0, self.every_ms or 1
            found = first + max(0, (after - first) // every + 1) * every
        if found is None or not moments.sayable(found) or (self.end_at is not None and found > self.end_at):
            return None
        return found

    def firings(self, after: int) -> Iterator[int]:
        """Every firing after a moment, in order."""
        moment = self.next_after(after)
        while moment is not None:
            yield moment
            moment = self.next_after(moment)

    def passed(self, since: int, before: int, most: int) -> int:
        """How many firings there are from ``since`` on and before ``before``, counted up to ``most``."""
        number = 0
        for moment in self.firings(since - 1):
            if moment >= before or number == most:
                break
            number += 1
        return number

    def value(self, moment: int) -> Json:
        """The input of the run of a firing."""
        if self.time_as is None or not isinstance(self.input, dict):
            return self.input
        return self.input | {self.time_as: moments.text(moment)}


class Trigger(Part):
    """The payload of ``trigger``: fire now, beside the times of the schedule."""

    overlap: Overlap | None = Field(default=None, description="Null: that of the schedule.")


class Backfill(Part):
    """The payload of ``backfill``: fire for every time of the schedule in a span that is past."""

    since: Moment = Field(alias="from", description="The first moment of the span.")
    until: Moment = Field(alias="to", description="The last moment of the span.")
    together: bool = Field(default=False, description="All at the same time; else each once the one before has ended.")


class Firing(Part):
    """One time at which a run is due."""

    at: int = Field(description="The time that it is for, epoch milliseconds.")
    run_id: str
    begins: int | None = Field(default=None, description="When its first step is due; null: at once.")


class Fired(Firing):
    """A firing that asked for its run."""

    status: str = Field(default=STARTED, description="STARTED, REFUSED, or how the run ended if that was waited for.")
    reason: str | None = None


class Standing(Part):
    """What a schedule remembers. Its size does not depend on how often it has fired."""

    next: int | None = Field(description="The next firing, epoch milliseconds; null: there is none any more.")
    live: str | None = Field(default=None, description="The run whose end is waited for.")
    cancelled: bool = Field(default=False, description="Whether that run was asked to cancel.")
    waiting: Firing | None = Field(default=None, description="What fires once that run has ended.")
    backfill: Backfill | None = Field(default=None, description="What is left of a span that is filled.")
    started: int = Field(default=0, description="Runs that were asked for.")
    refused: int = Field(default=0, description="Of these, those that could not begin.")
    skipped: int = Field(default=0, description="Firings that met a live run.")
    missed: int = Field(default=0, description="Firings that came too late; of a long time at least so many.")
    triggered: int = Field(default=0, description="How often it was triggered.")
    recent: tuple[Fired, ...] = Field(default=(), description="The latest firings that asked for runs, oldest first.")


def read(model: type[P], value: Json, *, stored: bool = False) -> P:
    """A value as one of these; raises PayloadRefused with the place of every mistake.

    ``stored``: it was taken before, maybe by a newer version that knows more of it than this one.
    """
    try:
        return model.model_validate(value, extra="ignore" if stored else None)
    except ValidationError as error:
        said = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}".lstrip(": ") for each in error.errors()]
        words = "; ".join(each.replace("Value error, ", "") for each in said)
        raise PayloadRefused(words if len(words) <= LONGEST else f"{words[:LONGEST]} ...") from error


def schedule(value: Json) -> Schedule:
    """The input of a schedule, read; raises PayloadRefused for one that can never fire as it is written."""
    return read(Schedule, value)


def check_id(schedule_id: str) -> str:
    """Return the id of a schedule unchanged; raise IdentifierRefused where its runs could have none."""
    identifiers.firing_run_id(identifiers.run_id(schedule_id), moments.LATEST_MS, triggered=10**9)
    return schedule_id
