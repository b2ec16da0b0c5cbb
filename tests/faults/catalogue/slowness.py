"""T10: actions that take far longer than a reader may be silent, while others go through the same partition."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from actionbus.client import Client
from actionbus.contracts.errors import RunFailed
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened

APP = Path(__file__).parents[1] / "slow_app.py"
HELD = "SLOW_HELD"  # in the environment: the rule is taken out
POLL_MS = 5_000  # silence after which the library gives a member up; 300 s as shipped
LONG_SECONDS = 15.0  # that a slow one lasts at least
FAST = 8  # others beside each wave of slow ones, one a second through the partition of each
AT_A_TIME = 4  # slow ones, on the loop and in threads
PATIENCE_SECONDS = 240.0  # far above what is normal
KINDS: Mapping[str, str] = {"lingering": "linger", "toiling": "toil"}  # workflows, and the action of each
ENVIRONMENT = {
    "ACTIONBUS_TOPICS_ACTION_PARTITIONS": "1",
    "ACTIONBUS_WORKER_SESSION_TIMEOUT_MS": "30000",  # a machine that is busy throws nobody out: only silence does
    "SLOW_POLL_MS": str(POLL_MS),
}


@dataclass
class _Watch:
    """What the rounds of waves have seen."""

    house: House
    client: Client
    patience: float
    told: dict[str, str] = field(default_factory=dict)
    """What the caller of each run was told; it should be COMPLETED."""
    waits: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    async def wave(self, number: int, slow: int) -> None:
        """Some that last, others beside them, and everybody's end."""
        gate, kinds = f"gate-{number}", list(KINDS)
        members = await self._members()
        lasting = [
            asyncio.create_task(self._run(kinds[n % len(kinds)], f"slow-{number}-{n}", gate)) for n in range(slow)
        ]
        try:
            await self._begun(lasting, f"slow-{number}-")
            self.house.struck(slow)
            enough = time.monotonic() + LONG_SECONDS
            others = []
            for n in range(FAST):
                others += [asyncio.create_task(self._run(kind, f"fast-{number}-{n}-{kind}", "")) for kind in kinds]
                await asyncio.sleep(1.0)
            await self.house.load.probe()
            _, held = await asyncio.wait(others, timeout=self.patience)
            if held:
                self.wrong.append(f"{len(held)} of {len(others)} waited for the slow ones of wave {number}")
            await asyncio.sleep(max(0.0, enough - time.monotonic()))
            ended = {key for what, key in self.lines() if what == "end" and key.startswith(f"slow-{number}-")}
            self.wrong += [f"{key} ended before its time" for key in sorted(ended)]
        finally:
            (self.house.bank.folder / gate).touch()
        await asyncio.gather(*lasting, *others)
        if await self._members() != members:
            self.wrong.append(f"the members of the groups are not those of before wave {number}")

    def lines(self) -> list[tuple[str, str]]:
        """What was noted: that the step of a key began or ended."""
        path = Path(self.house.bank.folder) / "slow"
        return [tuple(line.split()) for line in path.read_text().splitlines()] if path.exists() else []

    def faults(self) -> dict[str, list[str]]:
        """Who did not end well, who began or ended twice, and who waited or was thrown out."""
        counts = Counter(self.lines())
        ended = {key.partition(":")[0] for what, key in counts if what == "end"}
        found = {
            "lost": [
                *(f"{run_id}: {told}" for run_id, told in self.told.items() if told != "COMPLETED"),
                *(f"{run_id} has no end" for run_id in self.told if run_id not in ended),
            ],
            "doubled": [f"{what} {key} x{count}" for (what, key), count in counts.items() if count > 1],
            "disordered": self.wrong,
        }
        return {kind: texts for kind, texts in found.items() if texts}

    async def _run(self, workflow: str, run_id: str, gate: str) -> None:
        asked = time.monotonic()
        handle = await self.client.start(workflow, gate, run_id=run_id)
        try:
            await handle.result(2 * PATIENCE_SECONDS)
        except RunFailed as failed:
            self.told[run_id] = f"{failed.status}: {failed.reason}"
        else:
            self.told[run_id] = "COMPLETED"
        if not gate:
            self.waits.append(time.monotonic() - asked)

    async def _begun(self, lasting: list[asyncio.Task[None]], prefix: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(what == "begin" and key.startswith(prefix) for what, key in self.lines()) < len(lasting):
                for each in lasting:
                    if each.done():
                        each.result()
                await asyncio.sleep(0.1)

    async def _members(self) -> set[tuple[str, str]]:
        """Every member of the groups of the two actions, by the name that it got when it joined."""
        made = self.house.installation
        async with Admin(made.connection) as admin:
            groups = [Topics(made.prefix).worker_group(action) for action in KINDS.values()]
            return {(group, each.member_id) for group in groups for each in await admin.members(group)}


async def slow(
    ground: Ground,
    count: int,
    chance: Random,
    environment: Mapping[str, str] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Outcome:
    """So many slow actions, some at a time, each among others of its own partition."""
    setting = Setting(app=APP, environment=ENVIRONMENT | dict(environment or {}))
    with ground.room("slow") as room:
        async with opened(ground, room, ground.cluster(1), chance, setting) as house:
            made = house.installation
            async with Client(made.connection, prefix=made.prefix) as client:
                watch = _Watch(house, client, patience)
                while house.injected < count:
                    await watch.wave(house.injected, min(AT_A_TIME, count - house.injected))
            outcome = await judged(house)
            faults = watch.faults()
    for kind, texts in faults.items():
        outcome.faults.setdefault(kind, []).extend(texts)
    waits = sorted(watch.waits)
    p50, p99 = (waits[min(len(waits) - 1, int(share * len(waits)))] for share in (0.5, 0.99))
    note = f"{len(waits)} others went through the partitions of the slow ones, p50 {p50:.2f} s, p99 {p99:.2f} s"
    return replace(outcome, note=note)


FAULTS = (
    Fault(
        id="T10",
        name="slow actions",
        what=f"actions that last more than {LONG_SECONDS:g} s, on the loop and in threads, where a reader may be silent "
        f"for {POLL_MS // 1000} s; each second others go through the same partition; doubled: an action that began "
        "again; disordered: another that ended after a slow one, or a member that was thrown out of its group",
        play=slow,
        short=2,
        each=20,
        published=20,
        full=100,
    ),
)
