"""Naps without a pause beside the transfers, and their judge: every timer fires once, and none before its time."""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Self

from actionbus.client import Client
from actionbus.contracts.errors import ActionbusError, Refused, RunFailed
from actionbus.contracts.events import EntryKind
from faults import nap_app
from faults.fault import Outcome
from faults.house import House
from faults.load import AGAIN_SECONDS, PROBE_SECONDS, QUIET_SECONDS
from integration import books

APP = Path(nap_app.__file__)
IN_FLIGHT = 8
LONGEST_MS = 8_000
STEPS = (("lay-down", "woke"), ("woke", "rose"))  # around each timer


def steady_ms() -> int:
    """The clock by which naps are written down."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000_000


@dataclass
class Naps:
    """While it is entered, so many naps are under way."""

    house: House
    chance: Random
    begun: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Run id -> how long its timers are."""
    ended: dict[str, str] = field(default_factory=dict)
    leaps: list[int] = field(default_factory=list)
    """When the broker's clock was moved, by the steady one: a timer that was under way then may have been due by it."""

    async def __aenter__(self) -> Self:
        made = self.house.installation
        await asyncio.to_thread(made.command, "topics", "apply", str(APP))
        await asyncio.to_thread(made.command, "deploy", str(APP))
        worker = made.worker("nap-worker", APP)
        await asyncio.to_thread(worker.wait_ready)
        self._client = await Client(made.connection, prefix=made.prefix).__aenter__()
        self._numbers, self._ending = count(), False
        self._tasks = {asyncio.create_task(self._pump()) for _ in range(IN_FLIGHT)}
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.__aexit__(None, None, None)

    async def finish(self) -> None:
        """Begin nothing more, and wait for what is under way as long as anything moves."""
        self._ending = True
        while self._tasks:
            done, self._tasks = await asyncio.wait(
                self._tasks, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                return

    async def judge(self, outcome: Outcome) -> Outcome:
        """Add what is wrong with the naps to what is known of the transfers."""
        noted: defaultdict[str, dict[str, int]] = defaultdict(dict)
        lines = (self.house.installation.folder / "naps").read_text().splitlines()
        for run_id, what, at in map(str.split, lines):
            noted[run_id].setdefault(what, int(at))
        made = self.house.installation
        published = await books.read(made.connection, made.prefix, made.shards)
        fired: Counter[str] = Counter()
        for life, kinds in published.kinds.items():
            fired[life.rpartition(":")[0]] += kinds[EntryKind.WAIT_ENDED]
        faults: defaultdict[str, list[str]] = defaultdict(list, outcome.faults)
        for run_id, status in self.ended.items():
            if status != "COMPLETED" or noted[run_id].keys() != {"lay-down", "woke", "rose"}:
                faults["lost"].append(f"{run_id} is {status}, and noted {noted[run_id]}")
                continue
            if fired[run_id] > len(STEPS):
                faults["doubled"].append(f"{run_id}: its two timers ended {fired[run_id]} waits")
            faults["disordered"] += self._early(run_id, noted[run_id])
        return Outcome(
            injected=outcome.injected,
            workflows=outcome.workflows + len(self.begun),
            steps=outcome.steps + sum(map(len, noted.values())),
            effects=outcome.effects + len(lines),
            faults={kind: texts for kind, texts in faults.items() if texts},
            unfinished=outcome.unfinished + len(self.begun) - len(self.ended),
            doubted=outcome.doubted,
            recovery_ms=outcome.recovery_ms,
        )

    def _early(self, run_id: str, noted: dict[str, int]) -> list[str]:
        found = []
        for (before, after), wanted in zip(STEPS, self.begun[run_id], strict=True):
            began, ended = noted[before], noted[after]
            if ended - began < wanted and not any(began <= leap <= ended for leap in self.leaps):
                found.append(f"{run_id} {after} {wanted - (ended - began)} ms early")
        return found

    async def _pump(self) -> None:
        while not self._ending:
            run_id = f"nap-{next(self._numbers)}"
            self.begun[run_id] = (self.chance.randrange(LONGEST_MS), nap_app.WAIT_MS)
            self.ended[run_id] = await self._nap(run_id)

    async def _nap(self, run_id: str) -> str:
        sleep_ms, _ = self.begun[run_id]
        while True:
            try:
                handle = await self._client.start(
                    "nap", {"sleep_ms": sleep_ms}, run_id=run_id, request_id=run_id, wait=False
                )
                await handle.result(PROBE_SECONDS)
            except RunFailed as failed:
                return failed.status
            except Refused:
                raise
            except ActionbusError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return "COMPLETED"
