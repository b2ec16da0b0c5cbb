"""The runs whose histories are recorded, told as plays. A scenario is only told again when its recording is new."""

from actionbus.contracts.definitions import Effect
from engine.graphs import (
    COMPENSATE,
    DAY_MS,
    FAIL,
    action,
    call,
    emit,
    fallback,
    go_on_with,
    on,
    policy,
    ref,
    retry,
    sequence,
    step,
    workflow,
)
from engine.play import Play, started

SIGNUP = workflow(
    step("create-user", input={"email": ref("input", "email")}, undo=call("delete-user", id=ref("made", "id"))),
    step(
        "welcome",
        on("MailboxFull", fallback("queue-letter", user=ref("steps", "create-user", "id"), why=ref("error", "type"))),
        on(None, COMPENSATE),
        input={"to": ref("input", "email")},
        undo=call("apologise", message=ref("made", "id")),
        retry=policy(3, jitter=0.5),
    ),
    step("update-crm", input={"user": ref("steps", "create-user", "id")}),
    output={"user": ref("steps", "create-user", "id"), "message": ref("steps", "welcome", "id")},
    actions=[
        action("create-user", effect=Effect.TRANSACTIONAL, store="users"),
        action("delete-user", effect=Effect.TRANSACTIONAL, store="users"),
        action("welcome", start_to_close_ms=10_000, emits=("mails",)),
    ],
    name="signup",
    run_timeout_ms=3_600_000,
)
ADA = {"email": "ada@example.org"}


def _signed_up(play: Play) -> Play:
    play.succeeds("create-user", {"id": 7})
    return play


def happy_path() -> Play:
    """Every step succeeds; a record is emitted on the way; the run is kept for a day and then forgotten."""
    play = _signed_up(started(SIGNUP, ADA))
    play.begins("welcome")
    play.succeeds("welcome", {"id": "m-1"}, emits=("mails",))
    play.succeeds("update-crm")
    play.passes(DAY_MS)
    return play


def retry_then_success() -> Play:
    """Two attempts fail, the third succeeds; delays grow and are spread by the command ids."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "Busy")
    play.passes(1_000)
    play.fails("welcome", "Busy", retry_after_ms=5_000)
    play.passes(5_000)
    play.succeeds("welcome", {"id": "m-1"})
    play.succeeds("update-crm")
    return play


def exhausted_compensates() -> Play:
    """A step is used up; it and all before it are undone, last first, and one undo needs a second attempt."""
    play = _signed_up(started(SIGNUP, ADA))
    play.succeeds("welcome", {"id": "m-1"})
    play.fails("update-crm", "Rejected", retryable=False, details=b'{"code":422}')
    play.fails("welcome", "Busy", undo=True)
    play.passes(2_000)
    play.undoes("welcome")
    play.undoes("create-user")
    return play


def fallback_stands_in() -> Play:
    """A named error leads to the fallback, after the failed step was undone; its output goes on in the step's place."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "MailboxFull")
    play.undoes("welcome", "never_happened")
    play.succeeds("welcome.queue-letter", {"id": "letter-1"})
    play.succeeds("update-crm")
    return play


def continue_with_value() -> Play:
    """A step is left behind and the run goes on with a value; a nested sequence and a record follow."""
    play = started(
        workflow(
            step("price", on("Closed", go_on_with({"amount": 0}))),
            sequence(
                "shipping",
                step(
                    "book", on("Full", retry(2, initial_ms=0)), on("Full", FAIL), input=ref("steps", "price", "amount")
                ),
                emit("booked", "bookings", ref("input"), {"at": ref("steps", "price", "amount")}),
            ),
        ),
        "order-1",
    )
    play.fails("price", "Closed")
    play.fails("shipping.book", "Full")
    play.succeeds("shipping.book")
    return play


def cancel_mid_run() -> Play:
    """Somebody cancels while a step is under way; late results are ignored; a second cancel changes nothing."""
    play = _signed_up(started(SIGNUP, ADA))
    play.cancels("changed her mind")
    play.succeeds("welcome", {"id": "m-1"}, attempt=1)
    play.cancels(request_id="cancel-2")
    play.undoes("welcome")
    play.undoes("create-user")
    play.cancels(request_id="cancel-3")
    return play


def late_success_while_backing_off() -> Play:
    """The first attempt succeeds after all, while the second waits for its time."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "Busy")
    play.succeeds("welcome", {"id": "m-1"}, attempt=1)
    play.succeeds("update-crm")
    return play


def late_success_of_an_earlier_attempt() -> Play:
    """The first attempt succeeds while the second is under way; the second one's success comes too late."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "Busy")
    play.passes(1_000)
    play.succeeds("welcome", {"id": "m-1"}, attempt=1)
    play.succeeds("welcome", {"id": "m-2"}, attempt=2)
    play.succeeds("update-crm")
    return play


def late_success_while_compensating() -> Play:
    """The failed step's success arrives while it is undone, and is ignored."""
    play = started(SIGNUP, ADA)
    play.fails("create-user", "Lost", retryable=False)
    play.succeeds("create-user", {"id": 7}, attempt=1)
    play.undoes("create-user")
    return play


def attempt_times_out() -> Play:
    """An attempt that has begun takes too long and is tried again."""
    play = _signed_up(started(SIGNUP, ADA))
    play.passes(120_000)
    play.begins("welcome")
    play.passes(12_000)
    play.succeeds("welcome", {"id": "m-1"})
    play.succeeds("update-crm")
    return play


def run_times_out() -> Play:
    """The run takes longer than its definition allows and is undone."""
    play = _signed_up(started(SIGNUP, ADA))
    play.passes(3_600_000)
    play.undoes("welcome", "never_happened")
    play.undoes("create-user")
    return play


def step_times_out() -> Play:
    """All attempts of a step together take too long while the next one waits."""
    play = started(workflow(step("slow", retry=policy(None, initial_ms=4_000, factor=1), schedule_to_close_ms=10_000)))
    play.fails("slow")
    play.passes(4_000)
    play.fails("slow")
    play.passes(4_000)
    play.passes(2_000)
    return play


def duplicate_start() -> Play:
    """The same request is answered alike, another one for the same run is rejected, before and after its end."""
    play = started(workflow(step("a")))
    play.starts()
    play.starts(request_id="start-2")
    play.succeeds("a")
    play.starts()
    play.starts(request_id="start-3")
    return play


def retention_and_reuse() -> Play:
    """An ended run is forgotten; its id is used again, and results of the earlier incarnation are strangers to it."""
    play = started(workflow(step("a")))
    play.succeeds("a")
    play.passes(DAY_MS)
    play.succeeds("a", attempt=1)
    play.incarnation = "1z"
    play.starts(request_id="start-2")
    play.incarnation = "0"
    play.succeeds("a", attempt=1)
    play.incarnation = "1z"
    play.succeeds("a")
    return play


def undo_becomes_incident() -> Play:
    """An undo is used up: the run waits for an operator, until a late answer of the undo closes the incident."""
    play = started(workflow(step("a", undo="undo-a"), step("b"), undo_retry=policy(2)))
    play.succeeds("a")
    play.fails("b")
    play.fails("a", "Stuck", undo=True)
    play.passes(1_000)
    play.fails("a", "Stuck", undo=True)
    play.undoes("a", attempt=1)
    return play


SCENARIOS = (
    happy_path,
    retry_then_success,
    exhausted_compensates,
    fallback_stands_in,
    continue_with_value,
    cancel_mid_run,
    late_success_while_backing_off,
    late_success_of_an_earlier_attempt,
    late_success_while_compensating,
    attempt_times_out,
    run_times_out,
    step_times_out,
    duplicate_start,
    retention_and_reuse,
    undo_becomes_incident,
)
