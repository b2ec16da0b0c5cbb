"""A run goes back to a node that it has been through, and what ran from there on is undone and runs again."""

import pytest

from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import RunStatus
from actionbus.engine import recall
from actionbus.engine.rebuild import rebuild
from actionbus.engine.replay import replay
from actionbus.engine.transition import Outcome
from engine.graphs import (
    ONCE,
    PAUSE,
    action,
    block,
    call,
    caught,
    child,
    choose,
    each,
    go_on_with,
    handle,
    on,
    parallel,
    person,
    policy,
    put,
    ref,
    repeat,
    retry,
    sequence,
    sleep,
    step,
    wait,
    workflow,
)
from engine.matchers import has_ended, is_ignored, is_refused, live, sent, story, waiting
from engine.play import Play, started


def three(**fields):
    """A run that has done two steps and waits for the third; the third reads them both."""
    reads = {"a": ref("steps", "a"), "b": ref("steps", "b")}
    play = started(
        workflow(
            step("a", undo="ua"),
            step("b", undo="ub", input={"a": ref("steps", "a")}),
            step("c", undo="uc", input=reads),
            output=ref("steps", "c"),
            **fields,
        )
    )
    play.succeeds("a", 1)
    play.succeeds("b", 2)
    return play


def test_what_ran_from_the_node_on_is_undone_last_first_and_runs_again():
    """The step that is out is given up and undone, then the one before it; what came before the node stays."""
    play = three()
    play.rewinds("b")
    assert live(play.run) == {"a": "SUCCEEDED", "c": "COMPENSATING"}
    play.undoes("c")
    play.undoes("b")
    assert sent(play) == ["a/1", "b/1", "c/1", "c/undo/1", "b/undo/1", "b/1"]
    assert [undo.step for undo in play.run.compensations] == ["a", "b"]


def test_what_runs_again_has_another_step_key():
    """The old key is closed by its undo; the answers of its attempts are not those of the new ones."""
    play = three()
    play.rewinds("b")
    play.undoes("c")
    play.undoes("b")
    old, new = [command for command in play.executed() if command.step == "b"]
    assert (old.step_key, new.step_key) == ("r-1:0/b", "r-1:0.1/b")
    (undo,) = [command for command in play.compensated() if command.step == "b"]
    assert undo.step_key == old.step_key
    is_ignored(play, play.succeeds("b", 9, incarnation="0"))
    play.succeeds("b", 3)
    assert play.executed()[-1].input == b'{"a":1,"b":3}'


def test_what_ran_again_is_undone_under_its_own_key():
    """A later failure undoes each step under the key that its worker knows it by."""
    play = three()
    play.rewinds("c")
    play.undoes("c")
    play.fails("c", retryable=False)
    for path in ("c", "b", "a"):
        play.undoes(path)
    has_ended(play, "FAILED")
    keys = [command.step_key for command in play.compensated()]
    assert keys == ["r-1:0/c", "r-1:0.1/c", "r-1:0/b", "r-1:0/a"]


def test_what_waited_for_its_turn_keeps_its_key():
    """A step that began to wait before somebody went back beside it is sent, and undone, under the key of that time."""
    slow = action("b", limit=LimitPolicy(concurrency=1))
    play = started(
        workflow(parallel("p", step("b", undo="ub"), sequence("s", step("x"), step("y"))), step("c"), actions=[slow])
    )
    play.succeeds("p.s.x")
    play.rewinds("x")
    play.admits("p.b")
    play.cancels()
    play.undoes("p.b")
    keys = [command.step_key for command in play.sent if command.step == "p.b"]
    assert keys == ["r-1:0/p.b", "r-1:0/p.b"]


def test_a_run_goes_back_more_than_once():
    """Every time gives other keys; going back further while something is undone waits for that."""
    play = three()
    play.rewinds("c")
    play.rewinds("b")
    play.undoes("c")
    play.undoes("b")
    assert play.executed()[-1].step_key == "r-1:0.2/b"
    play.succeeds("b", 3)
    play.succeeds("c", 4)
    has_ended(play, "COMPLETED")


def test_what_has_no_undo_stays_and_runs_again():
    """As in a block that is tried again: what declares no undo is left as it is."""
    play = started(workflow(step("a"), step("b"), output=ref("steps", "b")))
    play.succeeds("a")
    play.rewinds("a")
    assert sent(play) == ["a/1", "b/1", "a/1"]
    assert "b#1 cancelled" in story(play)


def stuck():
    """A run whose second step waits for an operator."""
    play = started(workflow(step("a", undo="ua"), step("b", on(None, PAUSE), undo="ub", retry=ONCE)))
    play.succeeds("a")
    play.fails("b")
    return play


def test_an_incident_is_over_when_the_run_goes_back():
    """What waited for an operator is given up and undone like anything else."""
    play = stuck()
    assert play.run.incident is not None
    play.rewinds("a")
    assert play.run.incident is None
    play.undoes("b")
    play.undoes("a")
    assert sent(play)[-1] == "a/1"


def test_an_undo_that_waits_for_an_operator_is_waited_for():
    """Nothing begins again before what was to be undone is undone."""
    play = three(undo_retry=policy(1))
    play.rewinds("b")
    play.fails("c", undo=True)
    assert play.run.incident.step == "c"
    play.rewinds("b")
    assert play.run.incident.step == "c"
    play.completes("c")
    play.undoes("b")
    assert play.executed()[-1].step_key == "r-1:0.2/b"


def test_a_paused_run_goes_back_once_it_is_resumed():
    """What is out is given up at once; undoing and beginning again are held."""
    play = three()
    play.pauses()
    play.rewinds("b")
    assert (live(play.run), sent(play)[-1]) == ({"a": "SUCCEEDED"}, "c/1")
    play.rewinds("a")
    play.resumes()
    for path in ("c", "b", "a"):
        play.undoes(path)
    assert play.executed()[-1].step_key == "r-1:0.2/a"


def test_timers_go_and_waits_begin_again():
    """A wait that took its signal waits anew; one that is under way begins anew; kept signals stay."""
    play = started(workflow(step("a"), wait("w", "go", timeout_ms=50), sleep("s", 100), run_timeout_ms=900))
    play.succeeds("a")
    play.signals("go", 1)
    assert set(waiting(play.run)) == {"run_timeout", "wake of s"}
    play.passes(10)
    play.rewinds("w")
    assert waiting(play.run) == {"run_timeout": play.now + 890, "wake of w": play.now + 50}
    play.rewinds("a")
    play.signals("go", 2)
    play.succeeds("a")
    assert set(waiting(play.run)) == {"run_timeout", "wake of s"}
    assert play.run.signals == ()


def test_an_attempt_that_waits_for_its_time_is_given_up():
    """The timer of its next attempt goes with it."""
    play = started(workflow(step("a"), step("b", retry=policy(3, initial_ms=500))))
    play.succeeds("a")
    play.fails("b")
    play.rewinds("b")
    assert (sent(play), play.run.timers) == (["a/1", "b/1", "b/1"], ())


def test_children_end_first_and_new_ones_have_other_ids():
    """The run that was started is cancelled, and nothing older is undone before it has ended."""
    play = started(workflow(step("a", undo="ua"), child("k"), output=ref("steps", "k")))
    play.succeeds("a")
    play.rewinds("a")
    (cancel,) = play.last.requests
    assert (cancel.kind, cancel.run_id) == ("cancel", "r-1:0:k")
    assert sent(play) == ["a/1"]
    play.hears("k", RunStatus.CANCELLED, run_id="r-1:0:k")
    play.undoes("a")
    play.succeeds("a")
    (start,) = play.last.requests
    assert (start.kind, start.run_id, start.request_id) == ("start", "r-1:0.1:k", "r-1:0.1/k/start")
    play.hears("k", RunStatus.COMPLETED, output=7, run_id="r-1:0:k")
    assert play.last.outcome is Outcome.STALE
    play.hears("k", RunStatus.COMPLETED, output=8)
    assert play.run.output == b"8"


def test_a_child_that_had_completed_is_undone_by_its_node():
    """One that completed before it could be cancelled as well; each under the key of its own time."""
    undo = call("uk", of=ref("made"))
    play = started(workflow(child("k", undo=undo), child("l", undo=undo), step("b")))
    play.hears("k", RunStatus.COMPLETED, output=1)
    play.rewinds("k")
    play.hears("l", RunStatus.COMPLETED, output=2, run_id="r-1:0:l")
    play.undoes("l")
    play.undoes("k")
    play.hears("k", RunStatus.COMPLETED, output=3)
    play.rewinds("k")
    play.hears("l", RunStatus.CANCELLED, run_id="r-1:0.1:l")
    assert [(each.step_key, each.input) for each in play.compensated()] == [
        ("r-1:0/l", b'{"of":2}'),
        ("r-1:0/k", b'{"of":1}'),
        ("r-1:0.1/k", b'{"of":3}'),
    ]


def test_a_run_whose_child_was_never_heard_of_goes_on():
    """The word of its end may have become a dead letter: asked to stop, the child is refused, and another is started."""
    play = started(workflow(step("a"), child("k"), output=ref("steps", "k")))
    play.succeeds("a")
    play.rewinds("k")
    gone = ActionError(type="ChildRefused", message="it has ended already", retryable=False)
    play.hears("k", RunStatus.UNKNOWN, error=gone, run_id="r-1:0:k")
    assert [request.run_id for request in play.last.requests] == ["r-1:0.1:k"]
    play.hears("k", RunStatus.COMPLETED, output=8)
    assert play.run.output == b"8"


def nested():
    """A run inside a branch of a block inside the root, and another branch beside it."""
    inner = sequence("inner", step("x", undo="ux"), step("y", undo="uy"))
    return started(
        workflow(
            step("a"), block("b", parallel("p", inner, step("z", undo="uz")), caught("Full", retry(2))), step("last")
        )
    )


def test_a_branch_goes_back_alone():
    """What runs beside it goes on, under the keys that it has."""
    play = nested()
    play.succeeds("a")
    play.succeeds("b[1].inner.x")
    play.rewinds("b[1].inner.x")
    assert live(play.run) == {"b[1].z": "SCHEDULED", "b[1].inner.y": "COMPENSATING"}
    play.undoes("b[1].inner.y")
    play.undoes("b[1].inner.x")
    play.succeeds("b[1].z")
    play.succeeds("b[1].inner.x")
    play.succeeds("b[1].inner.y")
    assert live(play.run) == {"last": "SCHEDULED"}


def test_going_back_around_a_block_gives_up_all_of_it():
    """Every branch of it is undone before the block begins again with its first attempt."""
    play = nested()
    play.succeeds("a")
    play.succeeds("b[1].z")
    play.rewinds("b")
    play.undoes("b[1].inner.x")
    play.undoes("b[1].z")
    assert live(play.run) == {"b[1].inner.x": "SCHEDULED", "b[1].z": "SCHEDULED"}
    assert {command.step_key for command in play.executed()[-2:]} == {"r-1:0.1/b[1].inner.x", "r-1:0.1/b[1].z"}


def test_an_undo_before_a_fallback_is_waited_for():
    """The step that was to go on by its rule is undone, and its rule is not asked any more."""
    play = started(workflow(step("a"), step("b", on("Full", go_on_with(1)), undo="ub"), step("c")))
    play.succeeds("a")
    play.fails("b", "Full")
    play.rewinds("a")
    play.undoes("b")
    assert sent(play) == ["a/1", "b/1", "b/undo/1", "a/1"]


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("z9", "the latest first: last, m, c, p, a"),
        ("p.x", "no node of a sequence that is under way"),
        ("m[0]", "no node of a sequence that is under way"),
        ("later", "its turn has not come yet"),
        ("", "cannot go back to ''"),
    ],
)
def test_a_run_goes_back_only_to_where_it_has_been(where, why):
    """Finished branches, items and blocks are no place to go back to, nor is what is still to come."""
    play = started(
        workflow(
            step("a"),
            parallel("p", sequence("s", step("x"))),
            choose("c", (True, step("d"))),
            each("m", [1], step("i")),
            step("last"),
            step("later"),
        )
    )
    for path in ("a", "p.s.x", "c.d", "m[0]"):
        play.succeeds(path)
    is_refused(play.rewinds(where), why)


def test_it_is_refused_while_the_run_is_undone_and_once_it_has_ended():
    """Nothing of such a run begins again."""
    play = three()
    play.cancels()
    is_refused(play.rewinds("b"), "the run undoes what it did and will be CANCELLED")
    for path in ("c", "b", "a"):
        play.undoes(path)
    is_refused(play.rewinds("b"), "the run has ended already: it is CANCELLED")


def test_a_run_that_has_not_begun_goes_nowhere():
    """There is nothing to go back to."""
    play = Play(workflow(step("a")))
    play.starts(due_at=play.now + 50)
    is_refused(play.rewinds("a"), "the run has not begun")


def test_a_loop_goes_back_within_its_turn():
    """Turns that are over stay as they are."""
    body = sequence("t", step("x", undo="ux"), step("y"))
    play = started(workflow(repeat("r", body, limit=3)))
    play.succeeds("r[0].x")
    play.succeeds("r[0].y")
    play.succeeds("r[1].x")
    play.rewinds("r[1].x")
    play.undoes("r[1].x")
    assert live(play.run) == {"r[1].x": "SCHEDULED"}
    assert [undo.step for undo in play.run.compensations] == ["r[0].x", "r[1].x"]


def test_a_handler_and_a_reminder_go_back_as_any_sequence():
    """Wherever nodes stand in a row that is under way."""
    handler = sequence("h", step("x"), step("y"))
    play = started(workflow(block("b", step("a", retry=ONCE), caught("Full", handle(handler)))))
    play.fails("b[1]", "Full")
    play.succeeds("b.h.x")
    play.rewinds("x")
    assert live(play.run) == {"b.h.x": "SCHEDULED"}
    asked = started(workflow(person("p", remind_after_ms=(5,), on_reminder=sequence("m", step("x"), step("y")))))
    asked.passes(5)
    asked.succeeds("p[0].x")
    asked.rewinds("p[0].x")
    assert live(asked.run) == {"p[0].x": "SCHEDULED"}


def forgetful():
    """A run that has forgotten its input and what its first nodes gave."""
    return started(
        workflow(
            step("a", input={"n": ref("input")}),
            put("s", {"twice": ref("steps", "a")}),
            step("b", input={"s": ref("steps", "s"), "n": ref("input")}),
            step("c"),
        ),
        5,
    )


def test_what_was_forgotten_has_to_be_given_back():
    """The request says what it gave, or is refused with what is missing."""
    play = forgetful()
    play.succeeds("a", 1)
    play.succeeds("b", 2)
    assert (play.run.input, play.run.steps[0].path) == (None, "c")
    is_refused(play.rewinds("b"), "on reads the input of the run, s, which the run has not kept")
    is_refused(play.rewinds("b", outputs={"s": 1}), "reads the input of the run, which")
    is_refused(play.rewinds("b", other=1), "is an object with input, outputs, or both")
    play.rewinds("b", input=5, outputs={"s": {"twice": 1}})
    assert play.executed()[-1].input == b'{"n":5,"s":{"twice":1}}'
    assert play.succeeds("b", 2).run.steps[0].path == "c"


def test_what_is_given_back_has_to_fit():
    """As if the node had given it just now."""
    number = {"type": "integer"}
    play = started(
        workflow(
            step("a"), step("b", input={"a": ref("steps", "a")}), step("c"), actions=[action("a", output_schema=number)]
        )
    )
    play.succeeds("a", 1)
    play.succeeds("b")
    is_refused(play.rewinds("b", outputs={"a": "one"}), "the output of a does not fit")
    play.rewinds("b", outputs={"a": 1})
    assert play.executed()[-1].input == b'{"a":1}'


def _told(play):
    told = rebuild(play.first, [each for each in play.events if each.version], "")
    assert list(replay(told)) == []
    return told


def test_a_history_tells_what_was_forgotten():
    """The events of the run give back everything, whatever made it."""
    play = forgetful()
    play.succeeds("a", 1)
    play.succeeds("b", 2)
    payload = recall.forgotten(play.definition, play.run, _told(play), "b")
    assert payload == b'{"input":5,"outputs":{"s":{"twice":1}}}'
    assert recall.forgotten(play.definition, play.run, _told(play), "c") is None
    play.rewinds("b", input=5, outputs={"s": {"twice": 1}})
    play.succeeds("b", 3)
    play.succeeds("c")
    _told(play)
    has_ended(play, "COMPLETED")
