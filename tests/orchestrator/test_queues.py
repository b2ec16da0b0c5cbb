"""Whose turn it is: shares, rates, keys, priorities and fairness, all of it read off the runs."""

import pytest

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import InRecord
from actionbus.contracts.run import RunStatus, StepState, StepStatus, Turn, WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.queues import AT_ONCE_MS, FAIR_EVERY, Queues
from actionbus.process import metrics
from actionbus.testing.log import MemoryLog
from actionbus.testing.memory_broker import MemoryBroker
from contracts import samples
from engine.graphs import action, graph, step

NOW = 1_000_000


class Shard:
    """Queues, and runs that stand in them."""

    def __init__(self, limit: LimitPolicy, *, shard=0, shards=1, whole=False) -> None:
        codec = Codec()
        self.definitions = Definitions(
            MemoryLog(MemoryBroker(), Topics("q")), "definitions", codec, limits=DEFAULT_LIMITS, run_retention_ms=1
        )
        self.graph = graph(
            step("a"), actions=[action("a", limit=None if whole else limit)], limit=limit if whole else None
        )
        self.deploy(codec)
        self.queues = Queues(self.definitions, shard, shards)
        self.taken: list[str] = []

    def deploy(self, codec: Codec) -> None:
        """Make the definition known."""
        value = codec.encode(WorkflowDefinition.of(self.graph, deployed_at=0, deployed_by="a test"))
        self.definitions.note(InRecord(topic="", partition=0, offset=0, timestamp_ms=0, key=b"", value=value))

    def run(self, run_id: str, **fields) -> WorkflowRun:
        """A run of the workflow."""
        return samples.RUN.replace(
            run_id=run_id,
            workflow=self.graph.name,
            definition_version=self.graph.version,
            definition_hash=self.graph.hash,
            **{"status": RunStatus.RUNNING, "steps": (), "turn": None, "paces": (), "priority": 0, **fields},
        )

    def waits(self, run_id: str, at: int = NOW, *, key="", **fields) -> None:
        """A run whose step waits since then."""
        waiting = StepState(path="a", status=StepStatus.QUEUED, action="a", turn=Turn(key=key, queued_at=at))
        self.queues.note(self.run(run_id, steps=(waiting,), **fields))

    def ends(self, run_id: str) -> None:
        """A run is over."""
        self.queues.note(self.run(run_id, status=RunStatus.COMPLETED))

    def gives(self, now: int = NOW) -> list[str]:
        """Whose turn it is now, one after the other until nobody else's; each of them goes on."""
        given = []
        while (place := self.queues.next(now)) is not None:
            out = StepState(
                path="a",
                status=StepStatus.SCHEDULED,
                action="a",
                attempt=1,
                dispatch_seq=1,
                turn=Turn(key=place.line.key, queued_at=place.queued_at, taken_at=now),
            )
            self.queues.note(self.run(place.run_id, steps=(out,), priority=place.priority))
            self.queues.took(place, now)
            given.append(place.run_id)
        return given


def test_no_more_are_let_through_than_the_limit_says():
    """Whoever ends makes room for one."""
    shard = Shard(LimitPolicy(concurrency=2))
    for name in "abcd":
        shard.waits(name)
    assert shard.gives() == ["a", "b"]
    assert shard.gives() == []
    shard.ends("b")
    assert shard.gives() == ["c"]


@pytest.mark.parametrize(("limit", "shards"), [(20, 8), (8, 8), (9, 8), (1000, 64), (7, 1)])
def test_the_shares_add_up_to_the_limit(limit, shards):
    """Not one more, and no shard without a share."""
    shares = [LimitPolicy(concurrency=limit).room(shard, shards) for shard in range(shards)]
    assert sum(shares) == limit
    assert min(shares) >= 1
    assert max(shares) - min(shares) <= 1


def test_a_limit_below_the_number_of_shards_leaves_one_to_each():
    """A shard without a share could never go on."""
    assert [LimitPolicy(concurrency=2).room(shard, 4) for shard in range(4)] == [1, 1, 1, 1]


def test_with_a_key_every_shard_counts_for_itself():
    """Its number is the whole one, for each value of the key."""
    shard = Shard(LimitPolicy(concurrency=2, key="'x'"), shard=3, shards=4)
    for name, key in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")):
        shard.waits(name, key=key)
    assert sorted(shard.gives()) == ["a1", "a2", "b1"]


def test_a_higher_priority_goes_first_then_the_older_one():
    """Also past those that have waited for long."""
    shard = Shard(LimitPolicy(concurrency=4))
    shard.waits("old", NOW - 9_000)
    shard.waits("low", NOW - 99_000, priority=-1)
    shard.waits("high", NOW, priority=5)
    shard.waits("older", NOW - 10_000)
    assert shard.gives() == ["high", "older", "old", "low"]


def test_every_tenth_turn_is_for_the_oldest():
    """However many of a higher priority keep coming, nobody waits for ever."""
    shard = Shard(LimitPolicy(concurrency=1))
    for low in "xy":
        shard.waits(low, NOW - 5, priority=-100)
    given = []
    for number in range(3 * FAIR_EVERY):
        shard.waits(f"high-{number:02}", NOW + number, priority=100)
        (name,) = shard.gives()
        given.append(name)
        shard.ends(name)
    assert [given.index("x"), given.index("y")] == [FAIR_EVERY - 1, 2 * FAIR_EVERY - 1]


def test_a_rate_spreads_evenly():
    """One shard of two lets half as many begin, so far apart; what it could not use is not saved up."""
    shard = Shard(LimitPolicy(rate=10, per_ms=1_000), shards=2)
    for number in range(100):
        shard.waits(f"{number:02}")
    begun = {now: len(shard.gives(NOW + now)) for now in range(0, 2_000, 10)}
    assert sum(begun.values()) == 11
    assert max(begun.values()) == 1
    assert shard.queues.next_at == NOW + 10 * 200 + 200 - AT_ONCE_MS
    assert len(shard.gives(NOW + 60_000)) == 1


def test_in_any_period_no_more_begin_than_the_rate_and_one():
    """Whatever the moments at which the shard looks."""
    shard = Shard(LimitPolicy(rate=50, per_ms=1_000))
    for number in range(500):
        shard.waits(f"{number:03}")
    begun = [now for now in range(NOW, NOW + 6_000, 7) for _ in shard.gives(now)]
    assert 240 <= len(begun) <= 301
    for since in begun:
        assert sum(since <= now < since + 1_000 for now in begun) <= 51


def test_a_new_owner_goes_on_with_the_rate():
    """Also after a run that has ended since: what the run remembers says when the next may begin."""
    limit = LimitPolicy(rate=1, per_ms=10_000)
    new = Shard(limit)
    turn = {"key": "", "taken_at": NOW}
    pace = {"action": "a", "key": "", "at": NOW}
    new.queues.pace({"workflow": "order", "definition_version": "1", "turn": None, "paces": [pace]})
    new.waits("r")
    assert (new.gives(NOW + 9_999), new.gives(NOW + 10_000)) == ([], ["r"])
    runs = Shard(limit, whole=True)
    runs.queues.pace({"workflow": "order", "definition_version": "1", "turn": turn, "paces": []})
    runs.queues.note(runs.run("r", turn=Turn(queued_at=NOW)))
    assert runs.queues.next(NOW + 9_999) is None
    assert runs.queues.next(NOW + 10_000).run_id == "r"
    after = Shard(limit, whole=True)  # the run has taken the place of another one, whose turn it remembers
    own = {"action": "", "key": "", "at": NOW}
    after.queues.pace({"workflow": "order", "definition_version": "1", "turn": None, "paces": [own]})
    after.queues.note(after.run("r", turn=Turn(queued_at=NOW)))
    assert after.queues.next(NOW + 9_999) is None
    assert after.queues.next(NOW + 10_000).run_id == "r"


def test_runs_are_counted_until_they_have_ended():
    """Also while they are paused, or undo what they did; one that waits for its time is not counted."""
    shard = Shard(LimitPolicy(concurrency=1), whole=True)
    took = Turn(queued_at=NOW, taken_at=NOW)
    shard.queues.note(shard.run("delayed", turn=Turn()))
    shard.queues.note(shard.run("a", turn=Turn(queued_at=NOW)))
    assert shard.queues.next(NOW).run_id == "a"
    shard.queues.note(shard.run("b", turn=Turn(queued_at=NOW)))
    for status in (RunStatus.RUNNING, RunStatus.PAUSED, RunStatus.COMPENSATING):
        shard.queues.note(shard.run("a", turn=took, status=status))
        assert shard.queues.next(NOW) is None
    shard.queues.note(shard.run("a", turn=took, status=RunStatus.FAILED))
    assert shard.queues.next(NOW).run_id == "b"


def test_a_paused_run_stands_in_no_line():
    """What is out in it keeps its turn, what waits in it lets others go first."""
    shard = Shard(LimitPolicy(concurrency=1))
    shard.waits("paused", NOW - 5, status=RunStatus.PAUSED)
    shard.waits("next")
    assert shard.gives() == ["next"]


def test_one_that_cannot_go_on_lets_the_others_go_first():
    """It comes back later, unless it waits no longer."""
    shard = Shard(LimitPolicy(concurrency=1))
    shard.waits("broken", NOW - 5)
    shard.waits("gone", NOW - 4)
    shard.waits("whole")
    for name in ("broken", "gone"):
        place = shard.queues.next(NOW)
        assert place.run_id == name
        shard.queues.postpone(place, NOW + 60_000)
    assert shard.gives() == ["whole"]
    shard.ends("whole")
    shard.ends("gone")
    assert shard.queues.next_at is not None
    assert shard.gives(NOW + 59_999) == []
    assert shard.gives(NOW + 60_000) == ["broken"]


def test_what_waits_is_counted():
    """One gauge for steps and one for runs; what a shard has added is taken back when it is let go."""
    shard = Shard(LimitPolicy(concurrency=1))
    gauge = metrics.STEPS_QUEUED.labels(action="a")
    before = gauge._value.get()
    for name in "abc":
        shard.waits(name)
    assert gauge._value.get() - before == 3
    shard.gives()
    assert gauge._value.get() - before == 2
    shard.queues.end()
    assert gauge._value.get() == before


def test_lines_are_forgotten():
    """A key that nobody waits for any more costs nothing, once its rate need not be remembered."""
    shard = Shard(LimitPolicy(concurrency=1, rate=1, per_ms=1_000, key="'x'"))
    for number in range(50):
        shard.waits(f"r{number}", key=f"k{number}")
    assert len(shard.gives()) == 50
    for number in range(50):
        shard.ends(f"r{number}")
    assert shard.queues.lines == 50
    assert shard.queues.next(NOW + 2_000) is None
    assert shard.queues.lines == 0
    assert shard.queues.next_at is None
