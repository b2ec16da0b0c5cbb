"""CPU time by stage, counted and shown. What is measured is decided elsewhere."""

import inspect
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Meter:
    """CPU time by stage; a stage inside another is taken out of it."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, int] = defaultdict(int)
        self._open: list[str] = []
        self._since = 0

    def _turn_to(self) -> None:
        now = time.process_time_ns()
        if self._open:
            self.spent[self._open[-1]] += now - self._since
        self._since = now

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what happens inside as this stage."""
        self._turn_to()
        self._open.append(name)
        try:
            yield
        finally:
            self._turn_to()
            self._open.pop()

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count every call of a function, or what a coroutine does, as a stage."""
        inner: Callable[..., Any] = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                return inner(*args, **kwargs)

        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with self.stage(stage):
                return await inner(*args, **kwargs)

        setattr(owner, name, awaited if inspect.iscoroutinefunction(inner) else watched)


def table(found: dict[str, Any]) -> Iterator[str]:
    """The figures for people: per stage and per service, in microseconds and in plain loops."""
    loop, stages = found["loop_us"], found["us_per_step"]
    yield f"a turn of the plain loop takes {loop:.2f} us here and now; {found['steps']} steps were measured"
    yield f"{'':40} {'us/step':>8} {'loops/step':>10}"
    for who, group in itertools.groupby(stages, key=lambda stage: stage.partition(":")[0]):
        names = list(group)
        whole = sum(stages[name] for name in names)
        yield f"{who:40} {whole:8.1f} {whole / loop:10.2f}"
        for name in names:
            yield f"    {name.partition(': ')[2]:36} {stages[name]:8.1f} {stages[name] / loop:10.2f}"
