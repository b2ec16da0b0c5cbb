"""Actions that run at most once: what may have happened is never done again, and nobody is told that it did not."""

import asyncio

import pytest

from actionbus.contracts.results import ActionError, ResultKind
from actionbus.sdk.action import Action
from actionbus.sdk.errors import ActionFailed, OutcomeUnknown
from actionbus.worker import once, outcomes
from actionbus.worker.outcomes import Deferred, Done, ErrorType, Failed, InDoubt
from actionbus.worker.stores import Stores
from worker.carrying import carried_out
from worker.commands import execute
from worker.once_app import launch
from worker.postgres_proxy import OnCommit, PostgresProxy
from worker.processes import killed, worker_process
from worker.station import Station, until

FAILURE = Failed(error=ActionError(type="Oops", message="it broke"))


class Work:
    """User code that counts how often it ran."""

    def __init__(self, outcome=None):
        self.outcome = outcome or Done(output=b'"done"')
        self.calls = 0

    async def __call__(self):
        """Run."""
        self.calls += 1
        return self.outcome


@pytest.mark.parametrize(
    "outcome",
    [Done(output=b"7"), FAILURE, Deferred(), outcomes.in_doubt("who knows")],
    ids=lambda each: type(each).__name__,
)
async def test_a_command_that_ended_is_answered_from_its_row(stores, outcome):
    """A second delivery hears what the first one heard, and the code ran once."""
    work = Work(outcome)
    assert await once.perform(stores["default"], execute(), work) == outcome
    again = await once.perform(stores["default"], execute(), work)
    assert (again.repeated, work.calls) == (True, 1)
    assert type(again) is type(outcome)


async def test_a_command_that_began_and_left_no_result_is_in_doubt(stores):
    """A worker was killed in the middle: whoever comes next does not run the code, and says so."""
    began = asyncio.Event()

    async def never_ends():
        began.set()
        await asyncio.Event().wait()

    first = asyncio.create_task(once.perform(stores["default"], execute(), never_ends))
    await began.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    work = Work()
    answer = await once.perform(stores["default"], execute(), work)
    assert isinstance(answer, InDoubt)
    assert (answer.error.type, answer.error.retryable, work.calls) == (ErrorType.OUTCOME_UNKNOWN, False, 0)


@pytest.mark.parametrize("kind", once.NEVER_BEGAN)
async def test_code_that_ran_cannot_say_that_it_did_not(stores, kind):
    """It may have had its effect when a database of its own broke away: no other attempt begins by itself."""
    work = Work(outcomes.failed(kind, "the connection is gone", retryable=True))
    answer = await once.perform(stores["default"], execute(), work)
    assert isinstance(answer, Failed)
    assert (answer.error.type, answer.error.retryable) == (kind, False)


async def test_another_attempt_runs(stores):
    """An operator who looked may order one, and it has a row of its own."""
    work = Work()
    await once.perform(stores["default"], execute(), work)
    assert await once.perform(stores["default"], execute(attempt=2), work) == work.outcome
    assert work.calls == 2


async def test_an_id_that_is_used_twice_is_refused(stores):
    """The row belongs to an action and an input."""
    await once.perform(stores["default"], execute(value={"n": 1}), Work())
    answer = await once.perform(stores["default"], execute(value={"n": 2}), Work())
    assert answer.error.type == ErrorType.INPUT_REFUSED


async def test_deliveries_at_the_same_time_run_the_code_once(stores):
    """A rebalance may hand a command to two workers; the row is one."""
    gate, work = asyncio.Event(), Work()

    async def waits():
        await gate.wait()
        return await work()

    running = [asyncio.create_task(once.perform(stores["default"], execute(), waits)) for _ in range(5)]
    done, pending = await asyncio.wait(running, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    while len(pending) > 1:
        more, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    gate.set()
    assert await pending.pop() == Done(output=b'"done"')
    assert all(isinstance(each.result(), InDoubt) for each in done)
    assert work.calls == 1


@pytest.mark.postgres
@pytest.mark.parametrize("lost", [OnCommit.LOSE_REPLY, OnCommit.LOSE_REQUEST])
async def test_a_row_in_doubt_is_recognised_as_ours(postgres_database, lost):
    """The reply to the commit of the intent is lost: nobody ran the code yet, so this delivery does."""
    async with PostgresProxy(postgres_database) as proxy, Stores({"default": proxy.url}) as stores:
        work = Work()
        proxy.on_commit = lost
        assert await once.perform(stores["default"], execute(), work) == work.outcome
        assert (await once.perform(stores["default"], execute(), work)).repeated
        assert work.calls == 1


@pytest.mark.postgres
async def test_without_its_row_the_code_does_not_run(postgres_database):
    """A journal that cannot be written fails the attempt before it began, and it may be tried again."""
    async with PostgresProxy(postgres_database) as proxy, Stores({"default": proxy.url}) as stores:
        proxy.close()
        work = Work()
        answer = await once.perform(stores["default"], execute(), work, patience=0.3)
        assert (answer.error.type, answer.error.retryable, work.calls) == (ErrorType.STORE_UNAVAILABLE, True, 0)
        await proxy.open(proxy.port)


@pytest.mark.postgres
async def test_an_outcome_that_is_not_in_the_journal_is_told_all_the_same(postgres_database):
    """It is known here; only who is delivered the command again has to doubt."""
    async with PostgresProxy(postgres_database) as proxy, Stores({"default": proxy.url}) as stores:

        async def work():
            proxy.close()
            return Done(output=b"7")

        assert await once.perform(stores["default"], execute(), work, patience=0.3) == Done(output=b"7")
        await proxy.open(proxy.port)
        assert isinstance(await once.perform(stores["default"], execute(), Work()), InDoubt)


async def test_an_attempt_whose_time_is_over_is_in_doubt(stores):
    """It was stopped somewhere in the middle, and that is what its row says from then on."""

    async def hangs() -> None:
        await asyncio.Event().wait()

    action = Action(id="hang", execute=hangs, effect="at_most_once")
    for _ in range(2):
        answer = await carried_out(stores["default"], action, start_to_close_ms=50)
        assert isinstance(answer, InDoubt)
        assert "ran longer than 0.05 s" in answer.error.message


async def test_code_may_say_that_it_does_not_know(stores):
    """Whoever gets no answer from outside raises OutcomeUnknown; any other exception is a failure."""

    async def asks() -> None:
        raise OutcomeUnknown("the bank hung up", details={"ref": 7})

    async def fails() -> None:
        raise ActionFailed("Closed")

    answer = await carried_out(stores["default"], Action(id="ask", execute=asks, effect="at_most_once"))
    assert (type(answer), answer.error.message, answer.error.details) == (InDoubt, "the bank hung up", b'{"ref":7}')
    other = Action(id="fail", execute=fails, effect="at_most_once")
    answer = await carried_out(stores["default"], other, step_key="r-2:2s/pay", command_id="r-2:2s/pay/1")
    assert (type(answer), answer.error.type) == (Failed, "Closed")


async def test_a_doubt_in_a_transaction_is_a_failure(stores):
    """What was written is rolled back, so everything is known."""

    async def asks() -> None:
        raise OutcomeUnknown("the bank hung up")

    answer = await carried_out(stores["default"], Action(id="ask", execute=asks, effect="transactional"))
    assert (type(answer), answer.error.type) == (Failed, "OutcomeUnknown")


@pytest.mark.slow
async def test_a_killed_worker_leaves_its_attempt_in_doubt(connection, prefix, tmp_path):
    """``kill -9`` in the middle of the code: the next worker reports a doubt, and carries out what had not begun."""
    async with Station(connection, prefix, launch, partitions=1) as station:
        store = {"ACTIONBUS_STORE_DEFAULT_URL": f"sqlite:///{tmp_path}/journal.db"}
        await station.send(station.command(launch, 1, value={"place": "pit"}))
        began = tmp_path / "began.txt"
        async with worker_process(station, tmp_path, "worker.once_app", **store) as process:
            await until(lambda: began.exists() and began.read_text())  # it is there a moment before anything is in it
            await killed(process)
        await station.send(station.command(launch, 2, value={"place": "park"}))
        async with worker_process(station, tmp_path, "worker.once_app", **store):
            results = {each.run_id: each for each in await station.answers(2)}
            await station.commits(launch, p0=2)
        assert results["r-1"].kind is ResultKind.IN_DOUBT
        assert results["r-1"].error.type == "OutcomeUnknown"
        assert results["r-2"].kind is ResultKind.SUCCEEDED
        assert began.read_text().split() == ["pit", "park"]
