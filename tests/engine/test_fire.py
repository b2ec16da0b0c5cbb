"""Time goes by: attempts, steps and runs that take too long, and runs that are forgotten."""

from actionbus.contracts.run import Timer, TimerKind
from actionbus.engine.inputs import TimerFired
from actionbus.engine.transition import Outcome
from engine.graphs import COMPENSATE, DAY_MS, action, fallback, on, policy, retry, step, workflow
from engine.matchers import has_ended, is_ignored, live, sent, story, told, waiting
from engine.play import START, Play, started

LIMITED = action("a", start_to_close_ms=500, retry=policy(2))


def test_an_attempt_has_its_time_once_it_has_begun():
    """The worker's word that it began sets the timer; what takes longer has failed, and the policy decides."""
    play = started(workflow(step("a"), actions=[LIMITED]))
    play.passes(100_000)
    play.begins("a")
    assert waiting(play.run) == {"start_to_close of a": START + 100_500}
    play.passes(500)
    assert told(play.last.event) == [
        "a#1 timed_out Timeout",
        "a#1 decided retry: Timeout: attempt 2 of 2 follows in 1000 ms",
    ]
    play.passes(1_000)
    assert sent(play) == ["a/1", "a/2"]


def test_backlog_is_no_failure():
    """A command that no worker took yet waits for as long as it takes: a worker that is down loses nothing."""
    play = started(workflow(step("a"), actions=[LIMITED]))
    assert play.passes(DAY_MS) == []
    play.succeeds("a")
    has_ended(play, "COMPLETED")


def test_a_word_of_the_beginning_is_no_event():
    """That an attempt began changes the run's timers and nothing that anybody has to read."""
    play = started(workflow(step("a", start_to_close_ms=70), actions=[LIMITED]))
    before = play.run
    begun = play.begins("a")
    assert begun.event is None
    assert begun.outcome is Outcome.APPLIED
    assert (begun.run.version, begun.run.txn_seq) == (before.version, 2)
    assert waiting(play.run) == {"start_to_close of a": START + 70}


def test_an_attempt_that_begins_again_has_its_time_again():
    """A worker that took over a command from one that died gets the whole time."""
    play = started(workflow(step("a"), actions=[LIMITED]))
    play.begins("a")
    play.passes(400)
    play.begins("a")
    assert waiting(play.run) == {"start_to_close of a": START + 900}


def test_only_the_current_attempt_can_begin():
    """A word about another attempt, or about a step that waits for nothing, sets no timer."""
    play = started(workflow(step("a"), actions=[LIMITED]))
    is_ignored(play, play.begins("a", attempt=2))
    is_ignored(play, play.begins("b", attempt=1))
    is_ignored(play, play.begins("a", undo=True))
    play.fails("a")
    is_ignored(play, play.begins("a", attempt=1))


def test_an_answer_ends_the_time_of_an_attempt():
    """After a result nothing is left that could time the step out."""
    play = started(workflow(step("a"), step("b"), actions=[LIMITED]))
    play.begins("a")
    play.fails("a")
    assert waiting(play.run) == {"retry of a": START + 1_000}
    play.passes(1_000)
    play.begins("a")
    play.succeeds("a")
    assert waiting(play.run) == {}


def test_rules_see_the_timeout():
    """A timeout is a failure of the type Timeout."""
    play = started(workflow(step("a", on("Timeout", fallback("b"))), actions=[LIMITED]))
    play.begins("a")
    play.passes(500)
    assert sent(play) == ["a/1", "a.b/1"]


def test_all_attempts_together_have_their_time():
    """When the time of all attempts is over no policy gives another, whether one is under way or waits."""
    why = "Timeout: all attempts together took longer than allowed; the time for all attempts together is over"
    for waits in (False, True):
        play = started(workflow(step("a", on(None, retry(None)), schedule_to_close_ms=1_500), actions=[LIMITED]))
        if waits:
            play.fails("a")
            assert live(play.run) == {"a": "BACKING_OFF"}
            play.gives(TimerFired(timer_id=1), now=START + 1_500)
        else:
            play.passes(1_500)
        assert told(play.last.event)[:2] == [
            "a#1 timed_out Timeout",
            f"a#1 decided compensate: {why}",
        ]
        has_ended(play, "FAILED")


def test_an_attempt_that_would_come_too_late_is_not_waited_for():
    """When the next attempt could only begin after the time for all of them, the step has failed now."""
    play = started(workflow(step("a", schedule_to_close_ms=1_000), actions=[LIMITED]))
    play.fails("a")
    assert "the next attempt would begin after the time" in story(play)[-2]
    has_ended(play, "FAILED")


def test_a_fallback_has_its_own_time():
    """The time for all attempts ends with the step's own attempts, it does not run on over the fallback."""
    play = started(workflow(step("a", on("Full", fallback("b")), on(None, COMPENSATE), schedule_to_close_ms=1_000)))
    play.fails("a", "Full")
    assert waiting(play.run) == {}


def test_a_run_has_its_time():
    """A run that takes longer than its definition allows is undone and ends TIMED_OUT."""
    play = started(workflow(step("a", undo="undo-a"), step("b"), run_timeout_ms=60_000))
    play.succeeds("a")
    play.passes(60_000)
    assert told(play.last.event) == [
        "run_timed_out (the run took longer than 60000 ms)",
        "decided time_out: the run took longer than 60000 ms",
        "b#1 cancelled",
        "run_compensating (Timeout: the run took longer than 60000 ms)",
        "a#1 compensation_scheduled {}",
    ]
    assert play.run.ending == "TIMED_OUT"
    play.undoes("a")
    has_ended(play, "TIMED_OUT")


def test_a_run_that_is_undone_has_all_the_time():
    """The time of the run ends with its failure: undoing is never cut short."""
    play = started(workflow(step("a", undo="undo-a"), run_timeout_ms=60_000))
    play.fails("a")
    assert play.passes(10**9) == []
    play.undoes("a")
    has_ended(play, "FAILED")


def test_an_undo_has_its_time():
    """An undo that began and does not come back is tried again like one that failed."""
    undo = action("undo-a", start_to_close_ms=200)
    play = started(workflow(step("a", undo="undo-a"), actions=[undo], undo_retry=policy(None)))
    play.fails("a")
    play.begins("a", undo=True)
    play.passes(200)
    assert told(play.last.event) == ["a#1 compensation_failed Timeout"]
    play.passes(1_000)
    assert sent(play) == ["a/1", "a/undo/1", "a/undo/2"]


def test_an_ended_run_is_forgotten_after_its_retention():
    """The run is kept while a duplicate of its start can come, and then its id is free."""
    play = started(workflow(step("a")))
    play.succeeds("a")
    assert waiting(play.run) == {"retention": START + DAY_MS}
    (forgotten,) = play.passes(DAY_MS)
    assert (forgotten.outcome, forgotten.run, forgotten.event) == (Outcome.FORGOTTEN, None, None)
    play.incarnation = "1"
    play.starts(request_id="start-2")
    assert play.run.incarnation == "1"
    assert play.sent[-1].step_key == "r-1:1/a"


def test_a_timer_that_is_gone_is_ignored():
    """A timer fires once; one that was set for what is over by now fires never."""
    play = started(workflow(step("a", retry=policy(3))))
    is_ignored(play, play.gives(TimerFired(timer_id=77)))
    play.fails("a")
    play.passes(1_000)
    is_ignored(play, play.gives(TimerFired(timer_id=1)))


def test_a_timer_that_is_not_due_is_ignored():
    """No timer fires early."""
    play = started(workflow(step("a", retry=policy(3))))
    play.fails("a")
    is_ignored(play, play.gives(TimerFired(timer_id=1), now=START + 999))


def test_a_timer_of_an_unknown_kind_is_left_alone():
    """A timer that a newer version set stays for a newer version."""
    play = started(workflow(step("a")))
    play.run = play.run.replace(timers=(Timer(id=9, kind=TimerKind.UNKNOWN, due_at=START),))
    transition = play.gives(TimerFired(timer_id=9))
    assert transition.outcome is Outcome.STALE
    assert len(transition.run.timers) == 1


def test_a_timer_without_a_run_is_ignored():
    """A timer of a run that is forgotten has nothing to do."""
    assert Play(workflow(step("a"))).gives(TimerFired(timer_id=1)).outcome is Outcome.STALE
