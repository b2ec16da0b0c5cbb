"""Steps and runs that wait for a turn under a limit, and what may happen to them while they wait."""

import pytest

from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.requests import IfExists
from actionbus.contracts.run import Pace
from actionbus.engine.inputs import Admitted
from actionbus.engine.transition import Outcome
from engine.graphs import (
    PAUSE,
    action,
    fallback,
    go_on_with,
    on,
    parallel,
    policy,
    ref,
    sleep,
    step,
    wait,
    workflow,
)
from engine.matchers import has_ended, is_ignored, is_refused, live, sent, story, told, waiting
from engine.play import START, Play, started

TWO = LimitPolicy(concurrency=2)
SOME = LimitPolicy(rate=3)


def limited(name="a", limit=TWO, **fields):
    """An action with a limit."""
    return action(name, limit=limit, **fields)


def waits(*nodes, actions=None, given=None, **fields) -> Play:
    """A run whose step a waits for its turn."""
    play = started(workflow(*nodes, actions=actions or [limited()], **fields), given)
    assert live(play.run)["a"] == "QUEUED"
    assert sent(play) == []
    return play


def admits(play, path="a"):
    """The shard says that a turn has come."""
    return play.gives(Admitted(path=path))


def test_a_step_waits_for_its_turn_and_says_why():
    """Nothing goes out before the turn has come; then it is a step like any other."""
    play = waits(step("a"))
    assert play.last.limited
    assert told(play.events[-1])[-1] == "a queued (the limit is 2 at a time)"
    play.passes(5_000)
    admits(play)
    assert (live(play.run), sent(play)) == ({"a": "SCHEDULED"}, ["a/1"])
    assert play.step("a").turn.taken_at == START + 5_000
    play.succeeds("a")
    has_ended(play, "COMPLETED")


def test_a_step_without_a_limit_is_not_looked_at():
    """Whoever gives turns need not look at runs of a workflow that limits nothing."""
    play = started(workflow(step("a")))
    assert (sent(play), play.last.limited, play.step("a").turn) == (["a/1"], False, None)


def test_a_turn_comes_once():
    """A second turn, one for a step that never waited, and one for no step at all change nothing."""
    play = waits(step("a"), step("b"))
    admits(play)
    for path in ("a", "b", "nothing", ""):
        is_ignored(play, admits(play, path))
    assert sent(play) == ["a/1"]


def test_an_attempt_takes_no_time_while_its_step_waits():
    """The time of an attempt and that of waiting for a worker begin with the turn; all attempts together have one."""
    play = waits(step("a", start_to_close_ms=10, schedule_to_start_ms=20, schedule_to_close_ms=5_000))
    play.passes(1_000)
    assert waiting(play.run) == {"schedule_to_close of a": START + 5_000}
    admits(play)
    assert waiting(play.run)["schedule_to_start of a"] == START + 1_020
    play.begins("a")
    assert waiting(play.run)["start_to_close of a"] == START + 1_010


def test_the_next_attempt_waits_again():
    """Between two attempts nothing is counted, and the second one stands at the end of the line."""
    play = waits(step("a"), actions=[limited(retry=policy(2))])
    admits(play)
    play.fails("a")
    assert live(play.run) == {"a": "BACKING_OFF"}
    play.passes(1_000)
    assert (live(play.run), sent(play)) == ({"a": "QUEUED"}, ["a/1"])
    assert (play.step("a").turn.queued_at, play.step("a").turn.taken_at) == (START + 1_000, 0)
    admits(play)
    assert sent(play) == ["a/1", "a/2"]


def test_a_late_success_counts_while_the_next_attempt_waits():
    """The step key is the same, so the effect is one; a failure that comes twice is one failure."""
    play = waits(step("a"), actions=[limited(retry=policy(2, initial_ms=0))])
    admits(play)
    play.fails("a")
    assert live(play.run) == {"a": "QUEUED"}
    assert play.fails("a", attempt=1).outcome.value == "repeated"
    play.succeeds("a", attempt=1)
    has_ended(play, "COMPLETED")


def test_what_undoes_a_step_is_registered_with_its_turn():
    """A step that never had its turn never happened, and is not undone; one that had may have happened, and is."""
    play = waits(step("a", undo="undo-a"))
    assert play.run.compensations == ()
    play.cancels()
    has_ended(play, "CANCELLED")
    assert "a cancelled" in story(play)
    assert sent(play) == []
    play = waits(step("a", undo="undo-a"))
    admits(play)
    play.cancels()
    assert (live(play.run), sent(play)) == ({"a": "COMPENSATING"}, ["a/1", "a/undo/1"])


def test_an_undo_reads_what_it_reads_when_the_turn_comes():
    """The outputs before it, and the item of a loop, are still there."""
    undo = {"action": "undo-a", "input": {"of": ref("steps", "first")}}
    play = started(workflow(step("first"), step("a", undo=undo), step("b"), actions=[limited()]))
    play.succeeds("first", 7)
    admits(play)
    assert play.run.compensations[0].input == b'{"of":{"$literal":7}}'


def test_a_step_that_waits_is_terminated():
    """Nothing is left of it."""
    play = waits(step("a"))
    play.terminates()
    has_ended(play, "TERMINATED")
    is_ignored(play, admits(play))


def test_the_time_of_all_attempts_ends_a_wait():
    """The step fails like one that took too long, and its rules decide."""
    play = waits(step("a", on("Timeout", go_on_with(7)), schedule_to_close_ms=1_000))
    play.passes(1_000)
    has_ended(play, "COMPLETED")
    assert "a skipped 7" in story(play)
    assert sent(play) == []


def test_a_step_that_waited_too_long_and_then_for_an_operator_waits_anew():
    """A retry by hand asks for a turn as well."""
    play = waits(step("a", on("Timeout", PAUSE), schedule_to_close_ms=1_000))
    play.passes(1_000)
    assert play.step("a").stuck is not None
    play.retries("a")
    assert (live(play.run), sent(play)) == ({"a": "QUEUED"}, [])
    admits(play)
    play.succeeds("a")
    has_ended(play, "COMPLETED")


def test_no_turn_comes_in_a_paused_run():
    """The step keeps its place in the line, and goes on once the run is resumed."""
    play = waits(step("a"))
    play.pauses()
    is_ignored(play, admits(play))
    play.resumes()
    assert play.step("a").turn.queued_at == START
    admits(play)
    assert sent(play) == ["a/1"]


def test_a_step_that_waits_is_skipped_and_completed_by_hand():
    """What an operator did need not wait."""
    for by_hand in ("skips", "completes"):
        play = waits(step("a"))
        getattr(play, by_hand)("a", 1)
        has_ended(play, "COMPLETED")
    play = waits(step("a"))
    is_refused(play.retries("a"), "waits for its turn under the limit of a")


def test_a_key_counts_apart():
    """The key is what its expression makes of the step's input."""
    by_customer = LimitPolicy(concurrency=1, key="input.customer + '/' + input.region")
    given = {"customer": ref("input"), "region": "eu"}
    play = waits(step("a", input=given), actions=[limited(limit=by_customer)], given="ada")
    assert play.step("a").turn.key == "ada/eu"
    assert "here ada/eu" in story(play)[-1]


@pytest.mark.parametrize("key", ["input.nobody", "input", "string(input.list)", "input.long"])
def test_a_key_that_cannot_be_made_fails_the_step(key):
    """What is missing, no text, or far too long is told as a refused input."""
    given = {"list": [1], "long": "x" * 201}
    play = started(workflow(step("a", input=given), actions=[limited(limit=LimitPolicy(concurrency=1, key=key))]))
    has_ended(play, "FAILED")
    assert play.run.error.type == "InputRefused"


def test_a_fallback_waits_for_its_own_turn():
    """A step that stands in for another one has the limit of its own action."""
    play = started(workflow(step("b", on(None, fallback("a"))), actions=[limited()]))
    play.fails("b")
    assert live(play.run) == {"b": "FAILED", "b.a": "QUEUED"}
    admits(play, "b.a")
    assert sent(play) == ["b/1", "b.a/1"]


def test_the_latest_turn_under_a_rate_is_remembered():
    """A new owner of the shard goes on from there; of a limit without a rate nothing is kept."""
    nodes = parallel("all", step("a"), step("b"), step("c", action="a"))
    play = started(workflow(nodes, actions=[limited(limit=SOME), limited("b")]))
    for path in ("all.a", "all.b", "all.c"):
        play.passes(10)
        admits(play, path)
    assert play.run.paces == (Pace(action="a", at=START + 30),)


# Undoing


def test_an_undo_waits_for_its_turn():
    """The limit of an action counts whatever asks for it; no turn is lost and none is needed twice."""
    play = started(workflow(step("one", undo="a"), step("two"), actions=[limited()], undo_retry=policy(3)))
    play.succeeds("one")
    play.fails("two")
    assert (live(play.run), sent(play)) == ({"one": "COMPENSATING"}, ["one/1", "two/1"])
    assert play.step("one").queued
    admits(play, "one")
    assert sent(play)[-1] == "one/undo/1"
    assert not play.step("one").queued
    play.fails("one", undo=True)
    assert not play.step("one").queued
    play.passes(1_000)
    assert play.step("one").queued
    is_ignored(play, play.fails("one", undo=True, attempt=1), Outcome.REPEATED)
    admits(play, "one")
    play.undoes("one")
    has_ended(play, "FAILED")


def test_the_key_of_an_undo_is_that_of_its_input():
    """One that cannot be told, because only the worker will see the output, is counted with all others of its kind."""
    by_id = LimitPolicy(concurrency=1, key="input.id")
    for given, key in ({"id": ref("input")}, "ada"), ({"id": ref("made", "id")}, ""):
        definition = workflow(
            step("one", undo={"action": "a", "input": given}), step("two"), actions=[limited(limit=by_id)]
        )
        play = started(definition, "ada")
        play.answers("one", "failed")
        assert play.step("one").turn.key == key


def test_an_undo_that_waits_is_done_by_hand():
    """It counts as undone, and the run ends."""
    play = started(workflow(step("one", undo="a"), actions=[limited()]))
    play.cancels()
    assert play.step("one").queued
    is_refused(play.retries("one"), "waits for its turn")
    play.completes("one")
    has_ended(play, "CANCELLED")


# Runs


def held_back(**fields) -> Play:
    """A run of a workflow that may have one run at a time."""
    play = Play(workflow(step("a"), limit=LimitPolicy(concurrency=1), **fields))
    play.starts("ada")
    return play


def test_a_run_is_accepted_and_waits_for_its_turn():
    """It has begun nothing, and then begins."""
    play = held_back()
    assert story(play) == ["request_accepted", 'run_started "ada"', "queued (the limit is 1 at a time)"]
    assert (play.run.status, play.run.queued, play.run.unbegun, sent(play)) == ("RUNNING", True, True, [])
    play.passes(70_000)
    admits(play, "")
    assert (play.run.queued, play.run.unbegun, sent(play)) == (False, False, ["a/1"])
    play.succeeds("a")
    has_ended(play, "COMPLETED")


def test_a_run_remembers_the_turns_of_the_one_whose_place_it_takes():
    """Under the rate of its workflow, and under those of actions: a new owner of the shard finds them nowhere else."""
    made = workflow(step("a"), limit=LimitPolicy(rate=1), actions=[limited(limit=SOME)])
    play = Play(made)
    play.starts("ada")
    admits(play, "")
    play.passes(10)
    admits(play)
    play.succeeds("a")
    play.incarnation = "1"
    play.starts("ada", request_id="start-2", if_exists=IfExists.REPLACE)
    assert play.run.incarnation == "1"
    assert play.run.paces == (Pace(action="a", at=START + 10), Pace(action="", at=START))


def test_the_time_of_a_run_begins_with_its_turn():
    """A run that waits in a line cannot take too long."""
    play = held_back(run_timeout_ms=1_000)
    assert play.passes(5_000) == []
    admits(play, "")
    assert waiting(play.run) == {"run_timeout": play.now + 1_000}


def test_a_delayed_run_stands_in_line_when_its_time_has_come():
    """Until then it is not counted, and its place is the later one."""
    play = Play(workflow(step("a"), limit=LimitPolicy(concurrency=1), run_timeout_ms=1_000))
    play.starts(due_at=START + 5_000)
    assert (play.run.queued, play.run.unbegun) == (False, True)
    is_ignored(play, admits(play, ""))
    play.passes(5_000)
    assert (play.run.turn.queued_at, sent(play)) == (START + 5_000, [])
    admits(play, "")
    assert sent(play) == ["a/1"]


def test_a_run_that_waits_is_cancelled_terminated_and_paused():
    """It ends at once, for nothing is there to undo; while it is paused its turn does not come."""
    for end, status in ("cancels", "CANCELLED"), ("terminates", "TERMINATED"):
        play = held_back()
        getattr(play, end)()
        has_ended(play, status)
        assert not play.run.queued
        is_ignored(play, admits(play, ""))
    play = held_back()
    play.pauses()
    is_ignored(play, admits(play, ""))
    play.resumes()
    admits(play, "")
    assert sent(play) == ["a/1"]


def test_a_run_keeps_the_key_of_its_input_and_its_priority():
    """Also where nothing else reads the input."""
    play = Play(workflow(step("a"), limit=LimitPolicy(concurrency=1, key="input.customer")))
    play.starts({"customer": 7}, priority=-3)
    assert (play.run.turn.key, play.run.priority, play.run.input) == ("7", -3, None)


@pytest.mark.parametrize(
    ("given", "fields", "why"),
    [("ada", {}, "the input is refused"), ({"customer": 1}, {"priority": 101}, "from -100 to 100")],
)
def test_a_start_without_a_place_is_refused(given, fields, why):
    """Who has no key cannot be counted, and a priority has bounds."""
    play = Play(workflow(step("a"), limit=LimitPolicy(concurrency=1, key="input.customer")))
    is_refused(play.starts(given, **fields), why)


def test_a_signal_finds_a_run_that_waits_for_its_turn():
    """It is kept until something waits for it."""
    play = Play(workflow(wait("w", "go"), limit=LimitPolicy(concurrency=1)))
    play.starts()
    play.signals("go")
    admits(play, "")
    has_ended(play, "COMPLETED")


# Debouncing


def again(play, value, after_ms=1_000, **fields):
    """One more start with the same id, a moment later."""
    return play.starts(
        value,
        request_id=f"start-{value}",
        if_exists="debounce",
        due_at=play.now + after_ms,
        **fields,
    )


def bounced() -> Play:
    """A run that begins in a second."""
    play = Play(workflow(step("a", input={"n": ref("input")}), run_timeout_ms=50))
    again(play, 1)
    return play


def test_a_later_start_gives_a_waiting_run_its_input_and_its_time():
    """One run begins, with the last input, a second after the last start."""
    play = bounced()
    play.passes(600)
    again(play, 2, priority=5)
    assert story(play)[-3:] == ["request_accepted", "start_changed 2", 'wait_began {"until":1001600}']
    assert waiting(play.run) == {"wake": START + 1_600, "run_timeout": START + 1_650}
    play.passes(999)
    assert sent(play) == []
    play.passes(1)
    assert [command.input for command in play.sent] == [b'{"n":2}']
    assert (play.run.priority, play.run.incarnation) == (5, "0")


def test_the_same_start_twice_moves_nothing():
    """A start that is sent again was carried out before, be it the first one or a later one."""
    play = bounced()
    again(play, 2)
    play.passes(500)
    for value in (1, 2):
        assert again(play, value).outcome.value == "repeated"
    assert waiting(play.run)["wake"] == START + 1_000


def test_a_start_after_the_beginning_is_refused():
    """A run under way is not touched; its caller is told, and decides."""
    play = bounced()
    play.passes(1_000)
    is_refused(again(play, 2), "the run id is taken")


def test_a_start_after_the_end_begins_a_new_run():
    """It waits as the first one did."""
    play = bounced()
    play.passes(1_000)
    play.succeeds("a")
    play.incarnation = "1"
    again(play, 2)
    assert (play.run.incarnation, play.run.unbegun, play.run.version) == ("1", True, 1)


def test_a_run_that_waits_for_its_turn_is_postponed_as_well():
    """It leaves the line, and stands at its end when its new time has come."""
    play = held_back()
    again(play, "bob")
    assert (play.run.queued, play.run.unbegun) == (False, True)
    play.passes(1_000)
    assert play.run.turn.queued_at == START + 1_000


def test_a_waiting_run_takes_the_newest_version_of_its_definition():
    """Nothing of it has happened, so nothing holds it to the old one."""
    play = bounced()
    play.definition = workflow(step("b"), sleep("night", 5), version="2")
    again(play, 2)
    assert play.run.definition_version == "2"
    play.passes(1_000)
    assert sent(play) == ["b/1"]


def test_a_bad_start_leaves_a_waiting_run_as_it_is():
    """An input that does not fit is refused, and so is another workflow."""
    play = Play(workflow(step("a"), input_schema={"type": "integer"}))
    again(play, 1)
    is_refused(again(play, "two"), "the input is refused")
    play.definition = workflow(step("a"), name="another")
    is_refused(again(play, 3), "the run id is taken")
