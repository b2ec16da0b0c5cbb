"""A step succeeds."""

import pytest

from actionbus.contracts.limits import Limits
from actionbus.engine.transition import Outcome
from engine.graphs import action, call, policy, ref, step, workflow
from engine.matchers import has_ended, is_ignored, live, sent, story, told
from engine.play import Play, started

NUMBER = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


def test_steps_follow_one_another():
    """A success schedules the next step with what it reads, and the last one ends the run with its output."""
    play = started(
        workflow(step("book"), step("pay", input={"book": ref("steps", "book", "id")}), output=ref("steps", "pay"))
    )
    play.succeeds("book", {"id": 7})
    assert told(play.last.event) == ['book#1 succeeded {"id":7}', 'pay#1 scheduled {"book":7}']
    play.succeeds("pay", {"paid": True})
    assert told(play.last.event) == ['pay#1 succeeded {"paid":true}', 'run_ended {"paid":true}']
    assert sent(play) == ["book/1", "pay/1"]
    has_ended(play, "COMPLETED")
    assert play.run.output == b'{"paid":true}'


def test_versions_count_the_transitions():
    """Each transition is one version of the run and one event."""
    play = started(workflow(step("a"), step("b"), step("c")))
    for name in "abc":
        play.succeeds(name)
    assert [event.version for event in play.events] == [1, 2, 3, 4]
    assert [event.status for event in play.events] == ["RUNNING", "RUNNING", "RUNNING", "COMPLETED"]


def test_a_second_success_is_ignored():
    """A worker that answers twice changes a run once."""
    play = started(workflow(step("a"), step("b")))
    play.succeeds("a")
    is_ignored(play, play.succeeds("a", attempt=1))


def test_a_success_of_an_earlier_attempt_counts():
    """All attempts share one step key: the effect is one, whichever attempt brings the word of it."""
    play = started(workflow(step("a", retry=policy(3)), step("b")))
    play.fails("a")
    play.passes(1_000)
    assert live(play.run) == {"a": "SCHEDULED"}
    play.succeeds("a", {"by": "first"}, attempt=1)
    assert live(play.run) == {"b": "SCHEDULED"}
    is_ignored(play, play.succeeds("a", {"by": "first"}, attempt=2))


def test_a_late_success_ends_the_back_off():
    """A success that comes while the next attempt waits for its time counts, and that attempt never goes out."""
    play = started(workflow(step("a", retry=policy(3)), step("b")))
    play.fails("a")
    assert live(play.run) == {"a": "BACKING_OFF"}
    play.succeeds("a", attempt=1)
    assert play.passes(60_000) == []
    assert sent(play) == ["a/1", "b/1"]


@pytest.mark.parametrize("attempt", [0, 2, 99])
def test_an_attempt_that_never_was_cannot_succeed(attempt):
    """A result for an attempt that was not scheduled changes nothing."""
    play = started(workflow(step("a"), step("b")))
    is_ignored(play, play.succeeds("a", attempt=attempt))


def test_a_step_that_is_not_there_cannot_succeed():
    """A result for a step whose turn has not come, or that does not exist, changes nothing."""
    play = started(workflow(step("a"), step("b")))
    is_ignored(play, play.succeeds("b", attempt=1))
    is_ignored(play, play.succeeds("nonsense", attempt=1))


def test_a_result_without_a_run_is_ignored():
    """A result that comes after its run is forgotten has nowhere to go."""
    play = Play(workflow(step("a")))
    transition = play.succeeds("a", attempt=1)
    assert (transition.run, transition.outcome, transition.event) == (None, Outcome.STALE, None)


def test_a_result_of_an_earlier_incarnation_is_ignored():
    """A run id that is used again does not meet the results of the run that had it before."""
    play = started(workflow(step("a"), step("b")))
    play.incarnation = "zz"
    is_ignored(play, play.succeeds("a", attempt=1))


def test_an_output_that_breaks_the_schema_is_a_failure():
    """What the action's type does not allow is not handed on: the attempt failed, and no other one would help."""
    play = started(workflow(step("a", retry=policy(5)), step("b"), actions=[action("a", output_schema=NUMBER)]))
    play.succeeds("a", {"id": "seven"})
    assert story(play)[3:5] == [
        "a#1 failed OutputRefused",
        'a#1 decided compensate: OutputRefused: id: "seven" is not of type "integer"; another attempt would not help',
    ]
    has_ended(play, "FAILED")


def test_a_refused_output_of_an_earlier_attempt_is_ignored():
    """Only the current attempt can fail, also when its success is none."""
    play = started(workflow(step("a", retry=policy(5)), actions=[action("a", output_schema=NUMBER)]))
    play.fails("a")
    is_ignored(play, play.succeeds("a", "bad", attempt=1))
    play.passes(1_000)
    is_ignored(play, play.succeeds("a", "bad", attempt=1))
    play.succeeds("a", {"id": 1})
    has_ended(play, "COMPLETED")


def test_an_output_beyond_the_limit_is_a_failure():
    """A result that no record should carry fails its step, and nothing of it is kept."""
    play = started(workflow(step("a"), limits=Limits(payload_bytes=20)))
    play.succeeds("a", "x" * 19)
    assert play.run.error.type == "ResultTooLarge"
    assert play.run.error.message == "the output has 21 bytes, the limit is 20"


def test_emitted_records_are_published_with_the_success():
    """What an action emits goes out with the transition that accepts its result, and only with that."""
    play = started(workflow(step("a"), step("b"), actions=[action("a", emits=("mails", "sms"))]))
    play.succeeds("a", emits=("mails", "sms", "mails"))
    assert [emit.topic for emit in play.last.emits] == ["mails", "sms", "mails"]
    assert told(play.last.event)[1:4] == [
        'a record_emitted {"topic":"mails"}',
        'a record_emitted {"topic":"sms"}',
        'a record_emitted {"topic":"mails"}',
    ]
    again = play.succeeds("a", attempt=1, emits=("mails",))
    is_ignored(play, again)


@pytest.mark.parametrize(("emits", "why"), [(("bills",), "did not declare"), (("mails",) * 3, "the limit is 2")])
def test_what_is_not_declared_is_not_emitted(emits, why):
    """A record for a topic that the action did not declare, or one too many, fails the step; nothing is published."""
    play = started(workflow(step("a"), actions=[action("a", emits=("mails",))], limits=Limits(emits_per_result=2)))
    play.succeeds("a", emits=emits)
    assert play.last.emits == ()
    assert play.run.error.type == "EmitRefused"
    assert why in play.run.error.message


def test_outputs_are_kept_until_their_last_reader_has_finished():
    """A run carries an output as long as a later step, or a rule of one, can read it, and no longer."""
    play = started(
        workflow(
            step("a"),
            step("b"),
            step("c", undo=call("undo-c", a=ref("steps", "a"))),
            step("d"),
            output=ref("steps", "b"),
        )
    )
    kept = []
    for name in "abcd":
        play.succeeds(name, name)
        kept.append(set(live(play.run)))
    assert kept == [{"a", "b"}, {"a", "b", "c"}, {"b", "d"}, set()]
    assert play.run.output == b'"b"'
