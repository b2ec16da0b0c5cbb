"""Where a process begins and what its end says: the event loop and the exit code."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog
import uvloop

from actionbus.contracts.errors import ActionbusError, Refused
from actionbus.process import logs
from actionbus.process.groups import LogSettings
from actionbus.process.shutdown import ExitCode

# Records are freed by their reference counts. With the default of (700, 10, 10) the search for cycles among them took
# 27 of the 86 us of CPU that a worker spends on a command.
COLLECT_AFTER: Final = (20_000, 20, 100)

_log = structlog.get_logger(__name__)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> ExitCode:
    """Run ``main`` on uvloop to its end and say what the end means.

    An error of this product is logged as its sentence, any other with its traceback; none is raised.
    """
    if not structlog.is_configured():
        logs.configure(LogSettings(), "actionbus")
    gc.freeze()  # what the imports made stays to the end
    gc.set_threshold(*COLLECT_AFTER)
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
