"""Transactional actions in a worker on both brokers: exactly one effect, whatever dies between database and broker."""

import asyncio
from collections import Counter

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.structs import TopicPartition
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts import payloads
from actionbus.contracts.errors import PositionLost, SettingsRefused, TopicMissing
from actionbus.contracts.results import ResultKind
from actionbus.kafka.connection import Connection
from actionbus.process import metrics
from actionbus.process.settings import Settings
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.sdk.registry import Registry
from actionbus.worker import lane
from actionbus.worker.service import Worker
from support.proxy import PRODUCE, Proxy, Rule
from worker.conftest import make_ledger
from worker.postgres_proxy import OnCommit, PostgresProxy
from worker.station import Station, until
from worker.test_lane import outputs


@pytest.fixture
async def database_url(tmp_path):
    """A SQLite file with the ledger."""
    url = f"sqlite+aiosqlite:///{tmp_path}/store.db"
    await make_ledger(url)
    return url


async def book(ctx: ActionContext, n: int) -> dict[str, int]:
    """Write one effect, and say so on a topic."""
    await ctx.db.execute(text("INSERT INTO effects VALUES (:key, 'booked')"), {"key": ctx.step_key})
    ctx.emit("sales", key=ctx.run_id, value={"n": n})
    return {"n": n}


async def refund(ctx: ActionContext, n: int) -> None:
    """Write the opposite effect."""
    await ctx.db.execute(
        text("INSERT INTO effects VALUES (:key, :what)"), {"key": ctx.step_key, "what": f"refunded {n}"}
    )


BOOK = Action(id="book", execute=book, effect="transactional", emits=["sales"])
REFUND = Action(id="refund", execute=refund, effect="transactional")


def undo_of(station, command):
    """The command that undoes a booking; it asks for what the booking made."""
    return station.command(
        REFUND,
        run_id=command.run_id,
        step_key=command.step_key,
        command_id=f"{command.step_key}/undo/1",
        kind="compensate",
        template=True,
        value={"n": {"$ref": ["made", "n"]}},
    )


async def test_a_worker_that_dies_after_the_commit_does_not_do_it_again(connection, prefix, database_url, effects):
    """The effects are committed, no result gets out, the worker dies: the next one answers from the inbox."""
    store = {"DEFAULT_URL": database_url}
    async with Station(connection, prefix, BOOK) as station:
        async with Proxy(connection.bootstrap_servers) as proxy:
            proxy.rules[PRODUCE] = Rule(pass_request=False)
            settings = station.settings(kafka={"bootstrap_servers": (proxy.address,)}, store=store)
            dying = Worker(settings, Registry.of(BOOK))
            serving = asyncio.create_task(dying.serve(asyncio.Event()))
            await until(lambda: serving.done() or not dying.not_ready())
            await station.send(*(station.command(BOOK, n, value={"n": n}) for n in range(5)))

            async def committed():
                return len(await effects()) == 5

            await until(committed)
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        async with station.worker(store=store):
            results = await station.results(5)
    assert outputs(results) == {f"r-{n}": {"n": n} for n in range(5)}
    assert all([payloads.decode(emit.value) for emit in each.emits] for each in results)
    assert await effects() == [(f"r-{n}:2s/step", "booked") for n in range(5)]


@pytest.mark.postgres
@pytest.mark.parametrize("lost", [OnCommit.LOSE_REPLY, OnCommit.LOSE_REQUEST, OnCommit.LATE])
async def test_a_connection_that_is_cut_at_the_commit_costs_no_effect(connection, prefix, postgres_database, lost):
    """Cut before the COMMIT, after it, or overtaken by it: on PostgreSQL the effect is there once, and its result comes."""
    await make_ledger(postgres_database)
    async with PostgresProxy(postgres_database) as database, Station(connection, prefix, BOOK) as station:
        async with station.worker(store={"DEFAULT_URL": database.url}):
            database.on_commit = lost
            await station.send(*(station.command(BOOK, n, value={"n": n}) for n in range(3)))
            await until(lambda: database.on_commit is OnCommit.HAND_ON, "the cut")
            database.gate.set()
            results = await station.results(3)
        assert outputs(results) == {f"r-{n}": {"n": n} for n in range(3)}
        engine = create_async_engine(postgres_database)
        async with engine.connect() as reading:
            found = (await reading.execute(text("SELECT step_key FROM effects"))).scalars().all()
        await engine.dispose()
        assert sorted(found) == [f"r-{n}:2s/step" for n in range(3)]


async def test_steps_and_their_compensations_cancel_out(connection, prefix, database_url, effects):
    """Commands and compensations of the same steps in any order: each step is undone, or never happened."""
    async with (
        Station(connection, prefix, BOOK, REFUND) as station,
        station.worker(store={"DEFAULT_URL": database_url}),
    ):
        commands = [station.command(BOOK, n, value={"n": n}) for n in range(10)]
        both = asyncio.gather(
            station.send(*commands), station.send(*(undo_of(station, command) for command in reversed(commands)))
        )
        await both
        results = await station.answers(20)
    net = Counter(key for key, what in await effects() if what == "booked")
    net.subtract(key for key, what in await effects() if what.startswith("refunded"))
    assert set(net.values()) <= {0}
    told = Counter(each.output for each in results if "/undo/" in each.command_id)
    assert told[b'{"outcome":"undone"}'] + told[b'{"outcome":"never_happened"}'] == 10
    cancelled = [each for each in results if each.kind is ResultKind.FAILED]
    assert {each.error.type for each in cancelled} <= {"Cancelled"}
    assert len(cancelled) == told[b'{"outcome":"never_happened"}']


async def test_code_that_ignores_its_cancellation_is_answered_for(connection, prefix, monkeypatch):
    """A coroutine that swallows its cancellation and goes on is given up: the run is told, the slot shows as stuck."""
    monkeypatch.setattr(lane, "STUCK_MS", 100)
    leave = asyncio.Event()

    async def stubborn() -> int:
        while not leave.is_set():
            try:
                await leave.wait()
            except asyncio.CancelledError:
                continue
        return 1

    action = Action(id="stubborn", execute=stubborn, timeout="50ms")
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        await station.send(station.command(action, start_to_close_ms=None))
        (result,) = await station.results(1)
        assert result.error.type == "Timeout"
        await station.commits(action, p0=1)
        stuck = metrics.ATTEMPTS_STUCK.labels("stubborn")
        await until(lambda: stuck._value.get() == 1, "the stuck slot in the metrics")
        leave.set()
        await until(lambda: stuck._value.get() == 0, "the slot free again")
        assert len(await station.results(1)) == 1


async def test_the_trace_of_a_command_goes_on_in_its_result(connection, prefix):
    """The W3C traceparent of the command's record is on the record of its result, beside the CloudEvents headers."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    async def work() -> None:
        return None

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action) as station, station.worker():
        command = station.command(action)
        await station.send_bytes(action.id, station.codec.encode(command), headers=(("traceparent", trace),))
        await station.results(1)
        (record,) = await station._all(station.topics.results, 2)
    assert record.key == b"r-1"
    assert record.header("traceparent") == trace
    assert record.header("ce_type") == b"actionbus.v1.ActionResult"
    assert record.header("ce_id") == b"r-1:2s/step/1/succeeded"


@pytest.mark.usefixtures("short_search")
async def test_a_missing_topic_stops_the_worker_with_a_sentence(connection, prefix):
    """A worker whose topics were never made says which one is missing."""
    station = Station(connection, prefix, BOOK)
    worker = Worker(station.settings(store={"DEFAULT_URL": "sqlite://"}), Registry.of(BOOK))
    with pytest.raises(TopicMissing, match=prefix):
        await worker.serve(asyncio.Event())


def test_a_missing_store_stops_the_worker_with_a_sentence():
    """A transactional action whose database is not configured names the variable to set."""
    with pytest.raises(SettingsRefused, match="ACTIONBUS_STORE_DEFAULT_URL"):
        Worker(Settings(), Registry.of(BOOK))


async def test_a_worker_without_actions_waits_to_be_stopped(connection, prefix):
    """A module that declares no action makes an idle worker, not one that ends."""
    async with Station(connection, prefix) as station:
        worker = Worker(station.settings(), Registry.of())
        stop = asyncio.Event()
        serving = asyncio.create_task(worker.serve(stop))
        await until(lambda: serving.done() or not worker.not_ready())
        assert not serving.done()
        stop.set()
        await serving


@pytest.mark.java
async def test_removed_commands_are_not_passed_over(apache_kafka, prefix):
    """Commands that retention removed before any worker read them stop the worker, until a person accepts the gap."""

    async def work() -> None:
        return None

    action = Action(id="work", execute=work)
    connection = Connection(bootstrap_servers=apache_kafka.bootstrap, client_id="test")
    async with Station(connection, prefix, action, partitions=1) as station:
        await station.send(*(station.command(action, n) for n in range(4)))
        library = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.bootstrap)
        await library.start()
        place = TopicPartition(station.topics.commands("work"), 0)
        await library.delete_records({place: RecordsToDelete(before_offset=3)})
        await library.close()
        with pytest.raises(PositionLost, match="ACTIONBUS_WORKER_ACCEPT_GAP"):
            await Worker(station.settings(), Registry.of(action)).serve(asyncio.Event())
        async with station.worker(worker={"accept_gap": True}):
            assert {each.run_id for each in await station.results(1)} == {"r-3"}
