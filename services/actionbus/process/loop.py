"""Where a process begins and what its end says: the event loop and the exit code."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
import uvloop

from actionbus.contracts.errors import ActionbusError, Refused
from actionbus.process import logs
from actionbus.process.settings import LogSettings
from actionbus.process.shutdown import ExitCode

_log = structlog.get_logger(__name__)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> ExitCode:
    """Run ``main`` on uvloop to its end and say what the end means.

    An error of this product is logged as its sentence, any other with its traceback; none is raised.
    """
    if not structlog.is_configured():
        logs.configure(LogSettings(), "actionbus")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - this is where the process ends, whatever ended it
        return _explain(error)
    return ExitCode.CLEAN


def _explain(error: Exception) -> ExitCode:
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # a task group wraps also the single error that ended it
    match error:
        case Refused():
            _log.error("refused", error=str(error))
            return ExitCode.USAGE
        case ActionbusError():
            _log.error("ended by an error", error=str(error), kind=type(error).__name__, exc_info=error.__cause__)
            return ExitCode.ERROR
        case _:
            _log.error("ended by an unexpected error", exc_info=error)
            return ExitCode.ERROR
