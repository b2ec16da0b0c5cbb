"""What a client can do, whatever way it takes to the orchestrator. How it is done over Kafka is in `over_kafka`."""

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypedDict, Unpack

from actionbus.contracts.definitions import Graph
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import IfExists
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.schedules import Schedule
from actionbus.sdk.duration import Duration

if TYPE_CHECKING:
    from actionbus.client.scheduling import ScheduleHandle  # which stands on this interface


class HasGraph(Protocol):
    """A workflow as code: whatever has a graph, such as a decorated function."""

    @property
    def graph(self) -> Graph:
        """The workflow as data."""
        ...


class Asked(TypedDict, total=False):
    """What every request may say of itself."""

    requested_by: str
    """Who asks, for the history."""
    request_id: str | None
    """The same id asked again has one effect, so a caller that is not sure asks again with it."""
    wait: bool
    """False: return when the request is safely in the log, without the verdict."""
    within: float | None
    """Seconds that the verdict is waited for; those of the client when not given."""


class Starting(Asked, total=False):
    """What a start may say beside its workflow, input and id; ``Client.start`` tells what each means."""

    version: str | None
    if_exists: IfExists | Literal["reject", "return", "replace"]
    begin_at: datetime | None
    debounce: Duration | None
    priority: int
    partition_key: str | None
    reason: str
    trace: str | None
    """The W3C traceparent of what it is part of."""


class StartedRun(Protocol):
    """One run, by its id.

    What is asked of it is carried out when a verb returns. Each raises Conflict when the run does not allow it, because
    it has ended for example, and Refused when there is no such run.
    """

    @property
    def run_id(self) -> str:
        """The run's id."""
        ...

    async def result(self, timeout: float | None = None) -> Json:  # noqa: ASYNC109 - a caller's word for it
        """The run's output; raises RunFailed when it ends otherwise, Unavailable after ``timeout`` seconds."""
        ...

    async def signal(self, name: str, payload: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Hand the run a named value; it is kept until something waits for it."""
        ...

    async def update(self, name: str, payload: Any = None, reason: str = "", **asked: Unpack[Asked]) -> Json:
        """Hand the run a named value that it answers, and return the answer."""
        ...

    async def complete_task(self, path: str, form: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Hand in the form that a person was asked for at a path."""
        ...

    async def assign_task(self, path: str, who: str | None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Ask somebody else for what a person was asked for at a path."""
        ...

    async def cancel(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Stop the run and undo what it did."""
        ...

    async def terminate(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """End the run at once and undo nothing."""
        ...

    async def pause(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Schedule nothing new until the run is resumed."""
        ...

    async def resume(self, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Go on after a pause, and try every step again that waits for an operator."""
        ...

    async def retry_step(self, step: str, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Try a step, or its undo, again at once."""
        ...

    async def retry_from(self, step: str, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Undo what ran from a node on, and run it from there again."""
        ...

    async def skip_step(self, step: str, output: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Go on as if the step had given this output."""
        ...

    async def complete_step(self, step: str, output: Any = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Say that somebody did by hand what the step was to do."""
        ...

    async def change_timer(self, path: str, until: datetime, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Let what waits at a path wait until another time."""
        ...

    async def migrate(
        self, version: str, names: Mapping[str, str] | None = None, reason: str = "", **asked: Unpack[Asked]
    ) -> None:
        """Let the run go on under another deployed version; ``names`` gives nodes their new ids."""
        ...

    async def state(self) -> WorkflowRun:
        """The run as it stands; raises Refused when there is none."""
        ...

    async def restart(self, version: str | None = None, reason: str = "", **asked: Unpack[Asked]) -> None:
        """Run it again from its beginning, with the input that it had; only a run that has ended."""
        ...

    async def view(self, name: str) -> Json:
        """What the run shows under a name."""
        ...

    async def history(self) -> list[WorkflowEvent]:
        """What happened to the run so far, oldest first."""
        ...

    def follow(self) -> AsyncGenerator[WorkflowEvent]:
        """What happened to the run and what happens to it, until it has ended."""
        ...


class Runs(Protocol):
    """Starts runs and finds them again, and answers steps whose actions left that to the holder of a token."""

    async def __aenter__(self) -> Self:
        """Open what it stands on."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        ...

    async def start(
        self,
        workflow: str | HasGraph,
        input: Any = None,  # noqa: A002 - the workflow's input
        *,
        run_id: str | None = None,
        **starting: Unpack[Starting],
    ) -> StartedRun:
        """Start a run; raises Conflict when the id is taken, another Refused when the workflow or input is wrong."""
        ...

    async def signal_with_start(
        self,
        workflow: str | HasGraph,
        signal: str,
        payload: Any = None,
        *,
        run_id: str,
        input: Any = None,  # noqa: A002 - the workflow's input
        version: str | None = None,
        reason: str = "",
        trace: str | None = None,
        **asked: Unpack[Asked],
    ) -> StartedRun:
        """Hand a run a named value, and start it first when there is none; raises what ``start`` and ``signal`` do."""
        ...

    def handle(self, run_id: str) -> StartedRun:
        """A run that was started elsewhere."""
        ...

    async def create_schedule(
        self,
        schedule_id: str,
        schedule: Schedule,
        *,
        if_exists: IfExists | Literal["reject", "return", "replace"] = IfExists.REJECT,
        reason: str = "",
        **asked: Unpack[Asked],
    ) -> "ScheduleHandle":
        """Let a schedule begin under an id; raises Conflict when the id is taken."""
        ...

    def schedule(self, schedule_id: str) -> "ScheduleHandle":
        """A schedule that was created elsewhere."""
        ...

    async def complete_step(self, token: str, output: Any = None) -> None:
        """Answer for the attempt that the token is of: it succeeded, and gave this."""
        ...

    async def fail_step(
        self, token: str, error_type: str, message: str = "", *, retryable: bool = True, details: Any = None
    ) -> None:
        """Answer for the attempt that the token is of: it failed."""
        ...

    async def heartbeat_step(self, token: str, details: Any = None) -> None:
        """Say that the attempt that the token is of is still worked on."""
        ...
