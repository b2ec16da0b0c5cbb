"""What a client over HTTP makes of connections that break: no event lost or doubled, and one effect of each request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from actionbus.client import HttpClient, StartedRun
from actionbus.contracts.errors import Unavailable
from actionbus.contracts.run import RunStatus
from cli.gateway_process import ReadSide
from cli.installed import READY_SECONDS, Dev
from client.cutting import Cutting, Fate

pytestmark = pytest.mark.kafka


@pytest.fixture
async def between(installation: tuple[Dev, ReadSide]) -> AsyncIterator[Cutting]:
    """What fails, in front of a real gateway."""
    async with Cutting(installation[1].port) as made:
        yield made


@pytest.fixture
async def client(between: Cutting) -> AsyncIterator[HttpClient]:
    """A client that knows no other way."""
    async with HttpClient(between.url) as made:
        yield made


async def _kinds(run: StartedRun) -> list[str]:
    """Kinds of all entries of a run, up to its end."""
    kinds: list[str] = []
    async with aclosing(run.follow()) as events:
        async for event in events:
            kinds += [entry.kind.value for entry in event.entries]
    return kinds


async def test_a_stream_that_is_cut_loses_and_doubles_no_event(between: Cutting, client: HttpClient) -> None:
    """After each cut, also one inside an event, and a 503, the client goes on behind the last event that it had."""
    run = await client.start("asks", "Ada", run_id="cut-stream")
    # The first block says how soon to come again, and is no event.
    cut = Fate("/events", blocks=2)
    between.fates.extend([Fate("/events", blocks=1), cut, Fate("/events", refused=True), cut, cut])
    seen: list[int] = []
    async with asyncio.timeout(READY_SECONDS), aclosing(run.follow()) as events:
        async for event in events:
            seen.append(event.version)
            if any(entry.kind == "wait_began" for entry in event.entries):
                await run.signal("name", "Bob")
    assert not between.fates
    assert seen == list(range(1, seen[-1] + 1))
    places = [each.headers.get("last-event-id") for each in between.at("/events")]
    incarnation = (await run.state()).incarnation
    after = [None, None, *(f"{incarnation}:{version}" for version in (1, 1, 2, 3))]
    assert places == after


async def test_a_gateway_that_is_busy_is_asked_again(between: Cutting, client: HttpClient) -> None:
    """With the same request id each time, also where the caller named none."""
    between.fates.extend([Fate("/v1/runs", refused=True)] * 2)
    run = await client.start("hello", "Ada", run_id="cut-busy")
    assert await run.result(READY_SECONDS) == "Hello, Ada!"
    assert len(between.at("/v1/runs")) == 3
    assert len({each.headers["idempotency-key"] for each in between.at("/v1/runs")}) == 1


@pytest.mark.parametrize("chosen", [{"run_id": "cut-chosen"}, {}, {"partition_key": "ada"}])
async def test_a_start_that_was_carried_out_unheard_has_one_effect(
    between: Cutting, client: HttpClient, chosen: dict[str, str]
) -> None:
    """It is sent again and is no conflict with itself; the run that it names is the one that began."""
    between.fates.append(Fate("/v1/runs", blocks=0))
    run = await client.start("hello", "Ada", **chosen)
    assert len(between.at("/v1/runs")) == 2
    async with asyncio.timeout(READY_SECONDS):
        assert (await _kinds(run)).count("run_started") == 1
    assert len({each.headers["idempotency-key"] for each in between.at("/v1/runs")}) == 1  # what the id follows from


async def test_a_signal_that_was_carried_out_unheard_is_taken_once(between: Cutting, client: HttpClient) -> None:
    """A second one would be kept for a wait that is to come."""
    run = await client.start("asks", "Ada", run_id="cut-signal")
    between.fates.append(Fate("/signals/name", blocks=0))
    await run.signal("name", "Bob")
    assert len(between.at("/signals/name")) == 2
    assert await run.result(READY_SECONDS) == "Hello, Bob!"
    async with asyncio.timeout(READY_SECONDS):
        assert (await _kinds(run)).count("signal_received") == 1
    assert (await run.state()).status is RunStatus.COMPLETED


async def test_a_gateway_that_stays_away_is_named(between: Cutting) -> None:
    """Whoever asks hears its address once the time is over, and so does whoever follows."""
    between.fates.extend([Fate("", refused=True)] * 1000)
    async with HttpClient(between.url, seconds=0.5) as hasty:
        with pytest.raises(Unavailable, match=between.url):
            await hasty.start("hello", "Ada", run_id="cut-away")
        with pytest.raises(Unavailable, match=between.url):
            await _kinds(hasty.handle("cut-away"))
