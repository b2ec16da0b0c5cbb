"""The spans of runs and commands, by OpenTelemetry's interface. Where they go, and who samples, is not known here.

The names and attributes are those of the semantic conventions for messaging. Spans that several processes speak of have
ids derived from what they are about: nobody has to have made them before another names them as a parent.
"""

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Protocol, Self

from opentelemetry import context as contexts
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState
from opentelemetry.trace import Span as OtelSpan

from actionbus.contracts import traces
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import RunStatus
from actionbus.contracts.traces import Trace
from actionbus.process import tracing

SCOPE: Final = "actionbus"  # the instrumentation scope of our spans
SERVER_ERROR: Final = 500  # from this status on the fault is ours
_FAILED: Final = (RunStatus.FAILED, RunStatus.TIMED_OUT)


class Ids(Protocol):
    """Gives the next span ids that are not random."""

    def fix(self, span_id: str, trace_id: str) -> None:
        """The next span that this thread makes has this id, and if it is a root, begins this trace."""
        ...


class Spans(tracing.Spans):
    """Says spans with a tracer. ``keeps`` tells of a trace id whether a trace that begins here is sampled."""

    def __init__(self, tracer: otel.Tracer, ids: Ids, keeps: Callable[[int], bool]) -> None:
        self._tracer = tracer
        self._ids = ids
        self._keeps = keeps

    @property
    def tracer(self) -> otel.Tracer:
        """The tracer, for spans of other kinds."""
        return self._tracer

    def beginning(self, name: str, trace: str | None) -> str | None:
        """The trace it was started in; else one of its own, in which the span of the run is the first."""
        if trace is not None:
            return trace
        trace_id = traces.derived_trace_id(name)
        return Trace(trace_id, traces.derived_span_id(name), int(self._keeps(int(trace_id, 16)))).text

    def handed_on(self, name: str, workflow: str, trace: str | None) -> str | None:
        """Below the span of the run; None, so that a trace of its own begins, where the run goes on for ever."""
        if tracing.of_no_end(workflow):
            return None
        known = traces.parse(trace)
        return trace if known is None else known.at(traces.derived_span_id(name)).text

    def ordering(self, command: ActionCommand, trace: str | None) -> str | None:
        """Below the span that sends the command, whose id is the command's."""
        known = traces.parse(trace)
        return trace if known is None else known.at(traces.derived_span_id(command.command_id)).text

    def ordered(self, command: ActionCommand, trace: str | None, topic: str, partition: int) -> None:
        """Say the span that sent it. Sent again, it is said again: the same span, whichever of the two was lost."""
        known = traces.parse(trace)
        if known is None or not known.sampled:
            return
        run = command.step_key.partition("/")[0]
        about = {
            **_messaging("send", topic, command.command_id, command.run_id),
            "messaging.destination.partition.id": str(partition),
            **_command(command),
        }
        self._say(
            f"send {topic}",
            known.at(traces.derived_span_id(run)),
            command.command_id,
            SpanKind.PRODUCER,
            about,
            since_ms=command.issued_at,
            until_ms=None,
        )

    def happened(self, event: WorkflowEvent, trace: str | None, age_ms: int) -> None:
        """Say each decision as it is taken, and the span of the run once it has ended."""
        known = traces.parse(trace)
        if known is None or not known.sampled:
            return
        for entry in event.entries:
            if entry.kind is EntryKind.DECISION:
                self._decided(event, entry, known)
            elif entry.kind is EntryKind.RUN_ENDED:
                self._ended(event, entry, known, age_ms)

    def doing(self, command: ActionCommand, trace: str | None, *, topic: str, group: str) -> tracing.Doing:
        """A span around the attempt; what user code says inside belongs to it."""
        about = {
            **_messaging("process", topic, command.command_id, command.run_id),
            "messaging.consumer.group.name": group,
            **_command(command),
        }
        parent = _context(traces.parse(trace))
        span = self._tracer.start_span(
            f"process {topic}",
            parent,
            SpanKind.CONSUMER,
            about,
            record_exception=False,
            set_status_on_exception=False,
        )
        return _Doing(span, parent)

    def _decided(self, event: WorkflowEvent, entry: EventEntry, known: Trace) -> None:
        decision = entry.decision
        if decision is None:
            return
        about = {**_run(event), "actionbus.decision": str(decision.decision)}
        for name in ("step", "action", "attempt"):
            value = getattr(entry, name)
            if value is not None:
                about[f"actionbus.{name}"] = value
        if entry.reason is not None:
            about["actionbus.reason"] = entry.reason
        run = f"{event.run_id}:{event.incarnation}"
        name = f"{run}/{event.version}/{event.entries.index(entry)}"
        self._say(
            f"decide {decision.decision}",
            known.at(traces.derived_span_id(run)),
            name,
            SpanKind.INTERNAL,
            about,
            since_ms=event.at,
            until_ms=event.at,
        )

    def _ended(self, event: WorkflowEvent, entry: EventEntry, known: Trace, age_ms: int) -> None:
        run = f"{event.run_id}:{event.incarnation}"
        first = known.span_id == traces.derived_span_id(run)  # it was started without a trace
        about = {**_run(event), "actionbus.status": str(event.status), "actionbus.version": event.definition_version}
        self._say(
            f"run {event.workflow}",
            None if first else known,
            run,
            SpanKind.INTERNAL,
            about,
            since_ms=event.at - age_ms,
            until_ms=event.at,
            error=(entry.reason or "") if event.status in _FAILED else None,
            trace_id=known.trace_id,
        )

    def _say(
        self,
        title: str,
        parent: Trace | None,
        name: str,
        kind: SpanKind,
        about: Mapping[str, Any],
        *,
        since_ms: int,
        until_ms: int | None,
        error: str | None = None,
        trace_id: str = "",
    ) -> None:
        """Say a span of the past. ``name`` gives its id; ``until_ms``: None for now, by this machine's clock."""
        self._ids.fix(traces.derived_span_id(name), trace_id)
        since = since_ms * 1_000_000
        span = self._tracer.start_span(title, _context(parent), kind, about, start_time=since)
        if error is not None:
            span.set_attribute("error.type", error.partition(":")[0])
            span.set_status(StatusCode.ERROR, error)
        # The start is the broker's time and the end ours: a clock that is behind makes no span of negative length.
        span.end(max(since, time.time_ns() if until_ms is None else until_ms * 1_000_000))


class _Doing(tracing.Doing):
    """The span around an attempt."""

    def __init__(self, span: OtelSpan, parent: Context) -> None:
        super().__init__(_text(span.get_span_context()))
        self._span = span
        self._context = otel.set_span_in_context(span, parent)

    def __enter__(self) -> Self:
        self._token = contexts.attach(self._context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed(type(error).__name__, "the worker ended before the attempt did")
        contexts.detach(self._token)
        self._span.end()

    def failed(self, kind: str, message: str) -> None:
        self._span.set_attribute("error.type", kind)
        self._span.add_event("exception", {"exception.type": kind, "exception.message": message})
        self._span.set_status(StatusCode.ERROR, f"{kind}: {message}")


@contextmanager
def asking(topic: str, request: WorkflowRequest, trace: str | None, *, given: bool) -> Generator[str | None]:
    """A span around the writing of a request, below ``trace`` when it was given, else below the current span."""
    here = otel.get_current_span()
    parent = None if not given and here.get_span_context().is_valid else _context(traces.parse(trace))
    about = {
        **_messaging("send", topic, request.request_id, request.run_id),
        "actionbus.run_id": request.run_id,
        "actionbus.request": str(request.kind),
    }
    if request.workflow is not None:
        about["actionbus.workflow"] = request.workflow
    with _tracer().start_as_current_span(f"send {topic}", parent, SpanKind.PRODUCER, about) as span:
        yield _text(span.get_span_context()) or trace


@contextmanager
def serving(method: str, path: str, trace: str | None) -> Generator[OtelSpan]:
    """A span around an HTTP request, below the caller's if it sent a trace."""
    about = {"http.request.method": method, "url.path": path}
    with _tracer().start_as_current_span(method, _context(traces.parse(trace)), SpanKind.SERVER, about) as span:
        yield span


def answered(span: OtelSpan, scope: Mapping[str, Any], status: int) -> None:
    """Say how a request was answered, and of which route it was: that is known once the application has chosen one."""
    span.set_attribute("http.response.status_code", status)
    route = getattr(scope.get("route"), "path", None)
    if isinstance(route, str):
        span.set_attribute("http.route", route)
        span.update_name(f"{scope['method']} {route}")
    if status >= SERVER_ERROR:
        span.set_attribute("error.type", str(status))
        span.set_status(StatusCode.ERROR)


def _tracer() -> otel.Tracer:
    voice = tracing.active()
    return voice.tracer if isinstance(voice, Spans) else otel.get_tracer(SCOPE)


def _messaging(operation: str, topic: str, message_id: str, run_id: str) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": operation,
        "messaging.operation.name": operation,
        "messaging.destination.name": topic,
        "messaging.message.id": message_id,
        "messaging.message.conversation_id": run_id,
    }


def _command(command: ActionCommand) -> dict[str, Any]:
    return {
        "actionbus.run_id": command.run_id,
        "actionbus.workflow": command.workflow,
        "actionbus.version": command.definition_version,
        "actionbus.step": command.step,
        "actionbus.action": command.action,
        "actionbus.attempt": command.attempt,
        "actionbus.command": str(command.kind),
    }


def _run(event: WorkflowEvent) -> dict[str, Any]:
    return {
        "actionbus.run_id": event.run_id,
        "actionbus.incarnation": event.incarnation,
        "actionbus.workflow": event.workflow,
    }


def _context(trace: Trace | None) -> Context:
    """A context in which this place of a trace is current, and nothing else; of no trace an empty one."""
    if trace is None:
        return Context()
    state = TraceState.from_header([trace.state]) if trace.state else None
    there = SpanContext(
        int(trace.trace_id, 16), int(trace.span_id, 16), is_remote=True, trace_flags=TraceFlags(trace.flags),
        trace_state=state,
    )  # fmt: skip
    return otel.set_span_in_context(NonRecordingSpan(there), Context())


def _text(there: SpanContext) -> str | None:
    if not there.is_valid:
        return None
    return Trace(
        f"{there.trace_id:032x}", f"{there.span_id:016x}", int(there.trace_flags), there.trace_state.to_header()
    ).text
