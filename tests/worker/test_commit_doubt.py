"""When the database does not say whether it committed: one effect all the same, on a real PostgreSQL behind a proxy."""

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.worker import inbox, outcomes
from actionbus.worker.attempts import Attempt
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.outcomes import Done, ErrorType
from actionbus.worker.stores import Stores
from actionbus.worker.threads import Threads
from support import postgres
from worker.commands import Booking, execute, failing, undo
from worker.conftest import make_ledger
from worker.postgres_proxy import OnCommit, PostgresProxy
from worker.station import until

pytestmark = pytest.mark.postgres
BOOKED = ("r-1:2s/pay", "booked")


@pytest.fixture
def database_url(postgres_database):
    """Only PostgreSQL here; the ledger is read past the proxy."""
    return postgres_database


@pytest.fixture
async def proxy(postgres_database):
    """The proxy in front of the test's database, which has the ledger."""
    await make_ledger(postgres_database)
    async with PostgresProxy(postgres_database) as running:
        yield running


@pytest.fixture
async def store(proxy):
    """The store ``default``, reached through the proxy."""
    async with Stores({"default": proxy.url}) as stores:
        yield stores["default"]


async def test_a_commit_whose_reply_is_lost_is_found_again(store, proxy, effects):
    """Committed, and the connection cut before the reply: the row answers, and user code does not run again."""
    booking = Booking()
    proxy.on_commit = OnCommit.LOSE_REPLY
    answer = await inbox.perform(store, execute(), booking)
    assert answer == Done(output=b'{"booking":"b-1"}', repeated=True)
    assert (len(booking.calls), await effects()) == (1, [BOOKED])


async def test_a_commit_that_never_arrived_is_done_again(store, proxy, effects):
    """Cut before the commit arrived: nothing was done, so user code runs again, and the effect is there once."""
    booking = Booking()
    proxy.on_commit = OnCommit.LOSE_REQUEST
    assert await inbox.perform(store, execute(), booking) == Done(output=b'{"booking":"b-2"}')
    assert (len(booking.calls), await effects()) == (2, [BOOKED])


async def test_a_commit_that_arrives_late_is_waited_for(store, proxy, effects, postgres_database):
    """The client gave up, the commit is still on its way: the second look waits for it and takes its answer."""
    booking = Booking()
    proxy.on_commit = OnCommit.LATE
    performing = asyncio.create_task(inbox.perform(store, execute(), booking))
    watch = create_async_engine(postgres_database)

    async def blocked():
        async with watch.connect() as connection:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return await connection.scalar(text(waiting))

    await until(blocked, "the second look, waiting for the row")
    assert await effects() == []
    proxy.gate.set()
    assert await performing == Done(output=b'{"booking":"b-1"}', repeated=True)
    assert (len(booking.calls), await effects()) == (1, [BOOKED])
    await watch.dispose()


@pytest.mark.parametrize("lost", [OnCommit.LOSE_REPLY, OnCommit.LOSE_REQUEST])
async def test_a_cancellation_in_doubt_is_settled(store, proxy, effects, lost):
    """A compensation whose commit is in doubt still ends as never_happened, and the step can never happen."""
    refund = Booking(what="refunded")
    proxy.on_commit = lost
    answer = await inbox.perform(store, undo(), refund)
    assert answer.output == outcomes.NEVER_HAPPENED
    assert (await inbox.perform(store, execute(), Booking())).error.type == ErrorType.CANCELLED
    assert (refund.calls, await effects()) == ([], [])


@pytest.mark.parametrize("lost", [OnCommit.LOSE_REPLY, OnCommit.LOSE_REQUEST])
async def test_a_verdict_in_doubt_is_settled(store, proxy, lost):
    """A final failure whose row is in doubt is the same verdict in the end, and stays it."""
    failure = failing(retryable=False)
    proxy.on_commit = lost
    assert (await inbox.perform(store, execute(), Booking(failure))).error == failure.error
    assert (await inbox.perform(store, execute(), Booking())).error == failure.error


async def test_a_database_that_is_away_for_a_moment_costs_no_attempt(store, proxy, effects):
    """While the database is down the attempt waits, and goes on when it is back."""
    proxy.close()
    performing = asyncio.create_task(inbox.perform(store, execute(), Booking(), patience=60))
    done, _ = await asyncio.wait([performing], timeout=0.5)
    assert not done
    await proxy.open(proxy.port)
    assert isinstance(await performing, Done)
    assert await effects() == [BOOKED]


FULL = """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = 'disk_full'; END $$"""


async def test_a_database_whose_disk_is_full_costs_no_attempt(store, effects, postgres_database):
    """It refuses to write, and says nothing of the attempt, which goes on when there is room again."""
    other = create_async_engine(postgres_database)
    async with other.begin() as connection:
        await connection.execute(text(FULL))
        trigger = "CREATE TRIGGER full_disk BEFORE INSERT ON actionbus_inbox EXECUTE FUNCTION full_disk()"
        await connection.execute(text(trigger))
    performing = asyncio.create_task(inbox.perform(store, execute(), Booking(), patience=60))
    done, _ = await asyncio.wait([performing], timeout=0.5)
    assert not done
    async with other.begin() as connection:
        await connection.execute(text("DROP FUNCTION full_disk CASCADE"))
    await other.dispose()
    assert isinstance(await performing, Done)
    assert await effects() == [BOOKED]


@pytest.mark.usefixtures("postgres_url")  # skips where there is none
async def test_a_database_that_refuses_while_it_restarts_costs_no_attempt():
    """A server on its way down or up answers, with an error: that says nothing of the attempt."""
    with postgres.server() as server:
        await make_ledger(server.url)
        async with Stores({"default": server.url}) as stores:
            await stores["default"].engine.dispose()  # no session is left but the one that keeps the server from ending
            other = create_async_engine(server.url)
            async with other.connect() as connection:
                await connection.execute(text("SELECT 1"))
                await asyncio.to_thread(server.stop, "smart")
                performing = asyncio.create_task(inbox.perform(stores["default"], execute(), Booking(), patience=60))
                done, _ = await asyncio.wait([performing], timeout=0.5)
                assert not done
            await other.dispose()
            await asyncio.to_thread(server.start)
            assert isinstance(await performing, Done)


async def test_a_database_that_stays_away_fails_the_attempt(store, proxy):
    """After its patience the worker says so, and the attempt may be tried again."""
    proxy.close()
    answer = await inbox.perform(store, execute(), Booking(), patience=0.3)
    assert (answer.error.type, answer.error.retryable) == (ErrorType.STORE_UNAVAILABLE, True)
    await proxy.open(proxy.port)


async def test_a_connection_that_dies_in_user_code_fails_the_attempt(store, effects, postgres_database):
    """The server ends the session while user code runs: nothing is committed, the failure may be tried again."""

    async def book(ctx: ActionContext) -> None:
        await ctx.db.execute(text("INSERT INTO effects VALUES ('r-1:2s/pay', 'booked')"))
        own = await ctx.db.scalar(text("SELECT pg_backend_pid()"))
        killer = create_async_engine(postgres_database)
        async with killer.connect() as connection:
            await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        await killer.dispose()
        await ctx.db.execute(text("INSERT INTO effects VALUES ('r-1:2s/pay', 'booked')"))

    act = Action(id="book", execute=book, effect="transactional")
    limits = DEFAULT_LIMITS
    execution = Execution(act, limits=limits, failures=Failures(limits), threads=Threads(1, "x"), store=store)
    attempt = Attempt(command=execute(value={}), claims=[])
    attempt.task = asyncio.create_task(execution.perform(attempt))
    outcome = await attempt.task
    assert (outcome.error.type, outcome.error.retryable) == (ErrorType.STORE_UNAVAILABLE, True)
    assert await effects() == []
