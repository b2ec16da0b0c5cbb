"""Signs of life: attempts that fall silent, and what they said before."""

from actionbus.contracts import payloads
from actionbus.contracts.limits import Limits
from engine.graphs import action, fallback, on, policy, step, workflow
from engine.matchers import is_ignored, sent, told, waiting
from engine.play import START, started

TALKS = action("a", start_to_close_ms=60_000, heartbeat_ms=5_000, retry=policy(2))


def said(play):
    """What each command tells its attempt of the one before."""
    return [each.heartbeat_details and payloads.decode(each.heartbeat_details) for each in play.sent]


def test_an_attempt_that_falls_silent_has_failed():
    """It began and was not heard of again: the next attempt is told how far this one came."""
    play = started(workflow(step("a"), actions=[TALKS]))
    play.begins("a")
    play.passes(4_000)
    play.beats("a", {"page": 3})
    assert waiting(play.run) == {"start_to_close of a": START + 60_000, "heartbeat of a": START + 9_000}
    play.passes(5_000)
    assert told(play.last.event) == [
        "a#1 timed_out HeartbeatTimeout",
        "a#1 decided retry: HeartbeatTimeout: attempt 2 of 2 follows in 1000 ms",
    ]
    assert waiting(play.run) == {"retry of a": START + 10_000}
    play.passes(1_000)
    assert (sent(play), said(play)) == (["a/1", "a/2"], [None, {"page": 3}])
    assert [each.heartbeat_ms for each in play.sent] == [5_000, 5_000]


def test_a_sign_of_life_is_no_event():
    """It changes what is remembered of the attempt and nothing that anybody has to read."""
    play = started(workflow(step("a"), actions=[TALKS]))
    before = play.run.version
    beat = play.beats("a", 1)
    assert (beat.event, beat.emits, beat.run.version) == (None, (), before)
    assert (play.step("a").seen_at, play.step("a").heartbeat) == (START, b"1")


def test_a_heartbeat_says_that_the_attempt_has_begun():
    """Nobody need say so before: from the first one on the attempt has its time, and waits for no worker."""
    play = started(workflow(step("a", schedule_to_start_ms=100), actions=[TALKS]))
    play.beats("a")
    assert waiting(play.run) == {"start_to_close of a": START + 60_000, "heartbeat of a": START + 5_000}
    play.passes(4_000)
    play.beats("a")
    assert waiting(play.run) == {"start_to_close of a": START + 60_000, "heartbeat of a": START + 9_000}


def test_backlog_is_not_silence():
    """A command that no worker took yet says nothing, and has not failed."""
    play = started(workflow(step("a"), actions=[TALKS]))
    assert play.passes(86_400_000) == []


def test_another_worker_that_begins_it_again_is_heard_as_well():
    """The silence is measured from the last word about the attempt, whoever has it."""
    play = started(workflow(step("a"), actions=[TALKS]))
    play.begins("a")
    play.passes(4_000)
    play.begins("a")
    assert waiting(play.run) == {"start_to_close of a": START + 64_000, "heartbeat of a": START + 9_000}


def test_a_step_says_how_long_its_attempts_may_be_silent():
    """The step's own limit replaces that of the action."""
    play = started(workflow(step("a", heartbeat_ms=2_000), actions=[TALKS]))
    play.begins("a")
    assert waiting(play.run)["heartbeat of a"] == START + 2_000
    assert play.sent[0].heartbeat_ms == 2_000


def test_without_a_limit_silence_is_allowed():
    """What is said is kept all the same, for the attempt after a timeout of another kind."""
    play = started(workflow(step("a"), actions=[action("a", start_to_close_ms=60_000, retry=policy(2))]))
    play.beats("a", "half")
    assert waiting(play.run) == {"start_to_close of a": START + 60_000}
    play.passes(61_000)
    assert said(play) == [None, "half"]


def test_what_was_said_last_stays():
    """A heartbeat without details does not take away those before it, nor does a failed attempt that said nothing."""
    play = started(workflow(step("a", retry=policy(4)), actions=[TALKS]))
    play.beats("a", 1)
    play.beats("a", 2)
    play.beats("a")
    play.fails("a")
    play.passes(1_000)
    play.fails("a")
    play.passes(2_000)
    assert said(play) == [None, 2, 2]


def test_more_than_may_be_kept_is_a_sign_of_life_all_the_same():
    """Who says too much is alive; what was said before is kept."""
    play = started(workflow(step("a"), actions=[TALKS], limits=Limits(heartbeat_bytes=10)))
    play.beats("a", "short")
    play.passes(4_000)
    play.beats("a", "much too long")
    assert (play.step("a").heartbeat, play.step("a").seen_at) == (b'"short"', START + 4_000)


def test_only_the_current_attempt_is_heard():
    """A word of an attempt that was given up, or of a step that waits for nothing, keeps nobody alive."""
    play = started(workflow(step("a"), actions=[TALKS]))
    play.begins("a")
    play.passes(5_000)
    is_ignored(play, play.beats("a", attempt=1))
    is_ignored(play, play.beats("b", attempt=1))
    is_ignored(play, play.beats("a", undo=True, attempt=1))


def test_an_answer_ends_the_silence():
    """After a result nothing is left that could fire."""
    play = started(workflow(step("a"), step("b"), actions=[TALKS]))
    play.beats("a")
    play.succeeds("a")
    assert waiting(play.run) == {}


def test_rules_see_the_silence():
    """It is a failure of a type of its own."""
    play = started(workflow(step("a", on("HeartbeatTimeout", fallback("b"))), actions=[TALKS]))
    play.begins("a")
    play.passes(5_000)
    assert sent(play) == ["a/1", "a.b/1"]


def test_an_undo_that_falls_silent_is_tried_again():
    """An undo is measured by its own action, and told how far its attempts before came."""
    undo = action("undo-a", heartbeat_ms=2_000)
    play = started(workflow(step("a", undo="undo-a"), actions=[undo], undo_retry=policy(3)))
    play.fails("a", retryable=False)
    play.beats("a", 7, undo=True)
    assert waiting(play.run)["heartbeat of a"] == START + 2_000
    play.passes(2_000)
    assert told(play.last.event) == ["a#1 compensation_failed HeartbeatTimeout"]
    assert waiting(play.run) == {"retry of a": START + 3_000}
    play.passes(1_000)
    assert said(play) == [None, None, 7]
