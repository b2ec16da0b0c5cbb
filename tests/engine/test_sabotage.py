"""Breakages of the engine, a line each, and the test that catches it: what a test promises, it would notice missing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from actionbus.engine.shapes import SHAPES
from engine import (
    test_advance,
    test_child,
    test_compensate,
    test_complete,
    test_doubt,
    test_fail,
    test_fire,
    test_liveness,
    test_map,
    test_operator,
    test_parallel,
    test_pause,
    test_repeat,
    test_rewind,
    test_schedule,
    test_signal,
    test_try,
    test_turns,
    test_wait,
)
from support.mutation import mutated

ENGINE = "actionbus.engine"


@dataclass(frozen=True)
class Breakage:
    """One line of a module of the engine changed, and who notices."""

    module: str
    old: str
    new: str
    caught_by: Callable[[], None]


def _with(test, *given) -> Callable[[], None]:
    return lambda: test(*given)


BREAKAGES = {
    "the engine looks at a clock": Breakage(
        "draft",
        "        self.now = now\n",
        '        self.now = now + __import__("time").perf_counter_ns()\n',
        test_advance.test_the_same_inputs_give_the_same_bytes,
    ),
    "any attempt may fail": Breakage(
        "fail",
        "if step is None or step.attempt != command.attempt:",
        "if step is None:",
        test_fail.test_only_the_current_attempt_can_fail,
    ),
    "a rule for any error decides about a doubt": Breakage(
        "fail",
        "if doubt and not _named(plan.rules, verdict):",
        "if doubt and not verdict.number:",
        test_doubt.test_a_rule_that_names_the_doubt_decides,
    ),
    "an attempt that nobody heard of again has failed": Breakage(
        "fail",
        "if began and steps.plan_of(draft, step.path).action.asks_once",
        "if False",
        lambda: test_doubt.test_an_attempt_that_took_too_long_is_in_doubt(None),
    ),
    "a resumed run tries again what may have happened": Breakage(
        "pause",
        "if step.status is not StepStatus.UNKNOWN",
        "",
        test_doubt.test_a_run_that_is_resumed_does_not_try_it_again,
    ),
    "a compensation is not registered": Breakage(
        "shapes.step",
        "draft.compensations = (*draft.compensations, undo)",
        "pass",
        test_compensate.test_an_undo_is_registered_when_its_step_is_dispatched,
    ),
    "a step that waited for its turn is not undone": Breakage(
        "shapes.step",
        "if undo is None else (*draft.compensations, undo)",
        "",
        test_turns.test_what_undoes_a_step_is_registered_with_its_turn,
    ),
    "a turn comes in a paused run": Breakage(
        "admit", "if draft.paused:", "if False:", test_turns.test_no_turn_comes_in_a_paused_run
    ),
    "the next attempt waits no longer": Breakage(
        "shapes.step", "if step.turn is not None:", "if False:", test_turns.test_the_next_attempt_waits_again
    ),
    "undos run first first": Breakage(
        "compensate",
        "in reversed(draft.compensations)",
        "in draft.compensations",
        test_map.test_a_failure_undoes_all_items,
    ),
    "a time-out is not disarmed": Breakage(
        "complete",
        "    draft.disarm(step.path)\n",
        "",
        test_fire.test_an_answer_ends_the_time_of_an_attempt,
    ),
    "an earlier attempt cannot succeed": Breakage(
        "complete",
        "not 1 <= command.attempt <= step.attempt",
        "command.attempt != step.attempt",
        test_complete.test_a_success_of_an_earlier_attempt_counts,
    ),
    "a step whose undo is stuck succeeds": Breakage(
        "complete",
        "step.status in (StepStatus.FAILED, StepStatus.UNKNOWN) and step.stuck",
        "step.stuck",
        test_operator.test_a_step_whose_undo_is_stuck_ignores_its_success,
    ),
    "outputs are forgotten too early": Breakage(
        "liveness", "last = max(", "last = min(", test_liveness.test_of_many_readers_the_last_one_decides
    ),
    "outputs that are handed on are not kept": Breakage(
        "definition",
        "if around and around.shape.hands_on and",
        "if False and",
        test_parallel.test_what_is_handed_on_through_other_nodes_is_kept,
    ),
    "losers are not undone": Breakage(
        "shapes.parallel",
        "        if losers:\n",
        "        if not losers:\n",
        test_parallel.test_what_losers_did_is_undone_before_the_run_goes_on,
    ),
    "losers go on": Breakage(
        "shapes.parallel",
        "            draft.abandon(each)\n",
        "",
        test_wait.test_a_wait_that_is_given_up_takes_no_signal,
    ),
    "an undo of a branch is asked for twice": Breakage(
        "moves",
        "case Unwind(below=below):",
        "case Unwind(path=below):",
        test_parallel.test_a_failure_and_the_last_success_in_one_transition,
    ),
    "an item that may fail is not undone": Breakage(
        "shapes.map",
        "        draft.unwind(path, child)\n",
        "        self.unwound(draft, place, path, child)\n",
        test_map.test_a_failed_item_that_may_fail_is_undone,
    ),
    "a list keeps its shard": Breakage(
        "shapes.map",
        " < most and not draft.busy:",
        " < most:",
        test_map.test_many_items_that_need_nobody_take_turns_with_other_runs,
    ),
    "turns keep their compensations": Breakage(
        "shapes.repeat",
        "if place.node.limit is None:",
        "if place.node.limit:",
        test_repeat.test_without_a_limit_every_turn_is_final,
    ),
    "a loop forgets a turn when it lets others go on": Breakage(
        "shapes.repeat",
        "draft.arm(TimerKind.WAKE, draft.now + 1, path)",
        "draft.open(path, turn + 1, None)\n                draft.arm(TimerKind.WAKE, draft.now + 1, path)",
        test_repeat.test_a_loop_that_yielded_loses_no_turn,
    ),
    "a block is tried again under the same path": Breakage(
        "shapes.try_",
        "attempt = draft.scopes[path].cursor + 1",
        "attempt = draft.scopes[path].cursor",
        test_try.test_a_block_is_tried_again,
    ),
    "what always follows does not": Breakage(
        "shapes.try_", "always = place.node.always", "always = None", test_try.test_what_always_follows_a_success
    ),
    "a block that keeps what it did is undone": Breakage(
        "compensate",
        "    if asked.begun:\n        return False\n",
        "",
        test_try.test_a_block_that_keeps_what_it_did_waits_for_the_undo_that_began,
    ),
    "an undo that nobody asked for leads on": Breakage(
        "compensate",
        "    elif then:\n        draft.unwind(**then)\n",
        '    else:\n        draft.unwind("t", "t[1]")\n',
        test_try.test_an_undo_that_began_leads_nowhere_while_what_always_follows_does,
    ),
    "a buffered signal is delivered twice": Breakage(
        "shapes.wait",
        "draft.signals = tuple(each for each in draft.signals if each is not early)",
        "pass",
        test_signal.test_one_early_signal_serves_one_wait,
    ),
    "the last signal is taken first": Breakage(
        "shapes.wait",
        "for each in draft.signals if each.name",
        "for each in draft.signals[::-1] if each.name",
        test_signal.test_a_signal_that_comes_early_is_kept,
    ),
    "a timer outlives what was given up": Breakage(
        "draft",
        "or each.step in undoing or not among(each.step)",
        "or True",
        test_wait.test_a_wait_that_is_given_up_takes_no_signal,
    ),
    "a wait outlives what was given up": Breakage(
        "draft",
        "[each for each in self.scopes.values() if among(each.path)]",
        "[]",
        test_wait.test_a_wait_that_is_given_up_takes_no_signal,
    ),
    "the end of another run's child counts": Breakage(
        "child",
        "if (parent.run_id, parent.incarnation) != (draft.run.run_id, draft.run.incarnation):",
        "if False:",
        test_child.test_a_report_for_an_earlier_run_of_that_id_is_ignored,
    ),
    "a run is cancelled that somebody else started": Breakage(
        "advance",
        "if request.parent is not None and not child.started_by(run, request.parent):",
        "if False:",
        test_child.test_a_run_that_somebody_else_started_is_left_alone,
    ),
    "nobody hears that a start was refused": Breakage(
        "verdict",
        "requests=report.of_refusal(request, reason, now)",
        "requests=()",
        _with(test_child.test_a_start_that_is_refused_fails_the_node, "taken"),
    ),
    "undoing does not wait for a cancelled child": Breakage(
        "shapes.child",
        "        if node.give_up is GiveUp.CANCEL:\n",
        "        if False:\n",
        test_child.test_what_the_run_did_is_undone_once_the_child_has_ended,
    ),
    "a child that completed too late is not undone": Breakage(
        "child",
        "    if undo is None:\n",
        "    if True:\n",
        test_child.test_a_child_that_completed_before_it_was_cancelled_is_undone,
    ),
    "an incident outlives what was given up": Breakage(
        "draft",
        "                self.unstick(step)\n",
        "",
        test_parallel.test_a_stuck_step_of_a_loser_needs_nobody_any_more,
    ),
    "request ids are not remembered": Breakage(
        "draft",
        "self.requests = remembered((*self.requests, request.request_id), self.definition.limits)",
        "pass",
        test_operator.test_no_request_is_carried_out_twice,
    ),
    "a signal with start is not remembered": Breakage(
        "start",
        "(*run.requests, run.start_request_id)",
        "run.requests",
        test_signal.test_a_signal_with_start_meets_a_run,
    ),
    "a pause does not hold retries": Breakage(
        "shapes.step", "    if draft.paused:\n", "    if False:\n", _with(test_pause.test_the_next_attempt_is_held, 0)
    ),
    "a pause does not hold what begins": Breakage(
        "progress",
        "if draft.paused and _held(draft, move):",
        "if False:",
        test_pause.test_what_is_out_is_taken_in_and_nothing_follows,
    ),
    "a failure ends a pause": Breakage(
        "end",
        "    if not draft.paused:\n",
        "    if True:\n",
        test_pause.test_a_failed_run_undoes_after_the_resume,
    ),
    "an attempt stays held when something else follows": Breakage(
        "fail",
        "    draft.unhold(step.path)\n",
        "",
        test_pause.test_the_time_of_a_step_may_be_over_while_its_attempt_is_held,
    ),
    "an attempt stays held when its undo has ended": Breakage(
        "compensate",
        "    draft.unhold(step.path)\n",
        "",
        _with(test_pause.test_an_undo_that_ends_lets_go_of_its_next_attempt, lambda play: play.undoes("b", attempt=1)),
    ),
    "an attempt stays held after a late success": Breakage(
        "complete", "    draft.unhold(step.path)\n", "", test_pause.test_a_late_success_lets_go_of_the_next_attempt
    ),
    "a step without an input is sent": Breakage(
        "operator",
        "    elif step.attempt:\n",
        "    elif True:\n",
        test_operator.test_a_step_that_could_not_even_be_sent_is_entered_again,
    ),
    "an undo without an input is sent": Breakage(
        "compensate",
        "step.input if step.attempt else _input(draft, step)",
        "step.input",
        test_operator.test_an_undo_without_an_input_is_never_sent,
    ),
    "a firing fires again": Breakage(
        "shapes.turn",
        "            self._note(next=self.schedule.next_after(at))\n",
        "",
        test_schedule.test_a_run_is_started_at_each_time,
    ),
    "what is too late is passed over in silence": Breakage(
        "shapes.turn",
        "        self.draft.note(EntryKind.FIRINGS_MISSED, step=self.path, data=payloads.encode(told))\n",
        "",
        test_schedule.test_what_is_late_within_the_window_fires,
    ),
    "what is too late fires": Breakage(
        "shapes.turn", "        self._pass_over()\n", "", test_schedule.test_what_is_late_within_the_window_fires
    ),
    "a live run does not count": Breakage(
        "shapes.turn",
        "(overlap is Overlap.SKIP or full)",
        "full",
        test_schedule.test_a_firing_that_meets_a_live_run_is_skipped,
    ),
    "a firing that waits is replaced in silence": Breakage(
        "shapes.turn",
        '                self._skip(standing.waiting, "a later firing takes its place")\n',
        "                pass\n",
        test_schedule.test_a_live_run_is_cancelled_for_the_next_firing,
    ),
    "a run is cancelled for every firing": Breakage(
        "shapes.turn",
        " and not standing.cancelled:",
        ":",
        test_schedule.test_a_live_run_is_cancelled_for_the_next_firing,
    ),
    "a transition starts as many runs as are due": Breakage(
        "shapes.turn",
        "            and self._started < limits.schedule_firings\n",
        "",
        test_schedule.test_a_long_sleep_takes_bounded_transitions,
    ),
    "a refused cancellation counts as a refused start": Breakage(
        "shapes.turn",
        "known.status != schedules.STARTED",
        "False",
        test_schedule.test_a_run_that_ended_before_it_was_cancelled,
    ),
    "an update forgets what is due": Breakage(
        "shapes.turn",
        "        self._pass_over(all_of_it=True)\n",
        "",
        test_schedule.test_an_update_of_a_paused_schedule,
    ),
    "an update comes before what is due": Breakage(
        "schedule",
        "        turn.go()  # what was due before somebody asked comes first\n",
        "        pass\n",
        test_schedule.test_an_update_counts_from_now_on,
    ),
    "what runs again has its old step key": Breakage(
        "rewind",
        "    draft.rewound += 1\n",
        "",
        test_rewind.test_what_runs_again_has_another_step_key,
    ),
    "answers of before a rewind are taken": Breakage(
        "advance",
        "return (command.run_id, command.incarnation) == (draft.run.run_id, own)",
        "return command.run_id == draft.run.run_id",
        test_rewind.test_what_runs_again_has_another_step_key,
    ),
    "an undo looks for its step under the run's own key": Breakage(
        "compensate",
        "        incarnation=undo.incarnation,\n",
        "",
        test_rewind.test_what_ran_again_is_undone_under_its_own_key,
    ),
    "what waited for its turn is undone under another key": Breakage(
        "shapes.step",
        "plan.undo, step.path, step.incarnation)",
        "plan.undo, step.path, draft.incarnation)",
        test_rewind.test_what_waited_for_its_turn_keeps_its_key,
    ),
    "going back undoes only the node": Breakage(
        "shapes.sequence",
        "number(each) >= first",
        "number(each) == first",
        test_rewind.test_what_ran_from_the_node_on_is_undone_last_first_and_runs_again,
    ),
    "going back undoes nothing": Breakage(
        "shapes.sequence",
        "        if last is None:\n",
        "        if True:\n",
        test_rewind.test_what_ran_from_the_node_on_is_undone_last_first_and_runs_again,
    ),
    "going back waits for no undo that is under way": Breakage(
        "shapes.sequence",
        "[*undoing, *(undo.step for undo in draft.compensations)]",
        "[undo.step for undo in draft.compensations]",
        test_rewind.test_children_end_first_and_new_ones_have_other_ids,
    ),
    "a child that runs again has the id of the first": Breakage(
        "shapes.child",
        "draft.incarnation or draft.run.incarnation",
        "draft.run.incarnation",
        test_rewind.test_children_end_first_and_new_ones_have_other_ids,
    ),
    "what was forgotten is not asked for": Breakage(
        "rewind",
        "    if lacking:\n",
        "    if False:\n",
        test_rewind.test_what_was_forgotten_has_to_be_given_back,
    ),
    "a run that is undone goes back": Breakage(
        "rewind",
        "    if run.ending is not None:\n",
        "    if False:\n",
        test_rewind.test_it_is_refused_while_the_run_is_undone_and_once_it_has_ended,
    ),
    "looking back forgets": Breakage(
        "progress",
        " if draft.definition.forgets else ()",
        "",
        test_rewind.test_a_history_tells_what_was_forgotten,
    ),
    "an id that many nodes have means the first": Breakage(
        "addressing",
        "    if len(found) > 1:\n",
        "    if False:\n",
        test_operator.test_an_id_that_many_live_nodes_have_is_refused_with_their_paths,
    ),
    "the incidents of 0.1 are forgotten": Breakage(
        "draft",
        "stuck is not None and stuck.stuck is None:",
        "False:",
        test_operator.test_an_incident_of_version_0_1_is_dealt_with,
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES.values(), ids=BREAKAGES.keys())
def test_a_breakage_is_caught(breakage, monkeypatch):
    """The named test passes with the engine as it is, and fails with the line broken."""
    breakage.caught_by()
    with broken(breakage, monkeypatch):
        try:
            breakage.caught_by()
        except Exception:  # noqa: BLE001 - an engine that breaks loudly is caught as well
            return
    pytest.fail("nobody noticed")


@contextmanager
def broken(breakage: Breakage, monkeypatch) -> Iterator[None]:
    """The engine with that line changed; the table of shapes holds instances, so theirs is made anew."""
    name = f"{ENGINE}.{breakage.module}"
    with mutated(name, (breakage.old, breakage.new)) as changed, monkeypatch.context() as patched:
        for kind, shape in SHAPES.items():
            if type(shape).__module__ == name:
                patched.setitem(SHAPES, kind, getattr(changed, type(shape).__name__)())
        yield
