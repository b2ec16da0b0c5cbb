"""Attempts that take long, on both brokers: what they say on the way, and answers that are left to others."""

import asyncio
import threading

import pytest
from sqlalchemy import text

from actionbus.contracts import payloads, tokens
from actionbus.contracts.results import ResultKind
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.worker import execution
from worker.conftest import make_ledger
from worker.station import Station, until

HEARTBEAT_MS = 1_000


async def beats(station):
    """What heartbeats said so far, in order."""
    found = [each for each in await station.every_result() if each.kind is ResultKind.HEARTBEAT]
    return [each.details and payloads.decode(each.details) for each in found]


@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "plain function"])
async def test_an_attempt_says_how_far_it_is(connection, prefix, plain):
    """From a coroutine and from a thread: while it runs the latest is heard, and the next attempt is told what was."""
    go_on = threading.Event()

    def count(ctx: ActionContext) -> str:
        for page in range(100):
            ctx.heartbeat({"page": page})
        go_on.wait()
        return f"went on from {ctx.heartbeat_details}"

    async def count_in_a_coroutine(ctx: ActionContext) -> str:
        return await asyncio.to_thread(count, ctx)

    action = Action(id="count", execute=count if plain else count_in_a_coroutine, heartbeat="1s")
    async with Station(connection, prefix, action) as station, station.worker():
        before = payloads.encode({"page": 7})
        await station.send(station.command(action, heartbeat_ms=HEARTBEAT_MS, heartbeat_details=before))
        await until(lambda: beats(station), "a heartbeat")
        assert await beats(station) == [{"page": 99}]
        go_on.set()
        (result,) = [each for each in await station.results(2) if each.kind is ResultKind.SUCCEEDED]
    assert payloads.decode(result.output) == "went on from {'page': 7}"


async def test_heartbeats_are_few_however_many_are_made(connection, prefix, monkeypatch):
    """Where an interval has not passed nothing is sent, and what was said last is sent before a failure all the same."""
    monkeypatch.setattr(execution, "HEARTBEAT_EVERY_MS", 3_600_000)
    heard = asyncio.Event()

    async def stumble(ctx: ActionContext) -> None:
        ctx.heartbeat("first")
        await heard.wait()
        for number in range(1_000):
            ctx.heartbeat(number)
            await asyncio.sleep(0)
        raise ValueError

    action = Action(id="stumble", execute=stumble)
    async with Station(connection, prefix, action) as station, station.worker():
        await station.send(station.command(action))
        await until(lambda: beats(station), "the first heartbeat")
        heard.set()
        kinds = [each.kind.value for each in await station.results(3)]
        assert await beats(station) == ["first", 999]
    assert kinds == ["heartbeat", "heartbeat", "failed"]


async def test_an_answer_that_is_left_to_others_keeps_nobody_busy(connection, prefix):
    """The slot is free for the next command and the offset goes on; the same command again asks nobody twice."""
    asked = []

    async def ask(ctx: ActionContext) -> str:
        asked.append(ctx.token)
        ctx.heartbeat("asked")
        ctx.emit("letters", value={"token": ctx.token})
        ctx.answer_later()

    action = Action(id="ask", execute=ask, emits=["letters"], max_concurrency=1)
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        nonce = "0" * 32
        first, second = (station.command(action, number, nonce=nonce) for number in (1, 2))
        await station.send(first, second)
        await station.commits(action, p0=2)
        await station.send(first)
        await station.commits(action, p0=3)
        results = [each for each in await station.results(5) if each.kind is ResultKind.DEFERRED]
        assert await beats(station) == ["asked", "asked"]
    assert [each.command_id for each in results].count(first.command_id) == 2
    assert len(asked) == 2
    token = tokens.read(asked[0])
    assert (token.command_id, token.nonce) == (first.command_id, nonce)
    assert payloads.decode(results[0].emits[0].value)["token"] in asked


async def test_a_transactional_action_asks_once_whatever_dies(connection, prefix, tmp_path):
    """A worker that knows nothing of the first delivery is told by the inbox: user code does not run again."""
    url, asked = f"sqlite+aiosqlite:///{tmp_path}/store.db", []
    await make_ledger(url)

    async def ask(ctx: ActionContext) -> str:
        asked.append(ctx.token)
        await ctx.db.execute(text("INSERT INTO effects VALUES (:key, 'asked')"), {"key": ctx.step_key})
        return ctx.answer_later()

    action = Action(id="ask", execute=ask, effect="transactional")
    async with Station(connection, prefix, action) as station:
        for count in (1, 2):
            async with station.worker(store={"DEFAULT_URL": url}):
                await station.send(station.command(action))
                results = await station.results(count)
    assert [each.kind for each in results] == [ResultKind.DEFERRED, ResultKind.DEFERRED]
    assert len(asked) == 1
