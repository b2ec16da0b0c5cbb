"""What an operator does with steps and times."""

import pytest

from actionbus.contracts.limits import Limits
from actionbus.engine.transition import Outcome
from engine.graphs import (
    PAUSE,
    action,
    block,
    call,
    each,
    go_on_with,
    on,
    parallel,
    person,
    policy,
    put,
    ref,
    repeat,
    sleep,
    step,
    wait,
    workflow,
)
from engine.matchers import has_ended, is_ignored, is_refused, live, sent, story, told, waiting
from engine.play import START, started

TEXT = {"type": "string"}


def stuck(*after, undo="u", **fields):
    """A run whose first step waits for an operator."""
    play = started(workflow(step("a", on(None, PAUSE), undo=undo, **fields), *after, output=ref("steps", "a")))
    play.fails("a", "Full", message="no room")
    return play


def undo_stuck():
    """A run that cannot undo its first step."""
    play = started(workflow(step("a", undo="u"), step("b"), undo_retry=policy(1)))
    play.succeeds("a")
    play.fails("b")
    play.fails("a", undo=True)
    return play


def test_a_rule_may_call_an_operator():
    """The step waits, the run says why, and its undo stays registered."""
    play = stuck()
    assert live(play.run) == {"a": "FAILED"}
    assert (play.run.status, play.run.incident.step, play.run.incident.since) == ("RUNNING", "a", START)
    assert "no room" in play.run.incident.reason
    assert [undo.step for undo in play.run.compensations] == ["a"]
    assert play.run.timers == ()


@pytest.mark.parametrize("goes_on", [lambda play: play.retries("a"), lambda play: play.resumes()])
def test_a_stuck_step_is_tried_again(goes_on):
    """The next attempt goes out and the incident is closed."""
    play = stuck()
    goes_on(play)
    assert sent(play) == ["a/1", "a/2"]
    assert play.run.incident is None
    play.succeeds("a", 7)
    assert play.run.output == b"7"
    assert [undo.step for undo in play.transitions[0].run.compensations] == ["a"]


def test_a_stuck_step_may_become_stuck_again():
    """Each time is an incident of its own."""
    play = stuck()
    play.retries("a")
    play.passes(50)
    play.fails("a")
    assert play.run.incident.since == START + 50
    assert sum("incident_opened" in each for each in story(play)) == 2


def test_the_next_incident_is_shown_when_the_first_is_over():
    """A run with several stuck steps waits until none is left."""
    play = started(workflow(parallel("p", step("a", on(None, PAUSE)), step("b", on(None, PAUSE)))))
    play.fails("p.b")
    play.fails("p.a")
    assert play.run.incident.step == "p.b"
    play.retries("p.b")
    assert play.run.incident.step == "p.a"
    play.retries("p.a")
    assert play.run.incident is None


def test_a_stuck_step_may_succeed_late():
    """The answer that comes after all ends the incident."""
    play = stuck()
    play.succeeds("a", 3, attempt=1)
    assert "a incident_closed" in told(play.last.event)
    assert play.run.output == b"3"


def test_a_failure_of_a_stuck_step_changes_nothing():
    """It has failed already."""
    play = stuck()
    is_ignored(play, play.fails("a", attempt=1))


def test_a_step_whose_undo_is_stuck_ignores_its_success():
    """Being undone is final, also while an operator is waited for."""
    play = undo_stuck()
    is_ignored(play, play.succeeds("a", 1, attempt=1))
    assert live(play.run) == {"a": "COMPENSATING"}


def test_a_cancel_of_a_stuck_run():
    """The stuck step is undone like the others, and the incident is over."""
    play = stuck()
    play.cancels()
    assert "a incident_closed" in told(play.last.event)
    play.undoes("a")
    has_ended(play, "CANCELLED")


@pytest.mark.parametrize("goes_on", [lambda play: play.retries("a"), lambda play: play.resumes()])
def test_a_stuck_undo_is_tried_again(goes_on):
    """The undo goes out again, and after it the run ends."""
    play = undo_stuck()
    assert play.run.incident.step == "a"
    goes_on(play)
    assert sent(play)[-1] == "a/undo/2"
    play.undoes("a")
    has_ended(play, "FAILED")


@pytest.mark.parametrize("by_hand", ["skips", "completes"])
def test_an_undo_may_be_done_by_hand(by_hand):
    """An operator's word counts as the worker's would."""
    play = undo_stuck()
    getattr(play, by_hand)("a")
    has_ended(play, "FAILED")
    assert "a incident_closed" in story(play)


def test_a_step_that_could_not_even_be_sent_is_entered_again():
    """Its undo is registered before its first command goes out, whoever lets it go out."""
    play = started(workflow(step("a", on(None, PAUSE), input=ref("input", "no"), undo="u")), {})
    assert live(play.run) == {"a": "FAILED"}
    play.retries("a")
    assert sent(play) == []
    assert live(play.run) == {"a": "FAILED"}
    assert play.run.incident.step == "a"
    play.completes("a", 1)
    has_ended(play, "COMPLETED")


def test_an_undo_without_an_input_is_never_sent():
    """A template that could not be filled does not go out instead of the input, however often somebody tries."""
    play = started(workflow(step("a", undo=call("u", id=ref("made", "id"))), step("b")))
    play.succeeds("a", {})
    play.fails("b")
    play.retries("a")
    assert play.compensated() == []
    assert play.run.incident.step == "a"
    play.skips("a")
    has_ended(play, "FAILED")


def test_the_next_attempt_may_go_out_at_once():
    """Nobody has to wait for the delay of a retry, and its timer is gone."""
    play = started(workflow(step("a", retry=policy(3))))
    play.fails("a")
    play.retries("a")
    assert sent(play) == ["a/1", "a/2"]
    assert play.run.timers == ()


def test_what_is_under_way_is_not_tried_again():
    """A command that is out may still be answered; a step that is not there cannot be tried."""
    play = started(workflow(step("a")))
    is_refused(play.retries("a"), "the step a is SCHEDULED")
    is_refused(play.retries("zz"), "no step 'zz' is under way; those that are: a")
    is_refused(play.skips("zz"), "no step 'zz'")


@pytest.mark.parametrize("by_hand", ["skips", "completes"])
@pytest.mark.parametrize("stands", ["scheduled", "backing off", "stuck"])
def test_a_step_is_given_its_output_by_hand(by_hand, stands):
    """The run goes on with that value; late answers and timers of the step do not matter any more."""
    rule = [on(None, PAUSE)] if stands == "stuck" else []
    play = started(
        workflow(
            step("a", *rule, retry=None if rule else policy(2), undo=call("u", of=ref("made"))),
            step("b", input=ref("steps", "a")),
        )
    )
    if stands != "scheduled":
        play.fails("a")
    getattr(play, by_hand)("a", {"id": 5})
    assert (play.sent[-1].step, play.sent[-1].input) == ("b", b'{"id":5}')
    assert play.run.timers == ()
    is_ignored(play, play.succeeds("a", 1, attempt=1))
    play.fails("b")
    assert play.compensated()[0].input == b'{"of":{"id":5}}'


def test_an_output_by_hand_has_to_fit():
    """Later steps may trust the schema of the action."""
    play = started(workflow(step("a"), actions=[action("a", output_schema=TEXT)]))
    is_refused(play.completes("a", 5), "the output does not fit the action a")
    play.completes("a", "five")
    has_ended(play, "COMPLETED")


def test_what_has_failed_for_good_is_not_completed():
    """A step that its rule has left behind waits for no output."""
    play = started(workflow(step("a", on(None, go_on_with(1)), undo="u"), step("b")))
    play.fails("a")
    play.completes("a")  # its undo, which is under way
    assert live(play.run) == {"b": "SCHEDULED"}


def test_a_time_may_be_changed():
    """What sleeps, waits or backs off does so until the new time; one that is past comes at once."""
    play = started(workflow(sleep("s", 1_000), wait("w", "go", timeout_ms=1_000), step("a")))
    play.moves("s", START + 10)
    assert waiting(play.run) == {"wake of s": START + 10}
    assert f's timer_changed {{"from":{START + 1_000},"to":{START + 10}}}' in " ".join(told(play.last.event))
    play.passes(10)
    play.moves("w", 0)
    play.passes(0)
    has_ended(play, "FAILED")


@pytest.mark.parametrize(
    ("path", "due_at", "why"),
    [
        ("s", None, "due_at is missing"),
        ("s", -1, "no time"),
        ("s", 10**19, "no time"),
        ("a", 5, "nothing at 'a' waits"),
        (None, 5, "nothing at None"),
    ],
)
def test_a_time_that_cannot_be_changed(path, due_at, why):
    """Only what waits for a time can wait for another one, and only for one that exists."""
    play = started(workflow(sleep("s", 1_000), run_timeout_ms=5_000))
    is_refused(play.moves(path, due_at), why)


def test_a_loop_that_lets_others_go_on_waits_for_no_time():
    """Its timer is the engine's own: whoever moved it would stop a loop that nobody said should stop."""
    limits = Limits(moves_per_transition=4)
    for node in (repeat("r", put("x", 1), limit=50), each("r", list(range(50)), put("x", 1), concurrency=2)):
        play = started(workflow(node, limits=limits))
        is_refused(play.moves("r", START + 5_000), "nothing at 'r' waits")
        play.passes(1_000)
        has_ended(play, "COMPLETED")


def test_no_request_is_carried_out_twice():
    """A request that comes again is answered alike, whatever became of the run."""
    play = stuck()
    play.asks("retry_step", step="a", request_id="again")
    play.fails("a")
    assert play.asks("retry_step", step="a", request_id="again").outcome is Outcome.REPEATED
    assert sent(play) == ["a/1", "a/2"]


def test_a_request_that_was_refused_may_be_made_again():
    """Nothing was carried out, so it is looked at anew."""
    play = started(workflow(step("a", on(None, PAUSE))))
    is_refused(play.asks("resume", request_id="again"), "not paused")
    play.fails("a")
    play.asks("resume", request_id="again")
    assert sent(play) == ["a/1", "a/2"]


def test_an_incident_of_version_0_1_is_dealt_with():
    """That version said only in the incident which undo is stuck: it is tried again here like any other."""
    play = undo_stuck()
    (step_state,) = play.run.steps
    play.run = play.run.replace(steps=(step_state.replace(stuck=None),))
    play.resumes()
    assert sent(play)[-1] == "a/undo/2"
    play.undoes("a")
    has_ended(play, "FAILED")


def branches():
    """A run with something of every kind at some depth, each id once, but for the items of a list."""
    asked = person("p", signal="form")
    inner = block("b", parallel("q", step("a", on(None, PAUSE)), sleep("s", 50), wait("w", "go"), asked))
    items = each("m", [1, 2, 3], step("i", on(None, PAUSE)))
    return started(workflow(parallel("top", inner, items)))


def test_a_step_is_found_by_its_id():
    """In blocks and branches the id of a node is enough for every verb; the event tells the whole path."""
    play = branches()
    play.fails("top.b[1].a")
    play.retries("a")
    assert sent(play)[-1] == "top.b[1].a/2"
    play.moves("s", START + 5)
    assert play.run.timers[-1].due_at == START + 5
    play.asks("assign_task", step="p", value="bob")
    assert told(play.last.event)[-1].startswith('top.b[1].p task_assigned "bob"')
    play.asks("signal", step="p", value=None)
    play.skips("a", 1)
    assert set(live(play.run)) == {"top.m[0]", "top.m[1]", "top.m[2]"}


def test_an_id_that_many_live_nodes_have_is_refused_with_their_paths():
    """Nobody guesses which item is meant; once one is left that is live, its id is enough."""
    play = branches()
    is_refused(play.skips("i", 1), "'i' may be any of top.m[0], top.m[1], top.m[2]: give the path of the one you mean")
    play.skips("top.m[0]", 1)
    play.skips("top.m[2]", 1)
    assert told(play.skips("i", 1).event)[-1].startswith("top.m[1]#1 skipped 1")


def test_a_step_that_is_over_is_not_found_by_its_id():
    """The answer names what is under way."""
    play = started(workflow(parallel("p", step("a")), step("b")))
    play.succeeds("p.a")
    is_refused(play.skips("a", 1), "no step 'a' is under way; those that are: b")
