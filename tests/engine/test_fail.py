"""A step fails: its rules decide, and the run does what they say."""

from actionbus.contracts.definitions import Effect
from actionbus.contracts.limits import Limits
from actionbus.engine.transition import Outcome
from engine.graphs import (
    COMPENSATE,
    FAIL,
    action,
    call,
    fallback,
    go_on_with,
    on,
    policy,
    ref,
    retry,
    step,
    workflow,
)
from engine.matchers import has_ended, is_ignored, live, sent, story, told, waiting
from engine.play import START, started


def test_a_failed_attempt_is_tried_again_by_the_policy():
    """The delays grow as the policy says, the next attempt is a new command, and a success ends it."""
    play = started(workflow(step("a", retry=policy(3)), output=ref("steps", "a")))
    play.fails("a")
    assert told(play.last.event) == ["a#1 failed Oops", "a#1 decided retry: Oops: attempt 2 of 3 follows in 1000 ms"]
    assert live(play.run) == {"a": "BACKING_OFF"}
    assert waiting(play.run) == {"retry of a": START + 1_000}
    play.passes(1_000)
    play.fails("a")
    assert waiting(play.run) == {"retry of a": START + 3_000}
    play.passes(2_000)
    play.succeeds("a", "third time lucky")
    assert sent(play) == ["a/1", "a/2", "a/3"]
    assert {command.step_key for command in play.sent} == {"r-1:0/a"}
    has_ended(play, "COMPLETED")


def test_used_up_attempts_fail_the_run():
    """Without a rule, a step whose attempts are used up fails the run, and the decision says why."""
    play = started(workflow(step("a", retry=policy(2)), step("b")))
    play.fails("a")
    play.passes(1_000)
    play.fails("a", "Worse")
    assert told(play.last.event) == [
        "a#2 failed Worse",
        "a#2 decided compensate: Worse: it broke; all 2 attempts are used up",
        'run_ended {"message":"it broke","retryable":true,"type":"Worse"} (Worse: it broke)',
    ]
    has_ended(play, "FAILED")
    assert play.run.error.type == "Worse"


def test_the_policy_of_the_action_holds_where_the_step_has_none():
    """A step may have a policy of its own; else that of its action counts."""
    play = started(workflow(step("a"), actions=[action("a", retry=policy(2, initial_ms=0))]))
    play.fails("a")
    play.fails("a")
    assert sent(play) == ["a/1", "a/2"]
    has_ended(play, "FAILED")


def test_without_a_delay_the_next_attempt_follows_at_once():
    """A delay of zero needs no timer."""
    play = started(workflow(step("a", retry=policy(2, initial_ms=0))))
    play.fails("a")
    assert live(play.run) == {"a": "SCHEDULED"}
    assert waiting(play.run) == {}
    assert sent(play) == ["a/1", "a/2"]


def test_an_error_that_no_attempt_can_help_is_not_tried_again():
    """Not retryable means not retried, whatever the policy allows."""
    play = started(workflow(step("a", retry=policy(None))))
    play.fails("a", retryable=False)
    assert sent(play) == ["a/1"]
    has_ended(play, "FAILED")


def test_the_worker_may_name_the_delay():
    """RetryAfter takes the place of the policy's delay, and counts as an attempt."""
    play = started(workflow(step("a", retry=policy(2))))
    play.fails("a", retry_after_ms=77_000)
    assert waiting(play.run) == {"retry of a": START + 77_000}
    play.passes(77_000)
    play.fails("a", retry_after_ms=77_000)
    has_ended(play, "FAILED")


def test_an_action_that_runs_at_most_once_is_not_tried_again():
    """Where nobody can know whether it happened, it is not done again."""
    once = action("a", effect=Effect.AT_MOST_ONCE, retry=policy(5))
    play = started(workflow(step("a"), actions=[once]))
    play.fails("a")
    assert sent(play) == ["a/1"]
    assert "the action runs at most once" in story(play)[-2]


def test_only_the_current_attempt_can_fail():
    """A late word of an earlier attempt's failure does not use up a later one."""
    play = started(workflow(step("a", retry=policy(3)), step("b")))
    play.fails("a")
    is_ignored(play, play.fails("a", attempt=1), Outcome.REPEATED)
    play.passes(1_000)
    is_ignored(play, play.fails("a", attempt=1))
    is_ignored(play, play.fails("a", attempt=3))
    play.succeeds("a")
    is_ignored(play, play.fails("a", attempt=2))


def test_a_rule_that_names_the_error_decides_at_once():
    """A named error has its own decision, however many attempts are left; other errors are retried."""
    rules = [on("Full", fallback("letter")), on(None, COMPENSATE)]
    play = started(workflow(step("mail", *rules, retry=policy(5))))
    play.fails("mail")
    assert live(play.run) == {"mail": "BACKING_OFF"}
    play.passes(1_000)
    play.fails("mail", "Full")
    assert told(play.last.event)[1] == "mail#2 decided fallback by rule 1: Full -> fallback: Full: it broke"
    assert sent(play) == ["mail/1", "mail/2", "mail.letter/1"]


def test_a_rule_for_any_error_waits_for_the_attempts():
    """`any -> ...` says what follows when the attempts are used up: it does not take them away."""
    play = started(workflow(step("a", on(None, go_on_with(0)), retry=policy(2)), output=ref("steps", "a")))
    play.fails("a")
    assert live(play.run) == {"a": "BACKING_OFF"}
    play.passes(1_000)
    play.fails("a")
    assert told(play.last.event)[1] == (
        "a#2 decided continue_with by rule 1: any error -> continue_with: Oops: it broke; all 2 attempts are used up"
    )
    has_ended(play, "COMPLETED")


def test_a_retry_rule_stands_in_for_the_policy():
    """A rule with a policy of its own decides how often; when it is used up, the next rule that matches decides."""
    rules = [on("Busy", retry(3)), on("Busy", fallback("later")), on(None, FAIL)]
    play = started(workflow(step("a", *rules, retry=policy(9))))
    for delay in (1_000, 2_000):
        play.fails("a", "Busy")
        play.passes(delay)
    play.fails("a", "Busy")
    assert sent(play) == ["a/1", "a/2", "a/3", "a.later/1"]
    assert "rule 2: Busy -> fallback" in told(play.last.event)[1]


def test_attempts_are_counted_over_all_errors():
    """A policy counts the attempts of the step, whatever they failed of."""
    play = started(workflow(step("a", on("Busy", retry(3)), retry=policy(2))))
    play.fails("a", "Busy")
    play.passes(1_000)
    play.fails("a", "Other")
    assert "all 2 attempts are used up" in told(play.last.event)[1]


def test_a_used_up_retry_rule_does_not_fall_back_to_the_policy():
    """Three attempts by rule are three, also where the policy of the step would allow nine."""
    play = started(workflow(step("a", on("Busy", retry(1)), retry=policy(9))))
    play.fails("a", "Busy")
    assert sent(play) == ["a/1"]
    has_ended(play, "FAILED")


def test_a_fallback_stands_in_for_the_step():
    """Its output is the step's output, it is a step with a key of its own, and it sees why it is there."""
    rules = [on("Full", fallback("letter", why=ref("error", "message"), to=ref("input", "name")))]
    play = started(
        workflow(step("mail", *rules), step("log", input={"sent": ref("steps", "mail", "id")})), {"name": "Ada"}
    )
    play.fails("mail", "Full", message="no room")
    assert live(play.run) == {"mail": "FAILED", "mail.letter": "SCHEDULED"}
    assert play.sent[-1].step_key == "r-1:0/mail.letter"
    assert play.sent[-1].input == b'{"to":"Ada","why":"no room"}'
    is_ignored(play, play.succeeds("mail", attempt=1))
    play.succeeds("mail.letter", {"id": "stamp"})
    assert live(play.run) == {"mail": "SUCCEEDED", "log": "SCHEDULED"}
    assert play.sent[-1].input == b'{"sent":"stamp"}'


def test_a_fallback_that_fails_fails_the_run():
    """A fallback has the policy of its action and no rules: when it is used up, the run fails with its error."""
    play = started(workflow(step("mail", on(None, fallback("letter"))), actions=[action("letter", retry=policy(2))]))
    play.fails("mail")
    play.fails("mail.letter", "Torn")
    play.passes(1_000)
    play.fails("mail.letter", "Torn")
    assert sent(play) == ["mail/1", "mail.letter/1", "mail.letter/2"]
    has_ended(play, "FAILED")
    assert play.run.error.type == "Torn"


def test_the_run_goes_on_with_a_value():
    """A step may be left behind: the run goes on as if it had given the value."""
    play = started(workflow(step("a", on("Gone", go_on_with({"id": None}))), step("b", input=ref("steps", "a", "id"))))
    play.fails("a", "Gone")
    assert told(play.last.event)[2:] == ['a#1 skipped {"id":null}', "b#1 scheduled null"]


def test_an_undo_comes_before_what_follows():
    """A step that is left behind may have happened: it is undone before its fallback begins."""
    play = started(workflow(step("a", on(None, fallback("b")), undo="undo-a")))
    play.fails("a")
    assert live(play.run) == {"a": "COMPENSATING"}
    assert play.run.status == "RUNNING"
    assert sent(play) == ["a/1", "a/undo/1"]
    is_ignored(play, play.succeeds("a", attempt=1))
    play.undoes("a", "never_happened")
    assert live(play.run) == {"a": "FAILED", "a.b": "SCHEDULED"}
    assert play.run.compensations == ()


def test_an_undo_comes_before_the_run_goes_on():
    """The same holds for a step that the run goes on without, and the error is still there for the story."""
    play = started(workflow(step("a", on(None, go_on_with(5)), undo="undo-a"), output=ref("steps", "a")))
    play.fails("a")
    play.undoes("a")
    assert told(play.last.event)[-2:] == ["a#1 skipped 5", "run_ended 5"]


def test_fail_undoes_the_failed_step_and_nothing_else():
    """`fail` ends the run at once: what other steps did stays."""
    play = started(workflow(step("a", undo="undo-a"), step("b", on("Bad", FAIL), undo="undo-b")))
    play.succeeds("a")
    play.fails("b", "Bad")
    assert sent(play) == ["a/1", "b/1", "b/undo/1"]
    play.undoes("b")
    has_ended(play, "FAILED")


def test_an_input_that_cannot_be_made_is_a_failure():
    """A reference that finds nothing fails the step before any command: rules decide, nothing is there to undo."""
    play = started(
        workflow(step("a"), step("b", on("InputRefused", go_on_with(1)), input=ref("steps", "a", "id"), undo="undo-b"))
    )
    play.succeeds("a", {})
    why = "the reference steps.a.id finds nothing: the object has no keys"
    assert told(play.last.event)[1:] == [
        "b failed InputRefused",
        f"b decided continue_with by rule 1: InputRefused -> continue_with: InputRefused: {why}",
        "b skipped 1",
        "run_ended null",
    ]
    assert sent(play) == ["a/1"]


def test_an_input_of_another_type_is_a_failure():
    """An action never gets an input that its type does not allow."""
    typed = action("a", input_schema={"properties": {"n": {"type": "integer"}}})
    play = started(workflow(step("a", input=ref("input")), actions=[typed]), {"n": "x"})
    assert play.run.error.type == "InputRefused"
    assert play.run.error.message == 'n: "x" is not of type "integer"'
    assert play.sent == []


def test_an_input_beyond_the_limit_is_a_failure():
    """An action never gets an input that no record should carry, whatever it was put together from."""
    play = started(workflow(step("a", input=[ref("input")] * 3), limits=Limits(payload_bytes=20)), "12345678")
    assert play.run.error.type == "InputRefused"
    assert "34 bytes are more than 20" in play.run.error.message
    assert play.sent == []


def test_an_undo_beyond_the_limit_is_a_failure():
    """A step whose undo could not be carried is not begun."""
    undo = call("undo-a", x=[ref("input")] * 3)
    play = started(workflow(step("a", undo=undo), limits=Limits(payload_bytes=40)), "12345678")
    assert play.run.error.type == "InputRefused"
    assert play.sent == []


def test_a_command_that_came_too_late_is_sent_anew():
    """DeadlinePassed is no failure of the action: it never began, so no attempt of the policy is used up."""
    play = started(workflow(step("a")))
    play.fails("a", "DeadlinePassed")
    play.passes(10_000)
    assert sent(play) == ["a/1", "a/2"]
    assert "it never began" in story(play)[-2]


def test_a_long_message_is_cut():
    """A worker cannot make a run large by what it complains about."""
    play = started(workflow(step("a"), limits=Limits(error_message_bytes=40)))
    play.fails("a", "T" * 50, message="é" * 100, details=b'"' + b"x" * 50 + b'"')
    assert len(play.run.error.message.encode()) <= 40
    assert play.run.error.message.endswith("é [cut]")
    assert play.run.error.type == "T" * 34 + " [cut]"
    assert play.run.error.details is None


def test_decisions_are_kept_up_to_a_limit():
    """The run's state keeps the latest decisions; the events have them all."""
    play = started(workflow(step("a", retry=policy(9, initial_ms=0)), limits=Limits(decisions_kept=2)))
    for _ in range(5):
        play.fails("a")
    assert [made.attempt for made in play.run.decisions] == [4, 5]
    assert sum("decided" in line for line in story(play)) == 5
