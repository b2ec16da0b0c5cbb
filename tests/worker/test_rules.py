"""The rules that the worker's promises rest on: each scenario holds, and fails when its rule is taken out."""

import asyncio
from contextlib import suppress

import pytest

from actionbus.sdk.action import Action
from actionbus.worker import inbox, outcomes
from actionbus.worker.outcomes import Done
from actionbus.worker.service import Worker
from actionbus.worker.stores import Stores
from support import mutation
from support.proxy import PRODUCE, Proxy, Rule
from worker.commands import Booking, execute, failing, undo
from worker.conftest import make_ledger
from worker.postgres_proxy import OnCommit, PostgresProxy
from worker.station import Registry, Station, until

BOOKED = ("r-1:2s/pay", "booked")


async def crash_before_the_result_is_acknowledged(connection, prefix):
    """A worker has done a command, its result is on the way and lost, it dies; the command must be answered later."""
    calls = []

    async def work() -> None:
        calls.append(1)

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=1) as station:
        async with Proxy(connection.bootstrap_servers) as proxy:
            proxy.rules[PRODUCE] = Rule(pass_request=False)
            settings = station.settings(kafka={"bootstrap_servers": (proxy.address,)})
            dying = Worker(settings, Registry.of(action))
            serving = asyncio.create_task(dying.serve(asyncio.Event()))
            await until(lambda: serving.done() or not dying.not_ready())
            await station.send(station.command(action, 1))
            await until(lambda: proxy.held.get(PRODUCE), "the result on its way")
            for lane in dying._lanes:
                await lane._holdings.commit()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        async with station.worker():
            await station.send(station.command(action, 2))
            await until(lambda: len(calls) >= 2)
            await station.commits(action, p0=2)
        assert {each.run_id for each in await station.every_result()} == {"r-1", "r-2"}


ACKNOWLEDGED_FIRST = (
    "actionbus.worker.answering",
    "        self._replies.send(_reply_to(attempt.command), reply)\n\n    def _count",
    "        settled()\n        self._replies.send(_reply_to(attempt.command), reply)\n\n    def _count",
)


async def test_an_offset_is_committed_after_its_result_is_acknowledged(connection, prefix):
    """A worker that dies between doing and answering leaves the command to the next one."""
    await crash_before_the_result_is_acknowledged(connection, prefix)


async def test_without_that_order_a_result_is_lost(connection, prefix):
    """The scenario above fails when a command counts as finished as soon as its result is sent."""
    name, *change = ACKNOWLEDGED_FIRST
    with mutation.mutated(name, tuple(change)), pytest.raises(AssertionError):
        await crash_before_the_result_is_acknowledged(connection, prefix)


async def late_worker(stores, _proxy, effects):
    """A step was compensated before its attempt came: it must not happen afterwards."""
    answer = await inbox.perform(stores["default"], undo(), Booking(what="refunded"))
    assert answer == Done(output=outcomes.NEVER_HAPPENED)
    await inbox.perform(stores["default"], execute(), Booking())
    assert await effects() == []


async def undone_twice(stores, _proxy, effects):
    """Two attempts of a compensation undo once."""
    await inbox.perform(stores["default"], execute(), Booking())
    for attempt in (1, 2):
        await inbox.perform(stores["default"], undo(attempt=attempt), Booking(what="refunded"))
    assert sorted(what for _, what in await effects()) == ["booked", "refunded"]


async def lost_commit(stores, proxy, effects):
    """The commit never reached the database: success may be answered only if the effect is there."""
    proxy.on_commit = OnCommit.LOSE_REQUEST
    answer = await inbox.perform(stores["default"], execute(), Booking())
    assert isinstance(answer, Done)
    assert await effects() == [BOOKED]


async def torn_effect(stores, proxy, effects):
    """The commit of the effect never reached the database: its row must not be there either."""

    async def lose(_session):
        proxy.on_commit = OnCommit.LOSE_REQUEST if not booking.calls[1:] else OnCommit.HAND_ON

    booking = Booking(before=lose)
    try:
        await inbox.perform(stores["default"], execute(), booking)
    except KeyError:  # the row has no outcome, as its effect has not come about
        assert await effects() == []
    assert await effects() == [BOOKED]


async def forgotten_verdict(stores, _proxy, effects):
    """A command that failed for good is delivered again: it must not succeed now."""
    await inbox.perform(stores["default"], execute(), Booking(failing(retryable=False)))
    await inbox.perform(stores["default"], execute(), Booking())
    assert await effects() == []


async def used_twice(stores, _proxy, effects):
    """Another input under the same step key is not answered with the result of the first."""
    await inbox.perform(stores["default"], execute(), Booking())
    assert not isinstance(await inbox.perform(stores["default"], execute(value={"amount": 9}), Booking()), Done)
    assert await effects() == [BOOKED]


async def killed_in_the_middle(stores, _proxy, effects):
    """The process dies while user code runs: the next attempt does the work, and does not answer for the first."""
    with suppress(asyncio.CancelledError):
        await inbox.perform(stores["default"], execute(), Booking(before=_dies))
    with suppress(KeyError):  # a row that was committed before its outcome answers nothing
        await inbox.perform(stores["default"], execute(attempt=2), Booking())
    assert await effects() == [BOOKED]


async def _dies(_session):
    raise asyncio.CancelledError


RULES = {
    "the row and the effect are one commit": (
        killed_in_the_middle,
        "    return await _work(session, key, command, command.input, work)",
        "    await session.settle()\n    return await _work(session, key, command, command.input, work)",
    ),
    "a compensation closes the step first": (
        late_worker,
        "(crashing.Point.CANCEL_INSERTED)\n                await session.settle()\n",
        "(crashing.Point.CANCEL_INSERTED)\n",
    ),
    "a compensation has a row of its own": (
        undone_twice,
        'key = f"{command.step_key}/{identifiers.UNDO}"',
        "key = command.command_id",
    ),
    "an unknown commit is looked at again": (
        lost_commit,
        "        if away(error):\n            raise Doubt(str(error)) from error\n        raise",
        "        return",
    ),
    "the inbox row is committed with the effect": (
        torn_effect,
        "            return await _recall(session, key, command)\n    return await _work(session, key, command, command.input",
        "            return await _recall(session, key, command)\n    await session.settle()\n    return await _work(session, key, command, command.input",
    ),
    "a final failure is stored": (
        forgotten_verdict,
        "    elif not outcome.error.retryable:",
        "    elif outcome.error.retryable is None:",
    ),
    "a row answers only its own action and input": (
        used_twice,
        "    if row.input_hash != input_hash(command):",
        "    if row.input_hash is None:",
    ),
}


@pytest.fixture
def database_url(postgres_database):
    """PostgreSQL, where transactions really run beside each other."""
    return postgres_database


@pytest.fixture
async def proxied(postgres_database):
    """Stores through a proxy, and the proxy."""
    await make_ledger(postgres_database)
    async with PostgresProxy(postgres_database) as proxy, Stores({"default": proxy.url}) as stores:
        yield stores, proxy


@pytest.mark.postgres
@pytest.mark.parametrize("rule", RULES)
async def test_a_rule_of_the_inbox_holds(proxied, effects, rule):
    """The scenario of the rule ends as it has to."""
    await RULES[rule][0](*proxied, effects)


@pytest.mark.postgres
@pytest.mark.parametrize("rule", RULES)
async def test_without_a_rule_its_scenario_fails(proxied, effects, rule):
    """The same scenario fails when the rule is taken out of the source."""
    scenario, old, new = RULES[rule]
    room = "transactions" if "away(error)" in old else "inbox"
    with mutation.mutated(f"actionbus.worker.{room}", (old, new)), pytest.raises(AssertionError):
        await scenario(*proxied, effects)
