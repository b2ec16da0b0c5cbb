"""One node again and again."""

import pytest

from actionbus.contracts.limits import Limits
from actionbus.engine.inputs import TimerFired
from engine.graphs import cel, emit, put, ref, repeat, sequence, sequence_giving, step, throw, wait, workflow
from engine.matchers import has_ended, live, sent, waiting
from engine.play import started

TURN = ref("scope", "r", "turn")
LAST = ref("scope", "r", "last")


def again(body, **fields):
    """A workflow that repeats a node and gives what its last turn gave."""
    return workflow(repeat("r", body, **fields), output=ref("steps", "r"))


def test_turns_until_a_condition():
    """Each turn sees its number and what the one before gave; the condition is asked after it, of that turn."""
    play = started(again(step("a", input=[TURN, LAST]), until=cel("last == 'done'", last=LAST)))
    play.succeeds("r[0]", "more")
    play.succeeds("r[1]", "done")
    assert [command.input for command in play.sent] == [b"[0,null]", b'[1,"more"]']
    assert play.run.output == b'"done"'


def test_turns_while_a_condition():
    """The condition is asked before each turn; without a turn the output is null."""
    play = started(again(put("v", TURN), **{"while": cel("turn < n", turn=TURN, n=ref("input"))}), 3)
    assert play.run.output == b"2"
    assert started(play.definition, 0).run.output == b"null"


def test_a_number_of_turns():
    """A limit without a condition is simply how often."""
    play = started(again(step("a"), limit=2))
    play.succeeds("r[0]", 1)
    play.succeeds("r[1]", 2)
    assert play.run.output == b"2"


@pytest.mark.parametrize("fields", [{"until": False}, {"while": True}])
def test_too_many_turns(fields):
    """A condition that has not come true within the limit fails the node, and what its turns did is undone."""
    play = started(again(step("a", undo="u"), limit=2, **fields))
    play.succeeds("r[0]")
    play.succeeds("r[1]")
    assert play.run.error.type == "TooManyTurns"
    play.undoes("r[1]")
    play.undoes("r[0]")
    has_ended(play, "FAILED")


@pytest.mark.parametrize("fields", [{"until": ref("input", "no")}, {"while": 1}])
def test_a_condition_without_an_answer(fields):
    """A loop does not guess whether to go on."""
    play = started(again(put("v", 1), **fields), {})
    has_ended(play, "FAILED")
    assert play.run.error.type == "ConditionRefused"


def test_without_a_limit_every_turn_is_final():
    """What a finished turn did is not undone any more; the turn under way is."""
    play = started(again(step("a", undo="u")))
    play.succeeds("r[0]")
    play.succeeds("r[1]")
    play.fails("r[2]")
    play.undoes("r[2]")
    has_ended(play, "FAILED")
    assert sent(play)[-1] == "r[2]/undo/1"


def test_an_endless_loop_stays_small():
    """A thousand turns leave no more in the run than one."""
    body = sequence_giving("s", ref("steps", "b"), step("a", undo="u"), step("b", input=ref("steps", "a")))
    play = started(again(body, until=False))
    sizes = []
    for turn in range(1_000):
        play.succeeds(f"r[{turn}].a", turn % 10)
        play.succeeds(f"r[{turn}].b", turn % 10)
        assert len(play.run.steps) == 1
        sizes.append(len(play.run.model_dump_json()))
    assert sizes[-1] - sizes[10] < 40


@pytest.mark.parametrize("body", [put("v", 1), sequence("s"), repeat("inner", put("v", 1), limit=50)])
def test_an_endless_loop_that_needs_nobody_lets_others_go_on(body):
    """A transition ends after so many nodes, and the next one is due later than now, so no shard goes in circles."""
    play = started(workflow(repeat("r", body), limits=Limits(moves_per_transition=100)))
    for _ in range(5):
        (timer,) = play.run.timers
        assert timer.due_at > play.now
        play.gives(TimerFired(timer_id=timer.id), now=timer.due_at)
    assert play.run.status == "RUNNING"
    assert len(play.run.scopes) <= 3


def test_a_loop_that_yielded_loses_no_turn():
    """The turns before and after a break are one row of turns."""
    loop = repeat("r", emit("e", "t", None, TURN), limit=50)
    play = started(workflow(loop, limits=Limits(moves_per_transition=7)))
    play.passes(1_000)
    has_ended(play, "COMPLETED")
    assert [record.value for record in play.emits] == [b"%d" % turn for turn in range(50)]


def test_a_failed_turn_fails_it():
    """A loop has no rules of its own."""
    play = started(again(throw("t", "Refused"), limit=3))
    has_ended(play, "FAILED")
    assert play.run.error.type == "Refused"


def test_turns_wait_for_signals():
    """Signals that came early are taken one a turn, oldest first."""
    play = started(again(sequence("s", step("a"), wait("w", "go")), limit=2))
    play.signals("go", 1)
    play.signals("go", 2)
    play.succeeds("r[0].a")
    assert live(play.run) == {"r[1].a": "SCHEDULED"}
    play.succeeds("r[1].a")
    has_ended(play, "COMPLETED")


def test_a_loop_that_waits_may_be_cancelled():
    """The timer of a loop that lets others go on is gone with the loop."""
    play = started(workflow(step("a", undo="u"), repeat("r", put("v", 1)), limits=Limits(moves_per_transition=9)))
    play.succeeds("a")
    assert list(waiting(play.run)) == ["wake of r"]
    play.cancels()
    assert waiting(play.run) == {}
    play.undoes("a")
    has_ended(play, "CANCELLED")
