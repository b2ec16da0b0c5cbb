"""How a process speaks: one JSON object a line (or coloured text on a terminal), on standard error.

The standard library's logging goes the same way. What is said, and when, is decided where it happens.
"""

import logging
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final, TypedDict, Unpack

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from actionbus.contracts import traces
from actionbus.contracts.commands import ActionCommand
from actionbus.process.groups import LogFormat, LogSettings

REPEAT_SECONDS: Final = 10.0  # a broker that is down is one line in this time, not one for each reconnection
REMEMBERED_MESSAGES: Final = 500


class About(TypedDict, total=False):
    """What a line may be about; ``trace`` is the text of a trace, of which the line says the id."""

    workflow: str | None
    run_id: str | None
    step: str | None
    action: str | None
    attempt: int | None
    trace: str | None


def configure(settings: LogSettings, service: str) -> None:
    """Send everything that structlog and logging say to standard error in the chosen form. Call it once, first."""
    processors = (_stamp(service), *_SHARED)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *processors,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    console = settings.format is LogFormat.CONSOLE or (settings.format is LogFormat.AUTO and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(QuietRepeats())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(console=console)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    logging.captureWarnings(capture=True)
    # aiokafka tells of every heartbeat and reconnection at INFO; what matters of it the services say themselves.
    quiet = root.level if root.level <= logging.DEBUG else max(root.level, logging.WARNING)
    for talkative in ("aiokafka", "faust", "mode"):
        logging.getLogger(talkative).setLevel(quiet)


@contextmanager
def bound(**known: Unpack[About]) -> Generator[None]:
    """Say in every line logged inside, by this task and threads it calls, which run and attempt it is about."""
    with structlog.contextvars.bound_contextvars(**about(**known)):
        yield


def about(**known: Unpack[About]) -> dict[str, str | int]:
    """The fields by which lines name the run, or the attempt, that they are about; what is not known is left out."""
    trace = traces.trace_id(known.pop("trace", None))
    fields: dict[str, Any] = dict(known)
    if trace is not None:
        fields["trace_id"] = trace
    return {name: value for name, value in fields.items() if value is not None}


def about_command(command: ActionCommand, trace: str | None) -> dict[str, str | int]:
    """The fields of lines about one attempt."""
    return about(
        workflow=command.workflow,
        run_id=command.run_id,
        step=command.step,
        action=command.action,
        attempt=command.attempt,
        trace=trace,
    )


class QuietRepeats(logging.Filter):
    """Lets the same message of the same logger pass once in a while; the next that passes says how many did not.

    Only warnings and worse of foreign libraries are counted: what this product says, and what is said inside an
    attempt, is never dropped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written."""
        if record.name.partition(".")[0] == "actionbus" or record.levelno < logging.WARNING:
            return True
        if "run_id" in structlog.contextvars.get_contextvars():
            return True
        key = (record.name, str(record.msg))
        now = self._clock()
        last, dropped = self._seen.get(key, (None, 0))
        if last is not None and now - last < REPEAT_SECONDS:
            self._seen[key] = (last, dropped + 1)
            return False
        if len(self._seen) >= REMEMBERED_MESSAGES:
            self._seen.clear()
        self._seen[key] = (now, 0)
        if dropped:
            record.msg = f"{record.getMessage()} (and {dropped} times more since it was last written)"
            record.args = None
        return True


_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
)


def _stamp(service: str) -> Processor:
    def stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event.setdefault("service", service)
        return event

    return stamp


def _rendering(*, console: bool) -> list[Processor]:
    if console:
        return [structlog.dev.ConsoleRenderer()]
    # Local variables stay out of tracebacks: they may hold payloads and credentials.
    frames = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    return [frames, structlog.processors.EventRenamer("message"), structlog.processors.JSONRenderer(default=str)]
