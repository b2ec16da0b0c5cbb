"""Running workflows in a test: the real engine and the real actions, without Kafka and without waiting."""

import sqlite3
import time
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from actionbus import (
    ActionContext,
    DefinitionRefused,
    Flow,
    Limit,
    NonRetryable,
    PayloadRefused,
    Refused,
    Retry,
    RetryAfter,
    RunFailed,
    action,
    rule,
    workflow,
)
from actionbus.contracts.events import EntryKind
from actionbus.contracts.run import RunStatus
from actionbus.testing import FakeClock, answers, never, run_workflow, run_workflow_async


class Order(BaseModel):
    """What is ordered."""

    item: str
    amount: int = 1


class Booking(BaseModel):
    """What was booked."""

    id: str


@action(id="reserve", effect="transactional", emits=["reservations"])
async def reserve(ctx: ActionContext, item: str, amount: int) -> Booking:
    """Writes a row."""
    await ctx.db.execute(text("CREATE TABLE IF NOT EXISTS stock (key TEXT PRIMARY KEY, item TEXT)"))
    await ctx.db.execute(text("INSERT INTO stock VALUES (:key, :item)"), {"key": ctx.step_key, "item": item})
    ctx.emit("reservations", key=item, value={"amount": amount})
    return Booking(id=ctx.step_key)


@action(id="release", effect="transactional")
async def release(ctx: ActionContext, booking: str) -> None:
    """Removes the row."""
    await ctx.db.execute(text("DELETE FROM stock WHERE key = :key"), {"key": booking})


@action(id="charge", retry=Retry(attempts=3, initial="10s", jitter=0), timeout="30s")
def charge(ctx: ActionContext, amount: int) -> str:
    """A plain function, run in a thread."""
    return f"paid {amount} at attempt {ctx.attempt}"


@action(id="refund")
def refund(receipt: str | None) -> None:
    """Takes charge back, if anything was charged."""


@action(id="ship")
async def ship(booking: str) -> str:
    """An asynchronous function without a context."""
    return f"shipped {booking}"


@workflow(id="order", version="1")
def order(flow: Flow, order: Order) -> str:
    """Reserve, charge, ship."""
    booking = flow.run(reserve(item=order.item, amount=order.amount), undo=lambda made: release(booking=made.id))
    flow.run(charge(amount=order.amount), undo=lambda made: refund(receipt=made))
    flow.emit("orders", key=order.item, value={"booking": booking.id})
    return flow.run(ship(booking=booking.id), on_failure=[rule("Lost").continue_with("lost"), rule.any.compensate()])


LAMP = Order(item="lamp", amount=2)


def rows(file) -> list[tuple[Any, ...]]:
    """What stands in the stock table of a database file."""
    with sqlite3.connect(file) as connection:
        return connection.execute("SELECT key, item FROM stock").fetchall()


def test_a_run_gives_its_output_its_calls_its_events_and_what_it_emitted():
    """Everything a test may ask about is there, in order."""
    run = run_workflow(order, LAMP, run_id="order-1")
    assert (run.status, run.output, run.result) == (RunStatus.COMPLETED,) + ("shipped order-1:0/reserve",) * 2
    assert [(each.action, each.step, each.attempt, each.undo) for each in run.calls] == [
        ("reserve", "reserve", 1, False),
        ("charge", "charge", 1, False),
        ("ship", "ship", 1, False),
    ]
    assert run.called("charge") == [{"amount": 2}]
    assert [(each.topic, each.key, each.value) for each in run.emitted] == [
        ("reservations", b"lamp", b'{"amount":2}'),
        ("orders", b"lamp", b'{"booking":"order-1:0/reserve"}'),
    ]
    assert [entry.step for entry in run.entries if entry.kind is EntryKind.STEP_SUCCEEDED] == [
        "reserve",
        "charge",
        "ship",
    ]
    assert (run.decisions, run.error, run.reason) == ((), None, "")


def test_a_retry_moves_the_clock_and_nobody_waits():
    """Two failures of ten and twenty seconds pass at once; the decisions tell of them."""
    clock = FakeClock()
    begun = time.monotonic()
    stand_in = answers(ConnectionError("busy"), ConnectionError, "paid")
    run = run_workflow(order, LAMP, actions={charge: stand_in}, clock=clock)
    assert run.status is RunStatus.COMPLETED
    assert clock.elapsed_ms == 30_000
    assert time.monotonic() - begun < 25
    assert [(each.step, each.attempt, each.decision) for each in run.decisions] == [
        ("charge", 1, "retry"),
        ("charge", 2, "retry"),
    ]


def test_a_failure_may_say_when_to_come_back():
    """RetryAfter replaces the policy's delay."""
    clock = FakeClock()
    run_workflow(order, LAMP, actions={"charge": answers(RetryAfter("1h"), "paid")}, clock=clock)
    assert clock.elapsed_ms == 3_600_000


def test_a_run_that_fails_is_undone_last_step_first(tmp_path):
    """Compensations are called with what the steps made, and the database is as before."""
    file = tmp_path / "stock.db"
    stores = {"default": f"sqlite:///{file}"}
    declined = NonRetryable("the address is unknown", type="Unknown")
    run = run_workflow(order, LAMP, actions={ship: answers(declined)}, stores=stores)
    assert (run.status, run.output, run.reason) == (RunStatus.FAILED, None, "Unknown: the address is unknown")
    undone = [(each.action, each.arguments) for each in run.calls if each.undo]
    assert undone == [("refund", {"receipt": "paid 2 at attempt 1"}), ("release", {"booking": "test-run:0/reserve"})]
    assert rows(file) == []
    with pytest.raises(RunFailed, match="Unknown"):
        _ = run.result


def test_a_database_that_is_named_keeps_what_was_written(tmp_path):
    """The row and the inbox row are in the file after the run."""
    file = tmp_path / "stock.db"
    run_workflow(order, LAMP, stores={"default": f"sqlite:///{file}"})
    assert rows(file) == [("test-run:0/reserve", "lamp")]
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT COUNT(*) FROM actionbus_inbox").fetchone() == (1,)


def test_a_transactional_step_that_never_happened_is_not_undone():
    """Where nothing was committed the user's compensation is not called: the inbox settles it."""
    run = run_workflow(order, LAMP, actions={reserve: answers(NonRetryable("sold out", type="SoldOut"))})
    assert run.status is RunStatus.FAILED
    assert [each.action for each in run.calls if each.undo] == []


def test_a_plain_step_whose_answer_was_never_seen_is_undone_with_none():
    """It may have happened, so its compensation is called and told that nobody knows."""
    run = run_workflow(order, LAMP, actions={charge: never})
    assert (run.status, run.error.type) == (RunStatus.FAILED, "Timeout")
    assert run.called("refund") == [{"receipt": None}]


def test_an_attempt_without_an_answer_times_out_on_the_tests_clock():
    """The timeout passes without waiting, and the next attempt follows."""
    clock = FakeClock()
    run = run_workflow(order, LAMP, actions={charge: answers(never, "paid")}, clock=clock)
    assert run.status is RunStatus.COMPLETED
    assert clock.elapsed_ms == 40_000
    assert run.called("charge") == [{"amount": 2}] * 2


def test_a_transactional_stand_in_without_an_answer_commits_nothing(tmp_path):
    """A worker that dies in the middle leaves no row; the next attempt writes one."""
    file = tmp_path / "stock.db"

    async def dies_once(ctx: ActionContext, item: str, amount: int) -> Booking:
        booking = await reserve.execute(ctx, item, amount)
        if ctx.attempt == 1:
            never()
        return booking

    run = run_workflow(order, LAMP, actions={reserve: dies_once}, stores={"default": f"sqlite:///{file}"})
    assert run.status is RunStatus.COMPLETED
    assert rows(file) == [("test-run:0/reserve", "lamp")]


def test_a_decision_beside_the_step_is_taken():
    """``continue_with`` goes on with its value."""
    run = run_workflow(order, LAMP, actions={ship: answers(NonRetryable(type="Lost"))})
    assert (run.status, run.output) == (RunStatus.COMPLETED, "lost")


def test_another_action_may_stand_in():
    """A list of actions replaces those of the same id."""

    @action(id="ship")
    def teleport(booking: str) -> str:
        return f"beamed {booking}"

    assert run_workflow(order, LAMP, actions=[teleport]).output == "beamed test-run:0/reserve"


def test_a_stand_in_is_held_to_the_types_of_what_it_stands_for():
    """What it gives is checked like any output."""
    run = run_workflow(order, LAMP, actions={ship: answers(404)})
    assert (run.status, run.error.type) == (RunStatus.FAILED, "OutputRefused")


def test_a_stand_in_for_an_action_that_is_not_used_is_refused():
    """A misspelt id does not silently replace nothing."""
    with pytest.raises(DefinitionRefused, match="does not use shipp; it uses reserve"):
        run_workflow(order, LAMP, actions={"shipp": never})


def test_an_input_that_does_not_fit_starts_nothing():
    """The types are checked as by the client, and the engine checks the schema once more."""
    with pytest.raises(PayloadRefused, match="item"):
        run_workflow(order, {"amount": 1})


def test_two_runs_of_the_same_script_are_the_same():
    """No clock and no randomness: events and state are equal, byte for byte."""

    def once():
        return run_workflow(order, LAMP, actions={charge: answers(ConnectionError(), never, ValueError("no"))})

    first, second = once(), once()
    assert first.state == second.state
    assert first.events == second.events


def test_an_undo_that_cannot_succeed_leaves_an_incident():
    """The run waits for an operator instead of pretending."""
    run = run_workflow(
        order, LAMP, actions={ship: answers(NonRetryable("no")), refund: answers(NonRetryable("closed", type="Closed"))}
    )
    assert run.status is RunStatus.COMPENSATING
    assert run.state.incident is not None
    assert "Closed: closed" in run.reason
    with pytest.raises(RunFailed, match="Closed"):
        _ = run.result


def test_a_run_that_never_ends_is_given_up_with_the_last_decision():
    """An endless retry is a mistake of the test, and says which."""

    @action(id="stubborn", retry=Retry(attempts=None, initial=0, cap=0))
    def stubborn() -> None: ...

    @workflow(id="endless", version="1")
    def endless(flow: Flow) -> None:
        flow.run(stubborn())

    with pytest.raises(RunFailed, match="ConnectionError: attempt"):
        run_workflow(endless, None, actions={stubborn: answers(ConnectionError("down"))})


def test_a_run_alone_feels_no_limit():
    """Its turns come at once, one after the other, and no rate moves the clock; it can be seen that it waited."""
    few = Limit(concurrency=1, rate="1/1h")

    @action(id="small", limit=few, retry=Retry(attempts=2, initial="10s", jitter=0))
    def small(number: int) -> int:
        return number

    @workflow(id="narrow", version="1", limit=few)
    def narrow(flow: Flow, numbers: list[int]) -> list[int]:
        return flow.map(numbers, lambda number: flow.run(small(number=number), undo=lambda _: small(number=0)))

    clock = FakeClock()
    run = run_workflow(narrow, [1, 2], actions={small: answers(OSError("once"), 1, 2)}, clock=clock)
    assert (run.result, clock.elapsed_ms) == ([2, 1], 10_000)
    assert [entry.step for entry in run.entries if entry.kind is EntryKind.QUEUED].count(None) == 1
    undone = run_workflow(narrow, [1], actions={small: answers(NonRetryable("no"), 0)})
    assert (undone.status, [each.undo for each in undone.calls]) == ("FAILED", [False, True])


async def test_inside_an_event_loop_the_asynchronous_form_is_used():
    """The plain form says so; the other one runs in the loop of the test."""
    with pytest.raises(Refused, match="run_workflow_async"):
        run_workflow(order, LAMP)
    run = await run_workflow_async(order, LAMP)
    assert run.status is RunStatus.COMPLETED


def test_answers_need_an_answer():
    """A script without lines is a mistake."""
    with pytest.raises(ValueError, match="at least one"):
        answers()


@action(id="ask", timeout="1h", retry=Retry(attempts=2, initial="1s"), emits=["letters"])
def ask(ctx: ActionContext, item: str) -> Booking:
    """Somebody else answers."""
    ctx.emit("letters", value={"item": item, "token": ctx.token})
    return ctx.answer_later()


@workflow(id="asking", version="1")
def asking(flow: Flow, order: Order) -> Booking:
    """One question."""
    return flow.run(ask(item=order.item))


@workflow(id="sending", version="1")
def sending(flow: Flow, order: Order) -> str:
    """One long step."""
    return flow.run(send_all(amount=order.amount))


@action(id="send-all", timeout="1h", heartbeat="10s", retry=Retry(attempts=3, initial="1s", jitter=0))
async def send_all(ctx: ActionContext, amount: int) -> str:
    """Goes on where the attempt before it was."""
    begin = ctx.heartbeat_details or 0
    for number in range(begin, amount):
        if number == begin + 2:
            never()
        ctx.heartbeat(number + 1)
    return f"began at {begin}"


def test_an_answer_from_outside_is_given_by_the_test():
    """A function of the arguments answers in the place of whoever has the token; what was emitted is there."""
    run = run_workflow(asking, Order(item="nail"), answers={ask: lambda item: Booking(id=f"b-{item}")})
    assert run.result == Booking(id="b-nail")
    (letter,) = run.emitted
    assert letter.topic == "letters"
    assert EntryKind.STEP_DEFERRED in [entry.kind for entry in run.entries]


def test_an_answer_from_outside_may_be_a_failure():
    """What the function raises is what the holder of the token says, and the rules decide."""
    run = run_workflow(asking, Order(item="nail"), answers={"ask": answers(ValueError("not now"), Booking(id="b"))})
    assert (run.result.id, len(run.called("ask"))) == ("b", 2)
    assert run.decisions[0].reason.startswith("ValueError: attempt 2 of 2")


@pytest.mark.parametrize("given", [{}, {ask: never}], ids=["nobody", "never"])
def test_an_answer_that_nobody_gives_takes_the_time_of_the_attempt(given):
    """The clock goes on to it, for every attempt."""
    clock = FakeClock()
    run = run_workflow(asking, Order(item="nail"), answers=given, clock=clock)
    assert (run.status, run.error.type, run.decisions[0].decision) == (RunStatus.FAILED, "Timeout", "retry")
    assert clock.elapsed_ms > 2 * 3_600_000


def test_an_answer_of_the_wrong_kind_is_refused_like_a_workers():
    """The output has to fit the action."""
    run = run_workflow(asking, Order(item="nail"), answers={ask: lambda item: item})
    assert run.error.type == "OutputRefused"


def test_a_silent_attempt_is_followed_by_one_that_goes_on():
    """Nobody waits for the silence; each heartbeat is there, and the next attempt is told the last."""
    clock = FakeClock()
    run = run_workflow(sending, Order(item="mail", amount=5), clock=clock)
    assert run.result == "began at 4"
    assert [(each.attempt, each.details) for each in run.heartbeats] == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]
    assert clock.elapsed_ms == 2 * 10_000 + 1_000 + 2_000
