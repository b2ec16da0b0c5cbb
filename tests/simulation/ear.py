"""What the shipped code says in its log, heard by the world that it runs in."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from simulation.loop import current


class Ear:
    """Listens to what the shipped code says in its log: words that only a programming mistake brings about are broken promises."""

    def __init__(self, *_, **__) -> None:
        """A logger has no state here."""

    def warning(self, event: str, **fields) -> None:
        """Something an operator may want to know."""
        process = current()
        if process is not None and process.running:
            process.world.heard(event, fields)

    error = critical = warning

    def exception(self, event: str, **fields) -> None:
        """Something nobody has thought of."""
        self.warning(event, **fields, exc_info=True)

    def debug(self, event: str, **fields) -> None:
        """Nothing that matters here."""

    info = debug


@contextmanager
def listening() -> Iterator[None]:
    """The shipped code speaks to an ``Ear`` inside."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=Ear, processors=[], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
