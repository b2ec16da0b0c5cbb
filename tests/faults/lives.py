"""Runs that follow one another under the same few ids, and what became of each start."""

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count
from typing import Self

from actionbus.client import Client
from actionbus.contracts.errors import ActionbusError, Conflict, RunFailed
from actionbus.contracts.events import EntryKind
from faults import lives_app
from integration.books import Books

PATIENCE_SECONDS = 600.0
AGAIN_SECONDS = 0.2


@dataclass
class Lives:
    """While it is entered, somebody starts runs under each id, one after the other."""

    client: Client
    ids: int = 12
    begun: set[int] = field(default_factory=set)
    told: dict[int, object] = field(default_factory=dict)
    """What each start's caller was told: its result, "FAILED", or "REFUSED" because the life before was still kept."""
    _numbers: count = field(default_factory=count)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ending: bool = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._follow_each_other(f"life-{n}")) for n in range(self.ids)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ended(self, more: int) -> None:
        """Return once so many further runs have ended."""
        wanted = len(self.told) + more
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.told) < wanted:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.05)

    async def finish(self) -> None:
        """Begin nothing more, and wait for the ends of what is under way."""
        self._ending = True
        await asyncio.wait(self._tasks, timeout=PATIENCE_SECONDS)

    async def _follow_each_other(self, run_id: str) -> None:
        while not self._ending:
            number = next(self._numbers)
            self.begun.add(number)
            # One request for each start: asked again later than runs are kept, it would be another start.
            handle = await self.client.start(
                "life", {"number": number}, run_id=run_id, request_id=f"start-{number}", wait=False
            )
            self.told[number] = await _outcome(handle)
            if self.told[number] == "REFUSED":
                await asyncio.sleep(AGAIN_SECONDS)


async def _outcome(handle) -> object:
    while True:
        try:
            return await handle.result(PATIENCE_SECONDS)
        except RunFailed as failed:
            return failed.status
        except Conflict:
            return "REFUSED"
        except ActionbusError:
            await asyncio.sleep(AGAIN_SECONDS)


def judge(lives: Lives, rows: list[tuple[str, str, int]], published: Books, vouched: set[str]) -> dict[str, list[str]]:
    """What is wrong with rows of step key, kind and number, and with the events of all lives."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    did = Counter((kind, number) for _, kind, number in rows)
    for (kind, number), times in did.items():
        if times > 1:
            found["doubled"].append(f"{kind} of start {number} happened {times} times")
    for number, told in lives.told.items():
        what = tuple(did[kind, number] for kind in ("mark", "unmark", "close"))
        if told == "REFUSED":
            right = what == (0, 0, 0)
        elif lives_app.fails(number):
            right = told == "FAILED" and what == (1, 1, 0)
        else:
            right = told == number and what == (1, 0, 1)
        if not right:
            found["lost"].append(f"start {number} was told {told!r}, and did mark, unmark, close {what}")
    for key, kind, _ in rows:
        if (f"{key}/undo" if kind == "unmark" else key) not in vouched:
            found["partial"].append(f"{kind} of {key} has no inbox row")
    found["disordered"] += _disordered(lives, published)
    return {kind: texts for kind, texts in found.items() if texts}


def _disordered(lives: Lives, published: Books) -> list[str]:
    wrong = [f"{life} has versions {seen}" for life, seen in published.versions.items() if not _whole(seen)]
    for kind in (EntryKind.RUN_STARTED, EntryKind.RUN_ENDED):
        wrong += [f"{life} has not one {kind.value}" for life in published.versions if published.kinds[life][kind] != 1]
    lived = sum(told != "REFUSED" for told in lives.told.values())
    if lived != len(published.versions):
        wrong.append(f"{lived} starts were accepted, and {len(published.versions)} runs lived")
    return wrong


def _whole(versions: list[int]) -> bool:
    return versions == list(range(1, len(versions) + 1))
