"""Where a process says what belongs to a trace. Until tracing has begun all of it says nothing, and costs nothing.

What is said with OpenTelemetry stands in ``spans`` and ``span_export``, which are imported only once tracing begins; so
neither the extra nor its cost is there without it. What a trace is, is known to ``contracts.traces``.
"""

import importlib.util
import os
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Final, Self

from actionbus.contracts import schedules
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.errors import SettingsRefused
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.requests import WorkflowRequest
from actionbus.process.tracing_settings import TracingSettings

INCOMING: Final[ContextVar[str | None]] = ContextVar("incoming", default=None)  # the trace of the HTTP request at hand


class Doing:
    """An attempt that is carried out: the work inside belongs to ``trace``. This one makes no span of it."""

    def __init__(self, trace: str | None) -> None:
        self.trace = trace

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, error, traceback

    def failed(self, kind: str, message: str) -> None:
        """Say how it failed."""
        del kind, message


class Spans:
    """What a service says of runs and commands. This one says nothing and passes every trace on as it came."""

    def beginning(self, name: str, trace: str | None) -> str | None:
        """The trace of a run that begins; ``name``: its run id and incarnation, ``run:incarnation``."""
        del name
        return trace

    def handed_on(self, name: str, workflow: str, trace: str | None) -> str | None:
        """The trace of what a run asks of another run, for the headers of that request."""
        del name, workflow
        return trace

    def ordering(self, command: ActionCommand, trace: str | None) -> str | None:
        """The trace of a command for its headers; ``trace`` is that of its run."""
        del command
        return trace

    def ordered(self, command: ActionCommand, trace: str | None, topic: str, partition: int) -> None:
        """A broker has the command."""

    def happened(self, event: WorkflowEvent, trace: str | None, age_ms: int) -> None:
        """A committed transition; ``age_ms``: how old its run was."""

    def doing(self, command: ActionCommand, trace: str | None, *, topic: str, group: str) -> Doing:
        """Carry out an attempt inside; ``trace`` is that of its command."""
        del command, topic, group
        return Doing(trace)


SILENT: Final = Spans()
_active: Spans = SILENT


def active() -> Spans:
    """What this process says its spans with."""
    return _active


@asynccontextmanager
async def told(settings: TracingSettings, service: str) -> AsyncGenerator[None]:
    """Say spans inside, when the settings ask for it, and send the last of them at the end.

    Raises SettingsRefused when the extra is missing.
    """
    if not settings.enabled or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield
        return
    if importlib.util.find_spec("opentelemetry.sdk") is None:
        raise SettingsRefused("ACTIONBUS_TRACING_ENABLED needs OpenTelemetry: pip install 'actionbus[otel]'")
    from actionbus.process import span_export  # takes long to import, and is an extra

    global _active  # noqa: PLW0603 - a process speaks with one voice, as its metrics and logs do
    async with span_export.exporting(service, flush_seconds=settings.flush_seconds) as spans:
        _active = spans
        try:
            yield
        finally:
            _active = SILENT


@contextmanager
def asking(topic: str, request: WorkflowRequest, trace: str | None) -> Generator[str | None]:
    """Ask for something inside; gives the trace for the headers of the request.

    ``trace`` is where the caller stands. Without it, that is the span that OpenTelemetry calls current, in a process
    that uses it, or else the incoming HTTP request's trace.
    """
    if "opentelemetry.trace" not in sys.modules:
        yield trace or INCOMING.get()
        return
    from actionbus.process import spans  # the extra is here

    with spans.asking(topic, request, trace or INCOMING.get(), given=trace is not None) as inside:
        yield inside


def of_no_end(workflow: str) -> bool:
    """Whether runs of a workflow are for ever, so that what they start is better told in traces of its own."""
    return workflow == schedules.WORKFLOW
