"""A schedule under random trouble: its owners crash and cross, commits are lost or late, and every firing has one run."""

from collections import Counter

import pytest

from actionbus.contracts import identifiers, payloads, schedules
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import SequenceNode, SetNode
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from protocol import test_random_schedules
from protocol.test_random_schedules import SEEDS
from protocol.world import Graph, Violated, World
from support.mutation import mutated

LASTS_MS = 12_000  # less than the world goes on after the last act
TICK = Graph(name="tick", version="1", root=SequenceNode(id="root", nodes=(SetNode(id="now", value=1),)), actions={})


class Play(test_random_schedules.Play):
    """A schedule fires every second while its shard has trouble; now and then somebody triggers it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.world = World(verifies=self.dice.random() < 0.5, graph=TICK)
        self.overlap = self.dice.choice(["allow", "skip", "queue"])
        self.begun = self.world.broker.time_ms
        self.triggers = 0
        spec = {"workflow": "tick", "every_ms": 1_000, "overlap": self.overlap, "end_at": self.begun + LASTS_MS}
        self.spec = payloads.encode(spec)
        self._create()

    def _create(self) -> None:
        self.world.start("s", workflow=schedules.WORKFLOW, payload=self.spec)

    async def start(self) -> None:
        """Ask for the schedule again."""
        self._create()

    async def cancel(self) -> None:
        """Trigger it, whatever is live."""
        self.triggers += 1
        asked = {"signal": schedules.TRIGGER, "payload": b'{"overlap":"allow"}'}
        for _ in range(self.dice.choice((1, 2))):
            self.world.request("s", RequestKind.SIGNAL, f"trigger-{self.triggers}", **asked)

    def judge(self) -> None:
        """One history, nothing torn, every run has ended; and of each firing what became of it, once."""
        world = self.world
        world.one_history()
        world.nothing_torn()
        world.all_ended()
        requests = [world.codec.decode(WorkflowRequest, each.value) for each in world.committed(world.topics.requests)]
        asked = Counter(each.run_id for each in requests if each.kind is RequestKind.START and each.parent is not None)
        begun = Counter(event.run_id for run_id in asked for event in world.events(run_id) if event.version == 1)
        entries = [entry for event in world.events("s") for entry in event.entries]
        skipped = Counter(
            payloads.decode(entry.data or b"")["run_id"] for entry in entries if entry.kind is EntryKind.FIRING_SKIPPED
        )
        taken = sum(entry.kind is EntryKind.SIGNAL_RECEIVED for entry in entries)
        first = next(run.created_at for run in world.states() if run.run_id == "s") // 1_000 * 1_000 + 1_000
        wanted = Counter(
            identifiers.firing_run_id("s", moment) for moment in range(first, self.begun + LASTS_MS + 1, 1_000)
        )
        by_hand = Counter({name: number for name, number in asked.items() if "-t" in name})
        found = asked + skipped - by_hand
        if asked != begun or found != wanted or sorted(by_hand.values()) != [1] * taken:
            raise Violated(f"asked {asked}, begun {begun}, skipped {skipped}, wanted {wanted}, triggered {taken}")


async def _play(seed: int) -> None:
    play = Play(seed)
    await play.go()
    play.judge()


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_firing_has_one_run(seed: int) -> None:
    """Whatever happens to the shard: started once, or told of as skipped."""
    await _play(seed)


async def test_a_start_that_goes_missing_is_noticed() -> None:
    """The lots are not blind: where one request of a transaction is not written, a firing has no run."""
    with mutated("actionbus.orchestrator.batch", ("for each in fold.asked:", "for each in fold.asked[1:]:")):
        with pytest.raises(Violated):
            await _first_that_breaks(range(20))


async def _first_that_breaks(seeds: range) -> None:
    for seed in seeds:
        await _play(seed)
