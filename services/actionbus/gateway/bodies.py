"""What is sent to the API. A field that is not known is refused, so a misspelt one is never ignored."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from actionbus.contracts import tokens
from actionbus.contracts.run import RunStatus
from actionbus.contracts.schedules import Schedule
from actionbus.gateway.grammar import Cursor, ErrorType, RunName, SignalName, StepPath, Version, WorkflowName
from actionbus.visibility.filters import RunFilter

TOKEN: Final = tokens.write("order-17:1c/charge/1", "0" * 32)
"""An example of one: what it stands for answers nothing."""
Words = Annotated[str, Field(max_length=1_000)]


def _like(*examples: dict[str, Any]) -> ConfigDict:
    """Of a body: it is like these examples, and has no other fields than it says."""
    return ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": list[JsonValue](examples)})


class Body(BaseModel):
    """Every request that changes something may say why, and for whom."""

    model_config = _like({"reason": "ordered twice", "requested_by": "ada"})

    reason: Words = Field(default="", description="Why it is asked, for the history.")
    requested_by: Words = Field(default="", description="Who asks, for the history.")


class Start(Body):
    """A run to start."""

    model_config = _like({"workflow": "user-signup", "input": {"email": "ada@example.com", "name": "Ada"}})

    workflow: WorkflowName = Field(description="The name of a deployed workflow.")
    version: Version | None = Field(default=None, description="Null: the newest that is deployed.")
    input: Any = Field(default=None, description="Fits the workflow's input schema.")
    run_id: RunName | None = Field(default=None, description="Chosen by the caller; null: made here.")
    if_exists: Literal["reject", "return", "replace"] = Field(
        default="reject", description="Where the run id is taken: refuse, mean the run that is there, or replace it."
    )
    begin_at: AwareDatetime | None = Field(default=None, description="When its first step is due; null: at once.")
    debounce_seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="Begin so much after the latest of several such starts."
    )
    priority: int = Field(default=0, ge=-100, le=100, description="Who goes first under a limit, higher first.")
    partition_key: str | None = Field(
        default=None, max_length=200, description="Runs with the same one share a shard, and so one count of a limit."
    )


class SignalWithStart(Body):
    """A signal, and the run that is started first when there is none."""

    model_config = _like(
        {
            "workflow": "basket",
            "run_id": "basket-17",
            "signal": "add",
            "payload": {"name": "lamp", "price": 40},
            "input": 100,
        }
    )

    workflow: WorkflowName
    version: Version | None = None
    run_id: RunName
    signal: SignalName
    payload: Any = None
    input: Any = None


class Signal(Body):
    """What a signal or an update says."""

    model_config = _like({"payload": {"name": "lamp", "price": 40}})

    payload: Any = None


class Restart(Body):
    """An ended run, from its beginning."""

    model_config = _like({"reason": "the supplier delivers again"}, {"version": "2"})

    version: Version | None = Field(default=None, description="Null: the newest that is deployed.")


class Migrate(Body):
    """A live run, on to another version."""

    model_config = _like({"version": "2", "names": {"reserve": "reserve-stock"}})

    version: Version
    names: dict[str, str] = Field(default_factory=dict, description="New ids of nodes that have another one there.")


class OfStep(Body):
    """A step of a run."""

    model_config = _like({"step": "send-mail", "reason": "the mail server is back"})

    step: StepPath = Field(description="Its path.")


class WithOutput(OfStep):
    """A step of a run, and what it gives."""

    model_config = _like({"step": "send-mail", "output": {"sent": True}, "reason": "sent by hand"})

    output: Any = None


class Timer(Body):
    """Something that waits for a time."""

    model_config = _like({"path": "cool-off", "until": "2027-01-01T12:00:00Z"})

    path: StepPath
    until: AwareDatetime


class Form(Body):
    """What a person hands in."""

    model_config = _like({"path": "approval", "form": {"granted": True}})

    path: StepPath
    form: Any = None


class Assignment(Body):
    """Who is asked now."""

    model_config = _like({"path": "approval", "who": "bob"})

    path: StepPath
    who: str | None = Field(default=None, max_length=200, description="Null: anybody.")


class StepDone(BaseModel):
    """The answer of whoever has an attempt's token."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"token": TOKEN, "output": {"paid": True}}]}
    )

    token: str
    output: Any = None


class StepFailed(BaseModel):
    """That an attempt failed."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"token": TOKEN, "error_type": "Declined", "message": "the card has expired", "retryable": False}
            ]
        },
    )

    token: str
    error_type: ErrorType
    message: str = ""
    retryable: bool = True
    details: Any = None


class StepBeat(BaseModel):
    """That an attempt is still worked on."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [{"token": TOKEN, "details": {"page": 3}}]}
    )

    token: str
    details: Any = None


class Filter(BaseModel):
    """Runs for which all of this holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: list[RunStatus] = Field(default_factory=list[RunStatus], description="One of these.")
    workflow: str | None = None
    version: str | None = None
    started_after: AwareDatetime | None = None
    started_before: AwareDatetime | None = None
    updated_after: AwareDatetime | None = None
    updated_before: AwareDatetime | None = None
    error: str | None = Field(default=None, min_length=1, max_length=200, description="Text in the error.")
    attribute: list[Annotated[str, Field(pattern="^[^:]+:.*$")]] = Field(
        default_factory=list[str], max_length=10, description="`name:value` of what the workflow lets be searched."
    )
    incident: bool | None = Field(default=None, description="Whether it waits for an operator.")
    parent: str | None = Field(default=None, description="The run that started it.")
    live: bool | None = Field(default=None, description="Whether it has not ended.")

    def asked(self) -> RunFilter:
        """As the visibility database wants it."""
        return RunFilter(
            statuses=tuple(self.status),
            workflow=self.workflow,
            version=self.version,
            started_after=_milliseconds(self.started_after),
            started_before=_milliseconds(self.started_before),
            updated_after=_milliseconds(self.updated_after),
            updated_before=_milliseconds(self.updated_before),
            error=self.error,
            attributes=tuple((name, value) for name, _, value in (each.partition(":") for each in self.attribute)),
            incident=self.incident,
            parent=self.parent,
            live=self.live,
        )


class Bulk(Body):
    """Something asked of every run that fits a filter."""

    model_config = _like({"filter": {"workflow": "user-signup", "incident": True}, "dry_run": True})

    filter: Filter
    version: Version | None = Field(default=None, description="restart, migrate: the version.")
    names: dict[str, str] = Field(default_factory=dict, description="migrate: new ids of nodes.")
    limit: int = Field(default=100, ge=1, le=1_000, description="Runs at most; the answer says where to go on.")
    cursor: Cursor | None = None
    dry_run: bool = Field(default=False, description="Only say which runs it would be asked of.")


class NewSchedule(Body):
    """A schedule to create."""

    model_config = _like(
        {
            "schedule_id": "nightly",
            "schedule": {
                "workflow": "report",
                "input": None,
                "cron": "0 3 * * *",
                "time_zone": "Europe/Berlin",
            },
        }
    )

    schedule_id: RunName
    schedule: Schedule
    if_exists: Literal["reject", "return", "replace"] = "reject"


class ChangedSchedule(Body):
    """What a schedule is from now on."""

    model_config = _like({"schedule": {"workflow": "report", "input": None, "every_ms": 3600000}})

    schedule: Schedule


class Firing(Body):
    """A firing now."""

    model_config = _like({"overlap": "allow", "reason": "the figures were corrected"})

    overlap: Literal["skip", "queue", "cancel_other", "allow"] | None = Field(
        default=None, description="What happens when a run is live; null: what the schedule says."
    )


class Backfill(Body):
    """Firings of times that are past."""

    model_config = _like({"since": "2026-11-01T00:00:00Z", "until": "2026-11-02T00:00:00Z", "together": True})

    since: AwareDatetime
    until: AwareDatetime
    together: bool = False


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
