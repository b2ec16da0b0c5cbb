"""The inbox on SQLite and PostgreSQL: one effect for each step key, whoever comes, however often, in whatever order."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts import payloads
from actionbus.contracts.errors import Refused, TransactionRefused
from actionbus.contracts.results import Emit
from actionbus.worker import inbox, outcomes
from actionbus.worker.outcomes import Deferred, Done, ErrorType, Failed
from actionbus.worker.stores import Stores
from worker.commands import Booking, execute, failing, undo
from worker.conftest import make_ledger

BOOKED = ("r-1:2s/pay", "booked")
REFUNDED = ("r-1:2s/pay", "refunded")


async def test_a_command_that_comes_again_is_answered_and_not_done_again(stores, effects):
    """A redelivered command gets the stored output and emits; the effect is there once."""
    emits = (
        Emit(topic="sales", key=b"\x00k", value=b"\xff", headers={"h": b"\x01"}),
        Emit(topic="sales", key=None, value=None),
    )
    booking = Booking(Done(output=b'{"booking":"b-1"}', emits=emits))
    first = await inbox.perform(stores["default"], execute(), booking)
    second = await inbox.perform(stores["default"], execute(), booking)
    assert first == Done(output=b'{"booking":"b-1"}', emits=emits)
    assert second == Done(output=b'{"booking":"b-1"}', emits=emits, repeated=True)
    assert await effects() == [BOOKED]


async def test_the_next_attempt_is_answered_by_the_effect_of_an_earlier_one(stores, effects):
    """All attempts of a step share one effect, because they share the step key."""
    booking = Booking()
    await inbox.perform(stores["default"], execute(attempt=1), booking)
    assert (await inbox.perform(stores["default"], execute(attempt=2), booking)).repeated
    assert await effects() == [BOOKED]


async def test_many_workers_with_the_same_command_make_one_effect(stores, effects, database_url):
    """Twenty deliveries at the same time, over two pools as of two processes, give one effect and one answer."""
    async with Stores({"default": database_url}) as others:
        bookings = [Booking() for _ in range(20)]
        answers = await asyncio.gather(
            *(
                inbox.perform((stores, others)[index % 2]["default"], execute(attempt=1 + index % 3), booking)
                for index, booking in enumerate(bookings)
            )
        )
    assert {answer.output for answer in answers} == {b'{"booking":"b-1"}'}
    assert sum(not answer.repeated for answer in answers) == 1
    assert await effects() == [BOOKED]


async def test_a_retryable_failure_leaves_nothing_behind(stores, effects):
    """After a failure that may be retried, neither user rows nor an inbox row remain, and the retry runs."""
    store = stores["default"]
    answer = await inbox.perform(store, execute(), Booking(failing(retryable=True)))
    assert answer == failing(retryable=True)
    assert await effects() == []
    assert isinstance(await inbox.perform(store, execute(), Booking()), Done)


async def test_a_final_failure_is_the_same_answer_for_ever_and_only_for_its_attempt(stores, effects):
    """A verdict is stored under the command id: redelivery gets it again, another attempt gets a fresh chance."""
    store = stores["default"]
    failure = failing(retryable=False)
    assert await inbox.perform(store, execute(attempt=1), Booking(failure)) == failure
    again = await inbox.perform(store, execute(attempt=1), Booking())
    assert again == Failed(error=failure.error, repeated=True)
    assert await effects() == []
    assert isinstance(await inbox.perform(store, execute(attempt=2), Booking()), Done)
    assert await effects() == [BOOKED]


async def test_a_compensation_before_the_step_keeps_the_step_from_ever_happening(stores, effects):
    """CANCELLED under the step key: the undo is not called, and a late attempt is refused."""
    store, refund, booking = stores["default"], Booking(what="refunded"), Booking()
    assert await inbox.perform(store, undo(), refund) == Done(output=outcomes.NEVER_HAPPENED)
    late = await inbox.perform(store, execute(), booking)
    assert (late.error.type, late.error.retryable) == (ErrorType.CANCELLED, False)
    assert await inbox.perform(store, undo(attempt=2), refund) == Done(output=outcomes.NEVER_HAPPENED, repeated=True)
    assert (refund.calls, booking.calls, await effects()) == ([], [], [])


async def test_a_compensation_after_the_step_undoes_what_the_row_says(stores, effects):
    """The undo gets the output that the inbox knows, which the orchestrator may never have seen; it happens once."""
    store, refund = stores["default"], Booking(Done(output=outcomes.UNDONE), what="refunded")
    await inbox.perform(store, execute(), Booking())
    assert await inbox.perform(store, undo(), refund) == Done(output=outcomes.UNDONE)
    assert await inbox.perform(store, undo(), refund) == Done(output=outcomes.UNDONE, repeated=True)
    assert await inbox.perform(store, undo(attempt=2), refund) == Done(output=outcomes.UNDONE, repeated=True)
    assert refund.calls == [{"booking": "b-1", "why": "late"}]
    assert await effects() == [BOOKED, REFUNDED]


async def test_a_step_that_was_undone_is_not_answered_as_done(stores, effects):
    """A run that was put back to before its undo asks again: what is there no more is no success."""
    store, booking = stores["default"], Booking()
    await inbox.perform(store, execute(), booking)
    await inbox.perform(store, undo(), Booking(Done(output=outcomes.UNDONE), what="refunded"))
    for attempt in (1, 2):
        again = await inbox.perform(store, execute(attempt=attempt), booking)
        assert (again.error.type, again.error.retryable) == (ErrorType.CANCELLED, False)
    assert (len(booking.calls), await effects()) == (1, [BOOKED, REFUNDED])


async def test_data_that_looks_like_a_reference_is_never_followed(stores):
    """What the step made is filled in as it is; literals of the template stay literal."""
    store, refund = stores["default"], Booking(what="refunded")
    await inbox.perform(store, execute(), Booking(Done(output=b'{"booking":{"$ref":["made"]}}')))
    await inbox.perform(
        store,
        undo(value={"a": {"$ref": ["made", "booking"]}, "b": {"$literal": {"$ref": ["made"]}}}),
        refund,
    )
    assert refund.calls == [{"a": {"$ref": ["made"]}, "b": {"$ref": ["made"]}}]


async def test_a_failed_undo_may_be_tried_again(stores, effects):
    """A compensation that failed leaves no row of its own, and the next attempt undoes."""
    store = stores["default"]
    await inbox.perform(store, execute(), Booking())
    for attempt, retryable in ((1, True), (2, False)):
        failure = failing(retryable=retryable)
        assert await inbox.perform(store, undo(attempt=attempt), Booking(failure, what="refunded")) == failure
    assert isinstance(await inbox.perform(store, undo(attempt=3), Booking(what="refunded")), Done)
    assert await effects() == [BOOKED, REFUNDED]


async def test_the_undo_of_a_step_without_inbox_happens_once(stores, effects):
    """A transactional undo of an idempotent step has its row under step key/undo and gets its input as it is."""
    store, refund = stores["default"], Booking(what="refunded")
    command = undo(value={"booking": None, "note": {"$ref": ["made"]}}, template=False)
    await inbox.perform(store, command, refund)
    assert (await inbox.perform(store, command.replace(command_id=f"{command.step_key}/undo/2"), refund)).repeated
    assert refund.calls == [{"booking": None, "note": {"$ref": ["made"]}}]
    assert await effects() == [REFUNDED]


@pytest.mark.parametrize("late", [0.0, 0.001, 0.002, 0.005, 0.01])
async def test_step_and_compensation_at_the_same_time_leave_all_or_nothing(stores, effects, late):
    """Whoever wins the race of a late worker with the compensation, the net effect is zero."""
    store, refund = stores["default"], Booking(Done(output=outcomes.UNDONE), what="refunded")

    async def compensate():
        await asyncio.sleep(late)
        return await inbox.perform(store, undo(), refund)

    done, undone = await asyncio.gather(inbox.perform(store, execute(), Booking()), compensate())
    if undone.output == outcomes.NEVER_HAPPENED:
        assert done.error.type == ErrorType.CANCELLED
        assert await effects() == []
    else:
        assert isinstance(done, Done)
        assert await effects() == [BOOKED, REFUNDED]


async def test_a_compensation_waits_for_a_worker_that_has_begun(stores, effects):
    """A step whose transaction is open is neither missed nor cancelled: the compensation waits and then undoes."""
    store, refund = stores["default"], Booking(Done(output=outcomes.UNDONE), what="refunded")
    inside, leave = asyncio.Event(), asyncio.Event()

    async def hold(_session):
        inside.set()
        await leave.wait()

    step = asyncio.create_task(inbox.perform(store, execute(), Booking(before=hold)))
    await inside.wait()
    compensation = asyncio.create_task(inbox.perform(store, undo(), refund))
    done, _ = await asyncio.wait([compensation], timeout=0.3)
    assert not done
    leave.set()
    assert await compensation == Done(output=outcomes.UNDONE)
    assert isinstance(await step, Done)
    assert await effects() == [BOOKED, REFUNDED]


async def test_a_key_with_another_input_is_refused_loudly(stores, effects):
    """The same step key with another input or action is an attack or a bug: refused, nothing done."""
    store = stores["default"]
    await inbox.perform(store, execute(), Booking())
    for command in (execute(value={"amount": 6}), execute(action="other")):
        answer = await inbox.perform(store, command, Booking())
        assert (answer.error.type, answer.error.retryable) == (ErrorType.INPUT_REFUSED, False)
    assert await effects() == [BOOKED]


@pytest.mark.parametrize(
    "end",
    [
        lambda session: session.commit(),
        lambda session: session.rollback(),
        lambda session: session.close(),
        lambda session: session.reset(),
        lambda session: session.execute(text("COMMIT")),
        lambda session: session.execute(text("  rollback")),
        lambda session: session.execute(text("END")),
    ],
    ids=["commit", "rollback", "close", "reset", "COMMIT", "ROLLBACK", "END"],
)
async def test_user_code_cannot_end_the_transaction(stores, effects, end):
    """Ending ctx.db is refused with a sentence that says what to do, and the attempt goes on whole."""

    async def try_to_end(session):
        with pytest.raises(TransactionRefused, match="return to commit"):
            await end(session)

    answer = await inbox.perform(stores["default"], execute(), Booking(before=try_to_end))
    assert isinstance(answer, Done)
    assert await effects() == [BOOKED]


async def test_a_commit_behind_the_session_is_refused(stores, effects):
    """The connection below the session does not commit for user code either: all of it or nothing is there."""

    async def commit(session):
        await (await session.connection()).commit()

    with pytest.raises(TransactionRefused):
        await inbox.perform(stores["default"], execute(), Booking(before=commit))
    assert await effects() == []


async def test_a_rollback_behind_the_session_does_not_commit_the_rest(stores, effects):
    """When user code rolls the inbox row back below the session, what it writes afterwards is not committed."""

    async def roll_back(session):
        await (await session.connection()).rollback()

    with pytest.raises(Refused, match="inbox row is gone"):
        await inbox.perform(stores["default"], execute(), Booking(before=roll_back))
    assert await effects() == []


async def test_user_code_may_undo_a_part(stores, effects):
    """A savepoint is rolled back alone; the rest is committed."""

    async def part(session):
        async with session.begin_nested() as savepoint:
            await session.execute(text("INSERT INTO effects VALUES ('r-1:2s/pay', 'regretted')"))
            await savepoint.rollback()

    assert isinstance(await inbox.perform(stores["default"], execute(), Booking(before=part)), Done)
    assert await effects() == [BOOKED]


async def test_a_cancelled_attempt_leaves_nothing_behind(stores, effects):
    """An attempt that is cancelled in user code rolls back and gives its connection back."""
    store, inside = stores["default"], asyncio.Event()

    async def hang(session):
        await session.execute(text("INSERT INTO effects VALUES ('r-1:2s/pay', 'half')"))
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(inbox.perform(store, execute(), Booking(before=hang)))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert isinstance(await inbox.perform(store, execute(), Booking()), Done)
    assert await effects() == [BOOKED]


@pytest.mark.postgres
async def test_what_the_database_refuses_at_the_commit_is_not_done(postgres_database):
    """A constraint that is looked at only at the commit fails the attempt at once, and nothing is committed."""

    async def orphan(session):
        await session.execute(text("INSERT INTO child VALUES (7)"))

    async with Stores({"default": postgres_database}) as stores:
        await make_ledger(postgres_database)
        engine = create_async_engine(postgres_database)
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
            await connection.execute(
                text("CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)")
            )
        booking = Booking(before=orphan)
        with pytest.raises(IntegrityError):
            await inbox.perform(stores["default"], execute(), booking)
        async with engine.begin() as connection:
            counts = "SELECT (SELECT count(*) FROM effects), (SELECT count(*) FROM actionbus_inbox)"
            rows = (await connection.execute(text(counts))).one()
        await engine.dispose()
    assert (len(booking.calls), tuple(rows)) == (1, (0, 0))


def test_the_stored_answers_of_a_compensation_are_json():
    """The two outcomes of a compensation are the JSON that the orchestrator reads."""
    assert payloads.decode(outcomes.UNDONE) == {"outcome": "undone"}
    assert payloads.decode(outcomes.NEVER_HAPPENED) == {"outcome": "never_happened"}


ASKED = Deferred(emits=(Emit(topic="letters", key=b"k", value=b"v"),))


async def test_an_answer_that_is_left_to_others_is_committed_with_the_writes(stores, effects):
    """Whoever comes again, of that attempt or a later one, is told so and given the same records; nothing is done twice."""
    store, asking = stores["default"], Booking(ASKED)
    assert await inbox.perform(store, execute(), asking) == ASKED
    again = Deferred(emits=ASKED.emits, repeated=True)
    assert await inbox.perform(store, execute(), asking) == again
    assert await inbox.perform(store, execute(attempt=2), asking) == again
    assert (len(asking.calls), await effects()) == (1, [BOOKED])


async def test_what_was_left_to_others_is_undone_with_what_they_answered(stores, effects):
    """The row does not know the answer, so the command tells it; an answer that never came is null."""
    for step, original, made in (("pay", b'{"booking":"b-9"}', "b-9"), ("ship", None, None)):
        store, refund = stores["default"], Booking(Done(output=outcomes.UNDONE), what="refunded")
        await inbox.perform(store, execute(step), Booking(ASKED))
        command = undo(step, original_output=original)
        assert await inbox.perform(store, command, refund) == Done(output=outcomes.UNDONE)
        assert refund.calls == [{"booking": made, "why": "late"}]
    assert await effects() == [BOOKED, BOOKED, REFUNDED, REFUNDED]


async def test_an_undo_that_is_left_to_others_is_not_done_again(stores, effects):
    """Its row stands under the step key and /undo, and says so to every attempt of the undo."""
    store, refund = stores["default"], Booking(Deferred(), what="refund asked for")
    await inbox.perform(store, execute(), Booking())
    assert await inbox.perform(store, undo(), refund) == Deferred()
    assert await inbox.perform(store, undo(attempt=2), refund) == Deferred(repeated=True)
    assert (len(refund.calls), await effects()) == (1, [("r-1:2s/pay", "booked"), ("r-1:2s/pay", "refund asked for")])


async def test_what_was_undone_cannot_be_left_to_others_any_more(stores, effects):
    """An undo that came first closes the step: the late attempt asks nobody."""
    store, asking = stores["default"], Booking(ASKED)
    await inbox.perform(store, undo(), Booking())
    assert (await inbox.perform(store, execute(), asking)).error.type == ErrorType.CANCELLED
    assert (asking.calls, await effects()) == ([], [])
