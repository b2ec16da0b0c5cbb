"""A worker on both brokers: what it does with commands, seen from the topics."""

import asyncio
import threading
from collections import Counter

import pytest

from actionbus.contracts import payloads
from actionbus.contracts.results import ResultKind
from actionbus.kafka.codec import to_json
from actionbus.sdk.action import Action
from actionbus.worker import metadata as texts
from worker.station import Station, until


def outputs(results):
    """What succeeded, by run."""
    return {each.run_id: payloads.decode(each.output) for each in results if each.kind is ResultKind.SUCCEEDED}


async def test_coroutines_and_plain_functions_are_carried_out(connection, prefix):
    """Both kinds of functions get their input and answer with their output, key, nonce and times of the command."""

    async def double(n: int) -> int:
        return n * 2

    def shout(word: str) -> dict[str, str]:
        return {"word": word.upper(), "thread": threading.current_thread().name}

    a, b = Action(id="double", execute=double), Action(id="shout", execute=shout)
    async with Station(connection, prefix, a, b) as station, station.worker():
        await station.send(station.command(a, 1, value={"n": 21}), station.command(b, 2, value={"word": "hé"}))
        results = await station.results(2)
    found = outputs(results)
    assert found["r-1"] == 42
    assert found["r-2"]["word"] == "HÉ"
    assert found["r-2"]["thread"].startswith("shout")
    first = next(each for each in results if each.run_id == "r-1")
    assert (first.command_id, first.step_key, first.nonce) == ("r-1:2s/step/1", "r-1:2s/step", "n-1")
    assert 0 < first.started_at <= first.finished_at


async def test_commands_in_json_are_carried_out(connection, prefix):
    """A foreign orchestrator, or a person with kcat, may write a command as JSON."""

    async def double(n: int) -> int:
        return n * 2

    action = Action(id="double", execute=double)
    async with Station(connection, prefix, action) as station, station.worker():
        await station.send(station.command(action, 1, value={"n": 4}), encoding="json")
        assert outputs(await station.results(1)) == {"r-1": 8}


async def test_a_restart_repeats_only_the_unfinished(connection, prefix):
    """Commands finish out of order; after a kill the next worker does exactly those that were not finished."""
    done, hold = Counter(), asyncio.Event()

    async def work(n: int) -> int:
        if n % 3 == 0:
            await hold.wait()
        done[n] += 1
        return n

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=1) as station:
        numbers = range(30)
        async with station.worker(grace_seconds=0.5):
            await station.send(*(station.command(action, n, value={"n": n}) for n in numbers))
            await station.results(20)
            await until(lambda: len(done) == 20)

            async def settled():
                stored = (await station.committed(action)).get(0)
                return stored is not None and stored.offset == 0 and _runs(stored.metadata) == 10

            await until(settled, "ten runs of finished records in the metadata of the commit")
        assert sorted(done) == [n for n in numbers if n % 3]
        hold.set()
        async with station.worker():
            results = await station.results(30)
            await station.commits(action, p0=30)
    assert done == Counter(dict.fromkeys(numbers, 1))
    assert Counter(each.run_id for each in results) == Counter({f"r-{n}": 1 for n in numbers})


def _runs(metadata):
    return len(texts.read(texts.Position(offset=0, metadata=metadata)).done)


async def test_a_duplicate_of_a_running_command_is_not_run_again(connection, prefix):
    """A second delivery while the first is in hand shares its one result, and its offset is committed with it."""
    calls, hold = [], asyncio.Event()

    async def work() -> int:
        calls.append(1)
        await hold.wait()
        return len(calls)

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=1) as station, station.worker() as worker:
        command = station.command(action)
        await station.send(command, command, command)
        await until(lambda: [len(each.claims) for each in worker._attempts.in_hand.values()] == [3])
        hold.set()
        await station.commits(action, p0=3)
        assert len(calls) == 1
        assert len(await station.results(1)) == 1


async def test_a_duplicate_of_a_finished_command_gets_the_same_result(connection, prefix):
    """A later delivery of a finished command is answered from memory, with the nonce that it carries."""
    calls = []

    async def work() -> int:
        calls.append(1)
        return len(calls)

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        command = station.command(action)
        await station.send(command)
        await station.results(1)
        await station.commits(action, p0=1)
        await station.send(command.replace(nonce="another"))
        first, second = await station.results(2)
    assert (first.output, second.output, len(calls)) == (b"1", b"1", 1)
    assert (first.nonce, second.nonce) == ("n-1", "another")


async def test_the_next_attempt_is_another_command(connection, prefix):
    """Another attempt of the same step is carried out, whatever became of the one before."""
    seen = []

    async def work(ctx) -> int:
        seen.append((ctx.attempt, ctx.step_key))
        return ctx.attempt

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action) as station, station.worker():
        await station.send(station.command(action, attempt=1), station.command(action, attempt=2))
        results = await station.results(2)
    assert sorted(each.output for each in results) == [b"1", b"2"]
    assert sorted(seen) == [(1, "r-1:2s/step"), (2, "r-1:2s/step")]


async def test_a_slow_command_holds_nobody_up(connection, prefix):
    """Commands behind one that hangs are carried out, and its partition goes on."""
    hold = asyncio.Event()

    async def work(n: int) -> int:
        if n == 0:
            await hold.wait()
        return n

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        await station.send(*(station.command(action, n, value={"n": n}) for n in range(1_200)))
        assert "r-0" not in outputs(await station.results(1_199))
        hold.set()
        assert "r-0" in outputs(await station.results(1_200))
        await station.commits(action, p0=1_200)


async def test_no_more_run_at_once_than_the_action_allows(connection, prefix):
    """The attempts in progress in one worker never exceed max_concurrency."""
    running, most = 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.002)
        running -= 1

    action = Action(id="work", execute=work, max_concurrency=3)
    async with Station(connection, prefix, action) as station, station.worker():
        await station.send(*(station.command(action, n) for n in range(60)))
        await station.results(60)
    assert most == 3


async def test_a_long_attempt_tells_that_it_has_begun(connection, prefix):
    """The orchestrator hears of the start of an attempt that takes a while, so that it can watch its time."""
    hold = asyncio.Event()

    async def work() -> None:
        await hold.wait()

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action) as station, station.worker():
        await station.send(station.command(action))

        async def started():
            return [each for each in await station.every_result() if each.kind is ResultKind.STARTED]

        (word,) = await until(started)
        assert (word.command_id, word.nonce) == ("r-1:2s/step/1", "n-1")
        hold.set()
        await station.results(1)


async def test_a_cancelled_command_stops(connection, prefix):
    """When nobody waits for a result any more, its coroutine is cancelled where it waits."""
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def work(ctx) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            assert ctx.cancelled
            stopped.set()

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action) as station, station.worker():
        command = station.command(action)
        await station.send(command)
        await begun.wait()
        await station.cancel(command)
        (result,) = await station.results(1)
    assert stopped.is_set()
    assert (result.error.type, result.error.retryable) == ("Cancelled", False)


async def test_a_stop_finishes_what_runs_and_leaves_the_rest(connection, prefix):
    """On a stop nothing more begins; what runs is finished, answered and committed; the rest is for the next worker."""
    begun, hold = [], asyncio.Event()

    async def work(n: int) -> int:
        begun.append(n)
        await hold.wait()
        return n

    action = Action(id="work", execute=work, max_concurrency=2)
    async with Station(connection, prefix, action, partitions=1) as station:
        async with station.worker():
            await station.send(*(station.command(action, n, value={"n": n}) for n in range(6)))
            await until(lambda: len(begun) == 2)
            asyncio.get_running_loop().call_soon(hold.set)  # right after the stop, before the lane has seen it
        assert begun == [0, 1]
        assert set(outputs(await station.results(2))) == {"r-0", "r-1"}
        assert (await station.committed(action))[0].offset == 2
        async with station.worker():
            await station.results(6)
    assert sorted(begun) == list(range(6))


async def test_partitions_that_go_are_finished_here_and_repeated_nowhere(connection, prefix):
    """When a second worker joins, commands in hand are answered once each, and all are answered."""
    calls, hold = Counter(), asyncio.Event()

    async def work(n: int) -> int:
        calls[n] += 1
        if n < 10:
            await hold.wait()
        return n

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=4) as station, station.worker():
        await station.send(*(station.command(action, n, value={"n": n}) for n in range(10)))
        await until(lambda: len(calls) == 10)
        async with station.worker():
            hold.set()
            await station.send(*(station.command(action, n, value={"n": n}) for n in range(10, 50)))
            results = await station.answers(50)
    assert set(outputs(results)) == {f"r-{n}" for n in range(50)}
    assert all(calls[n] == 1 for n in range(10, 50))


async def test_a_worker_that_starts_late_finds_the_backlog(connection, prefix):
    """Commands that were written while no worker was there are carried out when one comes."""

    async def work() -> None:
        return None

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action) as station:
        await station.send(*(station.command(action, n) for n in range(5)))
        async with station.worker():
            assert len(await station.results(5)) == 5


@pytest.mark.parametrize("value", [b"", b"\xc3\x01rubbish", b"\x00\x01\x02", b"{not json", b"[]"])
async def test_what_cannot_be_read_is_kept_as_it_was(connection, prefix, value):
    """Bytes that are no command go to the dead letters unchanged, with where and why, and hold nothing up."""

    async def work() -> None:
        return None

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        await station.send_bytes(action.id, value, key=b"r-7", headers=(("own", b"1"),))
        await station.send(station.command(action, 8))
        assert len(await station.results(1)) == 1
        (letter,) = await station.dead_letters(action)
        await station.commits(action, p0=2)
    assert (letter.key, letter.value, letter.header("own")) == (b"r-7", value, b"1")
    assert letter.header("actionbus-dlq-original-topic").decode() == station.topics.commands("work")
    assert letter.header("actionbus-dlq-original-offset") == b"0"
    assert letter.header("actionbus-dlq-exception-message")


async def test_a_run_hears_of_a_command_that_could_not_be_read(connection, prefix):
    """When the ids of an unreadable command can be read all the same, its run gets a failed result."""

    async def work() -> None:
        return None

    action, other = Action(id="work", execute=work), Action(id="other", execute=work)
    async with Station(connection, prefix, action, other) as station, station.worker():
        fields = payloads.decode(to_json(station.command(action, 1)))
        del fields["attempt"]
        await station.send_bytes(action.id, payloads.encode(fields))
        await station.send_bytes(action.id, station.codec.encode(station.command(other, 2)))
        results = await station.results(2)
        await station.dead_letters(action, 2)
    assert {each.run_id: each.error.type for each in results} == {"r-1": "Unreadable", "r-2": "Unreadable"}
    assert not any(each.error.retryable for each in results)


@pytest.mark.parametrize(
    "change",
    [
        {"reply_topic": "somebody.elses.topic"},
        {"reply_partition": 99},
        {"reply_partition": -1},
        {"command_id": "r-2:2s/step/1"},
        {"run_id": "r-3"},
        {"command_id": "r-1:2s/step/undo/1"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_command_that_contradicts_itself_is_not_carried_out(connection, prefix, change):
    """A forged reply address or ids that do not belong together: dead letter, no user code, no write elsewhere."""
    calls = []

    async def work() -> None:
        calls.append(1)

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action) as station, station.worker():
        await station.send(station.command(action, 1, **change))
        await station.dead_letters(action)
    assert calls == []
