"""The rules of the shard protocol: each in a schedule that needs it, and the proof that the schedule does need it.

The schedules are the counterexamples that an exhaustive model of the protocol finds when the rule is left out. Here
they run the shipped code; then they run it once more with the rule taken out of its source, and must fail.
"""

from collections.abc import Awaitable, Callable

import pytest

from protocol import scenarios
from protocol.world import Violated
from support.mutation import all_mutated

Scenario = Callable[[], Awaitable[None]]
TAKEOVER = "actionbus.orchestrator.takeover"
TENURE = "actionbus.orchestrator.tenure"
FENCE_B = '        writers.append(await charter.log.fence(charter.shard, "b"))\n'
RESTORE = "    position = await _restore(charter, store, vetting)\n"


async def test_an_undisturbed_shard_completes_its_runs() -> None:
    """Without any fault every run completes, and every promise holds."""
    await scenarios.undisturbed()


async def test_rule_a_crossing_takeovers_leave_one_history() -> None:
    """Of two who take over at the same time at most one can write, because the first transaction is on A."""
    await _needed(scenarios.crossing_takeover, (TENURE, "self._turn = 0  # A is first", "self._turn = 1"))


async def test_rule_a_both_ids_are_fenced_before_anything_is_read() -> None:
    """Nobody can write between a successor's fences and its reading."""
    await _needed(
        scenarios.write_between_the_fences,
        (TAKEOVER, FENCE_B, ""),
        (TAKEOVER, RESTORE, RESTORE + FENCE_B.removeprefix("    ")),
    )


async def test_rule_b_after_a_doubt_both_ids_are_taken_again() -> None:
    """An owner in doubt cannot come back beside another one by renewing one id only."""
    keep = FENCE_B.replace("await", "_kept.get(id(charter)) or await") + "        _kept[id(charter)] = writers[1]\n"
    await _needed(
        scenarios.doubt_while_another_serves,
        (TAKEOVER, FENCE_B, keep),
        (TAKEOVER, "_log = structlog.get_logger(__name__)\n", "_log = structlog.get_logger(__name__)\n_kept = {}\n"),
        (TAKEOVER, "        await asyncio.gather(*(writer.close() for writer in self.writers))\n", ""),
    )


async def test_rule_c_a_torn_transaction_parts_no_run_from_its_position() -> None:
    """State and position share one record batch, so whatever tears a transaction leaves both or none."""
    whole = "writer.append(topics.state, shard, batch.state)"
    parted = "; ".join(f"writer.append(topics.state, shard, batch.state[{part}])" for part in (":-1", "-1:"))
    await _needed(scenarios.torn_transaction, ("actionbus.orchestrator.batch", whole, parted))


async def test_rule_d_commands_derive_from_the_runs_after_the_whole_batch() -> None:
    """No command goes out that no committed state has scheduled."""
    await _needed(
        scenarios.start_and_cancel_in_one_batch,
        (TENURE, "self._dispatcher.send(batch.runs, ", "self._dispatcher.send(written.every, "),
        (
            "actionbus.orchestrator.fold",
            "        self._bytes = 0\n",
            "        self._bytes = 0\n        self.every = []\n",
        ),
        (
            "actionbus.orchestrator.fold",
            "            self.touched[run_id] = transition.run\n",
            "            self.touched[run_id] = transition.run\n            self.every.append(transition.run)\n",
        ),
    )


async def test_rule_e_a_gap_below_the_mark_is_never_claimed() -> None:
    """A command without acknowledgement is sent again, whatever later ones were acknowledged."""
    highest = "        lowest = None if self._newest <= txn_seq else lowest\n        reached ="
    await _needed(scenarios.gap_below_the_mark, ("actionbus.orchestrator.dispatching", "        reached =", highest))


async def test_rule_e_commands_sent_again_count_under_their_old_number() -> None:
    """What a takeover has sent again stays unconfirmed until it is acknowledged itself."""
    recall = "again = self._dispatcher.recall(undispatched, self._committed.dispatched_through)\n"
    late = recall.replace("_committed", "_holding.position")
    await _needed(
        scenarios.gap_inherited,
        (TENURE, "        " + recall, ""),
        (
            TENURE,
            "        self._dispatcher.publish(again)\n",
            "        " + late + "        self._dispatcher.publish(again)\n",
        ),
    )


async def test_rule_f_a_takeover_sends_compensations_again() -> None:
    """A compensation whose command was lost with its owner goes out all the same."""
    forward = 'step["status"] == "SCHEDULED" and step["dispatch_seq"] > position.dispatched_through'
    await _needed(
        scenarios.crash_before_a_compensation_goes_out,
        (TAKEOVER, 'step["dispatch_seq"] > position.dispatched_through', forward),
    )


async def test_rule_g_a_step_that_is_being_undone_ignores_its_success() -> None:
    """A late success does not end a compensation; its row in the inbox decides what is undone."""
    old = "step.status not in UNDER_WAY and not waits_for_operator:"
    accept = (
        "step.status is StepStatus.COMPENSATING:\n        del draft.steps[step.path]\n        return Outcome.APPLIED\n"
    )
    await _needed(
        scenarios.late_success_while_compensating, ("actionbus.engine.complete", old, accept + "    if " + old)
    )


async def test_rule_h_the_failed_step_is_undone_as_well() -> None:
    """An attempt that reported a failure may come again and succeed; the compensation has closed it."""
    old = "            draft.fail(step.path, error)\n"
    drop = (
        "            draft.compensations = tuple(each for each in draft.compensations if each.step != step.path)\n"
        + old
    )
    await _needed(scenarios.failed_attempt_that_comes_again, ("actionbus.engine.fail", old, drop))


async def test_rule_j_an_ended_run_stays_for_as_long_as_its_start_may_come_again() -> None:
    """One request never starts two runs."""
    await _needed(
        scenarios.duplicate_start_after_the_end,
        ("actionbus.engine.end", "draft.now + draft.definition.run_retention_ms", "draft.now"),
    )


async def test_rule_j_a_transaction_begins_when_the_one_before_is_acknowledged() -> None:
    """No input is passed over because the transaction before it was lost."""
    await _needed(
        scenarios.second_transaction_while_the_first_is_out,
        (TENURE, "if self._flight is None and self._ripe(fold):", "if self._ripe(fold):"),
    )


async def test_commands_go_out_after_the_commit() -> None:
    """A transaction that never was has sent nothing."""
    await _needed(
        scenarios.commands_of_a_transaction_that_never_was,
        (
            TENURE,
            "        self._flying = (fold, batch)\n",
            "        self._flying = (fold, batch)\n        self._dispatcher.send(batch.runs, batch.position.txn_seq)\n",
        ),
    )


async def test_after_a_doubt_memory_is_dropped() -> None:
    """What a transaction of unknown outcome would have made of the runs is forgotten, and the log is read again."""
    forget = "            self._charter.destinations.forget()\n"
    await _needed(
        scenarios.commands_of_a_transaction_that_was_refused,
        (TENURE, forget + "            raise\n", forget + '            mark = Mark(offset=0, value=b"")\n'),
    )


async def test_the_position_is_that_of_the_state() -> None:
    """A position that is kept elsewhere, as a group's offset is, may be ahead of the state: inputs are passed over."""
    read = "    return charter.codec.decode(ShardPosition, mark.value)\n"
    ahead = "    found = charter.codec.decode(ShardPosition, mark.value)\n"
    ahead += "    return found.replace(requests_offset=found.requests_offset + 1)\n"
    await _needed(scenarios.requests_that_wait_for_a_successor, (TAKEOVER, read, ahead))


async def test_a_shard_that_is_dropped_ends() -> None:
    """Who is thrown out of the group writes nothing more: a cancelled shard is over, and does not try again."""
    swallowed = "            except BaseException as error:"
    await _needed(
        scenarios.dropped_while_it_serves,
        ("actionbus.orchestrator.shard", "            except Exception as error:", swallowed),
    )


async def _needed(scenario: Scenario, *changes: tuple[str, str, str]) -> None:
    """The scenario holds with the shipped code, and breaks a promise without the rule."""
    await scenario()
    with all_mutated(*changes), pytest.raises(Violated):
        await scenario()
