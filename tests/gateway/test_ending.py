"""How a gateway ends while others follow runs through it, and how many may do so at a time."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from actionbus.contracts.errors import Unavailable
from actionbus.gateway.backing import Backing
from actionbus.gateway.service import Gateway
from actionbus.process.settings import Settings
from gateway.served import SECONDS, Beside, Served, refused
from integration.installation import ENDED_SECONDS

STREAMS = "actionbus_gateway_streams_open"


@pytest.fixture
def other(served: Served) -> Iterator[Beside]:
    """A gateway of its own, which lets two follow."""
    made = served.another_gateway(ACTIONBUS_GATEWAY_STREAMS="2")
    made.service.wait_ready()
    yield made
    if made.service.process.poll() is None:
        made.service.kill()
    served.installation.services.remove(made.service)


async def _open(beside: Beside, count: int) -> None:
    """Return once so many follow runs there."""
    async with asyncio.timeout(SECONDS):
        while beside.service.metric(STREAMS) != count:  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.05)


async def _ids(lines: AsyncIterator[str], *, most: int | None = None) -> tuple[list[str], bool]:
    """The ids of what a stream says, and whether it said that the run has ended."""
    found: list[str] = []
    async for line in lines:
        if line == "event: end":
            return found, True
        if line.startswith("id:"):
            found.append(line.removeprefix("id:").strip())
            if len(found) == most:
                break
    return found, False


@pytest.mark.kafka
@pytest.mark.slow
async def test_who_follows_a_run_goes_on_at_another_gateway(
    other: Beside, http: httpx.AsyncClient, waiting: str
) -> None:
    """A gateway that ends closes its streams without a last word, answers who waits, and exits with 0."""
    async with other.client() as client, client.stream("GET", f"/v1/runs/{waiting}/events") as stream:
        lines = stream.aiter_lines()
        before, _ = await _ids(lines, most=1)
        poll = asyncio.create_task(client.get(f"/v1/runs/{waiting}/result", params={"wait": 60}))
        await _open(other, 2)
        other.service.signal(signal.SIGTERM)
        more, ended = await _ids(lines)
        assert not ended
        reply = await poll
        assert (reply.status_code, reply.json()["status"]) == (202, "RUNNING")
    assert await asyncio.to_thread(other.service.process.wait, ENDED_SECONDS) == 0
    await http.post(f"/v1/runs/{waiting}/cancel", json={})
    place = {"Last-Event-ID": [*before, *more][-1]}
    async with http.stream("GET", f"/v1/runs/{waiting}/events", headers=place) as stream:
        after, ended = await _ids(stream.aiter_lines())
    assert ended
    versions = [int(each.rpartition(":")[2]) for each in (*before, *more, *after)]
    assert versions == list(range(1, len(versions) + 1))


@pytest.mark.kafka
@pytest.mark.slow
async def test_no_more_follow_than_are_allowed(other: Beside, waiting: str) -> None:
    """One more is told so in a problem before its stream begins, and has a place once another one has gone."""
    events = f"/v1/runs/{waiting}/events"
    async with other.client() as client:
        async with client.stream("GET", events) as first:
            assert first.status_code == 200
            async with client.stream("GET", events) as second:
                assert second.status_code == 200
                await _open(other, 2)
                for path, query in ((events, {}), (f"/v1/runs/{waiting}/result", {"wait": 1})):
                    reply = await client.get(path, params=query)
                    problem = refused(reply, 503)
                    assert "ACTIONBUS_GATEWAY_STREAMS" in problem["detail"]
                    assert problem["retryable"]
                    assert int(reply.headers["retry-after"]) > 0
                assert (await client.get(f"/v1/runs/{waiting}/result")).status_code == 202
            await _open(other, 1)
            async with client.stream("GET", events) as again:
                assert (await _ids(again.aiter_lines(), most=1))[0]
        await _open(other, 0)


async def test_what_is_waited_for_is_given_up_when_the_gateway_ends(tmp_path: Path) -> None:
    """Whoever waits hears so at once, and what is there already is given all the same."""
    backing = Backing(Settings(visibility={"url": f"sqlite:///{tmp_path / 'views.db'}"}))

    async def there() -> str:
        return "there"

    assert await backing.until_stopping(there()) == "there"
    waiting = asyncio.create_task(backing.until_stopping(asyncio.Event().wait()))
    await asyncio.sleep(0)
    backing.stopping.set()
    with pytest.raises(Unavailable, match="another"):
        await waiting


async def test_a_gateway_whose_watch_broke_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a mistake of ours ends the look after brokers, the process ends with it and is started anew."""

    def broken(_settings: Settings) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr("actionbus.gateway.backing.Kafka", broken)
    settings = Settings(visibility={"url": f"sqlite:///{tmp_path / 'views.db'}"}, gateway={"port": 0})
    async with asyncio.timeout(SECONDS):
        with pytest.raises(KeyError, match="a mistake of ours"):
            await Gateway(settings).serve(asyncio.Event())
