"""Answers that somebody else gives: the step waits on, and no worker has it."""

import pytest

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Effect
from actionbus.engine.dispatch import commands
from actionbus.engine.transition import Outcome
from engine.graphs import action, call, policy, ref, step, workflow
from engine.matchers import has_ended, is_ignored, live, sent, story, told, waiting
from engine.play import RESULTS, START, nonce, started

ASKS = action("a", start_to_close_ms=60_000, retry=policy(2), emits=("letters",))
IN_DATABASE = (
    action("a", effect=Effect.TRANSACTIONAL, start_to_close_ms=60_000, retry=policy(2), emits=("letters",)),
    action("undo-a", effect=Effect.TRANSACTIONAL),
)


def out(play):
    """The commands that a run has out."""
    return [each.command_id.partition("/")[2] for each in commands(play.definition, play.run, 0, RESULTS, 0, nonce)]


def test_a_step_waits_for_an_answer_from_outside():
    """It stays where it is, everybody can read why, no command of it is out any more, and the answer ends it."""
    play = started(workflow(step("a"), step("b"), actions=[ASKS]))
    play.begins("a")
    play.passes(10)
    assert told(play.defers("a").event) == ["a#1 deferred"]
    assert (live(play.run), out(play)) == ({"a": "SCHEDULED"}, [])
    assert waiting(play.run) == {"start_to_close of a": START + 60_000}
    play.succeeds("a", attempt=1, by_token=True)
    assert sent(play) == ["a/1", "b/1"]


def test_an_attempt_that_nobody_heard_of_has_its_time_from_now_on():
    """An action that asks somebody is done before anybody says that it began."""
    play = started(workflow(step("a", schedule_to_start_ms=100, heartbeat_ms=5_000), actions=[ASKS]))
    play.passes(50)
    play.defers("a")
    assert waiting(play.run) == {"start_to_close of a": START + 60_050, "heartbeat of a": START + 5_050}


def test_nobody_answers_in_time():
    """The attempt fails like any other and is tried again; a late answer by the old token is a success of the step."""
    play = started(workflow(step("a"), actions=[ASKS]))
    play.defers("a")
    play.passes(60_000)
    assert told(play.last.event)[0] == "a#1 timed_out Timeout"
    play.passes(1_000)
    assert (sent(play), out(play)) == (["a/1", "a/2"], ["a/2"])
    play.defers("a", attempt=2)
    is_ignored(play, play.fails("a", attempt=1))
    play.succeeds("a", attempt=1, by_token=True)
    has_ended(play, "COMPLETED")


def test_the_holder_of_the_token_says_that_it_failed():
    """What the rules say of failures holds for this one."""
    play = started(workflow(step("a"), actions=[ASKS]))
    play.defers("a")
    play.fails("a")
    assert story(play)[-1] == "a#1 decided retry: Oops: attempt 2 of 2 follows in 1000 ms"


def test_the_holder_of_the_token_keeps_the_step_alive():
    """Heartbeats count wherever they come from."""
    play = started(workflow(step("a", heartbeat_ms=5_000), actions=[ASKS]))
    play.defers("a")
    play.passes(4_000)
    play.beats("a", "asked twice")
    assert waiting(play.run)["heartbeat of a"] == START + 9_000
    play.passes(5_000)
    assert told(play.last.event)[0] == "a#1 timed_out HeartbeatTimeout"


def test_a_command_that_comes_again_gives_the_answer_no_more_time():
    """A worker that died before it passed the command on does it again; nothing is told twice or lasts longer."""
    play = started(workflow(step("a"), actions=[ASKS]))
    play.defers("a", emits=("letters",))
    play.passes(30_000)
    is_ignored(play, play.begins("a"), Outcome.REPEATED)
    is_ignored(play, play.defers("a", emits=("letters",)), Outcome.REPEATED)
    assert waiting(play.run) == {"start_to_close of a": START + 60_000}


def test_the_answer_may_come_before_the_word_that_it_will():
    """Whoever is asked may be quicker than the worker: the step is done, and the late word changes nothing."""
    play = started(workflow(step("a"), step("b"), actions=[ASKS]))
    play.succeeds("a", by_token=True)
    is_ignored(play, play.defers("a", attempt=1))
    assert live(play.run) == {"b": "SCHEDULED"}


@pytest.mark.parametrize(("actions", "times"), [((ASKS,), 2), (IN_DATABASE, 1)], ids=["idempotent", "transactional"])
def test_records_are_published_with_the_word(actions, times):
    """So the token may travel in one. Beside an inbox all attempts answer from one row, and its records go out once."""
    play = started(workflow(step("a"), actions=actions))
    play.defers("a", emits=("letters",))
    assert [emit.topic for emit in play.last.emits] == ["letters"]
    play.passes(61_000)
    play.defers("a", attempt=2, emits=("letters",))
    assert len(play.emits) == times


def test_a_record_that_was_not_declared_fails_the_attempt():
    """As it would with a success."""
    play = started(workflow(step("a"), actions=[ASKS]))
    play.defers("a", emits=("secrets",))
    assert "a#1 failed EmitRefused" in story(play)


def test_an_undo_reads_what_somebody_else_answered():
    """No inbox has seen that output, so the run keeps it for the worker; what a worker gave it need not keep."""
    for by_token, kept in ((True, b'{"id":7}'), (False, None)):
        play = started(
            workflow(step("a", undo=call("undo-a", id=ref("made", "id"))), step("b"), actions=list(IN_DATABASE))
        )
        play.defers("a")
        play.succeeds("a", {"id": 7}, attempt=1, by_token=by_token)
        play.fails("b", retryable=False)
        (undo,) = play.compensated()
        assert (undo.template, undo.original_output) == (True, kept)
        assert payloads.decode(undo.input) == {"id": {"$ref": ["made", "id"]}}


def test_an_operator_answers_in_the_place_of_the_holder():
    """What was given by hand is kept for the undo as well."""
    play = started(workflow(step("a", undo=call("undo-a", id=ref("made", "id"))), step("b"), actions=list(IN_DATABASE)))
    play.defers("a")
    play.completes("a", {"id": 7})
    play.fails("b", retryable=False)
    assert play.compensated()[0].original_output == b'{"id":7}'


def test_a_step_that_is_being_undone_waits_for_no_answer():
    """Its late answer is ignored, whoever gives it."""
    play = started(workflow(step("a", undo="undo-a"), actions=[ASKS]))
    play.defers("a")
    play.cancels()
    assert sent(play) == ["a/1", "a/undo/1"]
    is_ignored(play, play.succeeds("a", attempt=1, by_token=True))


def test_an_undo_may_be_left_to_others_as_well():
    """It waits in the time of its own action, and no command of it is out."""
    play = started(workflow(step("a", undo="undo-a"), actions=[action("undo-a", start_to_close_ms=9_000)]))
    play.fails("a", retryable=False)
    assert told(play.defers("a", undo=True).event) == ["a#1 deferred"]
    assert (out(play), waiting(play.run)) == ([], {"start_to_close of a": START + 9_000})
    play.undoes("a")
    has_ended(play, "FAILED")
