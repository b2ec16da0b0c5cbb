"""Breakages of the shipped code, a line each, and that some world among a few notices: what is simulated is not simulated in vain."""

from contextlib import ExitStack

import pytest

from simulation import breakages, explore, world
from simulation.judgement import Violated
from simulation.plan import drawn
from support.mutation import all_mutated

BATCH = "actionbus.orchestrator.batch"
FOLD = "actionbus.orchestrator.fold"
TAKEOVER = "actionbus.orchestrator.takeover"
TENURE = "actionbus.orchestrator.tenure"
ANSWERING = "actionbus.worker.answering"
COMPLETE = "actionbus.engine.complete"
INBOX = "actionbus.worker.inbox"
FENCE_B = '        writers.append(await charter.log.fence(charter.shard, "b"))\n'
RESTORE = "    position = await _restore(charter, store, vetting)\n"
LATE = "step.status not in UNDER_WAY and not waits_for_operator:"
ACCEPTED = "step.status is StepStatus.COMPENSATING:\n        del draft.steps[step.path]\n        return Outcome.APPLIED\n    if "
FAILED = "            draft.fail(step.path, error)\n"
FORGET_UNDO = (
    "            draft.compensations = tuple(each for each in draft.compensations if each.step != step.path)\n"
)
CLAIM = "        if not await _claim(session, key, command):\n            return await _recall(session, key, command)\n    return await _work(session, key, command, command.input, work)"
REPLY = "        reply = Reply(record=record, settled=settled,"
SOME = 6_000  # worlds; most are noticed within a hundred, the rarest within a thousand or two

# A position that is parted from the state by its batch alone is not among them: only the end of a transaction that arrives
# twice, the second time late, tears a transaction apart, and the shipped producer sends it once. tests/protocol covers it.
BREAKAGES: dict[str, breakages.Changes] = {
    "the first transaction is on b": ((TENURE, "self._turn = 0  # A is first", "self._turn = 1"),),
    "b is not fenced": ((TAKEOVER, FENCE_B, FENCE_B.replace('"b"', "charter.owner")),),
    "b is fenced after the reading": (
        (TAKEOVER, FENCE_B, ""),
        (TAKEOVER, RESTORE, RESTORE + FENCE_B.removeprefix("    ")),
    ),
    "what stays open is not ended": ((TAKEOVER, "await writer.clear(charter.definitions.emitted)", "pass"),),
    "an owner goes on when its last transaction stays open": (
        ("actionbus.testing.log", "        self.check()\n", ""),
        (TENURE, "            self._holding.check()\n", ""),
    ),
    "nobody looks whether the last transaction stays open": ((TENURE, "            self._holding.check()\n", ""),),
    "the position is not where the state is": (
        (
            BATCH,
            "writer.append(topics.state, shard, batch.state)",
            "writer.append(topics.state, shard, batch.state[:-1])\n        writer.append(topics.events, shard, batch.state[-1:])",
        ),
    ),
    "commands are collected fold by fold": (
        (TENURE, "self._dispatcher.send(batch.runs, ", "self._dispatcher.send(written.every, "),
        (FOLD, "        self._bytes = 0\n", "        self._bytes = 0\n        self.every = []\n"),
        (
            FOLD,
            "            self.touched[run_id] = transition.run\n",
            "            self.touched[run_id] = transition.run\n            self.every.append(transition.run)\n",
        ),
    ),
    "commands go out before the commit": (
        (
            TENURE,
            "        self._flying = (fold, batch)\n",
            "        self._flying = (fold, batch)\n        self._dispatcher.send(batch.runs, batch.position.txn_seq)\n",
        ),
    ),
    "a transaction begins before the one before is known": (
        (TENURE, "if self._flight is None and self._ripe(fold):", "if self._ripe(fold):"),
    ),
    "the highest acknowledged counts": (
        (
            "actionbus.orchestrator.dispatching",
            "        reached =",
            "        lowest = None if self._newest <= txn_seq else lowest\n        reached =",
        ),
    ),
    "a takeover sends no undo again": (
        (
            TAKEOVER,
            'step["dispatch_seq"] > position.dispatched_through',
            'step["status"] == "SCHEDULED" and step["dispatch_seq"] > position.dispatched_through',
        ),
    ),
    "a shard that is let go looks at timers": (
        (TENURE, "if not self._stopping and not self._enough(fold):", "if not self._enough(fold):"),
    ),
    "a late success ends an undo": ((COMPLETE, LATE, ACCEPTED + LATE),),
    "the failed step is not undone": (("actionbus.engine.fail", FAILED, FORGET_UNDO + FAILED),),
    "the first is undone first": (
        ("actionbus.engine.compensate", "in reversed(draft.compensations)", "in draft.compensations"),
    ),
    "request ids are not remembered": (
        (
            "actionbus.engine.draft",
            "self.requests = remembered((*self.requests, request.request_id), self.definition.limits)",
            "pass",
        ),
    ),
    "the offset is committed before the result": (
        (ANSWERING, REPLY, "        settled()\n        reply = Reply(record=record, settled=None,"),
    ),
    "an effect does not need its row": (
        (
            INBOX,
            CLAIM,
            "        await _claim(session, key, command)\n    return await _work(session, key, command, command.input, work)",
        ),
    ),
    "an undo that comes first closes nothing": (
        (
            INBOX,
            "(crashing.Point.CANCEL_INSERTED)\n                await session.settle()\n",
            "(crashing.Point.CANCEL_INSERTED)\n",
        ),
    ),
}


def _noticed(name: str, changes: breakages.Changes, *, wide: bool) -> None:
    """With the line broken, one of so many worlds breaks a promise; in the shipped code it does not."""
    first = breakages.SEEN_IN.get(name, 0)
    seeds = (*range(first, SOME), *range(first))
    with all_mutated(*changes):
        broken = next((seed for seed in seeds if world.run(drawn(seed, wide=wide)).broken), None)
    assert broken is not None, "nobody noticed"
    assert world.run(drawn(broken, wide=wide)).broken is None


@pytest.mark.slow
@pytest.mark.parametrize("name", BREAKAGES)
def test_a_breakage_is_noticed(name: str) -> None:
    """Whatever a run of steps rests on: some world notices that it is broken."""
    _noticed(name, BREAKAGES[name], wide=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", breakages.WIDE)
def test_a_breakage_of_what_is_wide_is_noticed(name: str) -> None:
    """Whatever children, updates, tokens, limits, schedules, versions and operators rest on: some world notices."""
    _noticed(name, breakages.WIDE[name], wide=True)


def test_a_broken_world_is_made_small() -> None:
    """What is told of a failure is a world of fewer acts, in which the same promise is broken."""
    with ExitStack() as stack:
        stack.enter_context(all_mutated(*BREAKAGES["b is not fenced"]))
        report = next(report for seed in range(SOME) if (report := world.run(drawn(seed))).broken)
        small = explore.shrunk(report)
        assert isinstance(small.broken, Violated)
        assert small.broken.promise == report.broken.promise
        assert len(small.plan.acts) < len(report.plan.acts)
        assert explore.story(world.run(small.plan)) == explore.story(small)
