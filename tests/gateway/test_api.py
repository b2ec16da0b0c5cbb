"""The API as a caller meets it: real processes, a real broker, a real database."""

import json
import signal
import uuid

import httpx
import pytest

from gateway.served import Served, refused, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
HELLO = {"workflow": "hello", "input": "Ada"}


async def test_a_run_is_started_and_its_result_waited_for(http: httpx.AsyncClient) -> None:
    """A start is answered with 201 and the place of the run, which gives its result and then stands in the list."""
    reply = await http.post("/v1/runs", json=HELLO)
    assert reply.status_code == 201, reply.text
    run_id = reply.json()["run_id"]
    assert reply.headers["location"] == f"/v1/runs/{run_id}"
    result = await http.get(f"/v1/runs/{run_id}/result", params={"wait": 60})
    assert (result.status_code, result.json()["status"], result.json()["output"]) == (200, "COMPLETED", "Hello, Ada!")
    run = await until(http, f"/v1/runs/{run_id}", lambda run: run["status"] == "COMPLETED")
    assert [step["path"] for step in run["steps"]] == ["greet"]
    listed = (await http.get("/v1/runs", params={"workflow": "hello", "status": "COMPLETED"})).json()["items"]
    assert run_id in [each["run_id"] for each in listed]


async def test_a_failed_run_says_why(http: httpx.AsyncClient) -> None:
    """The result of a run that failed is an error, and the run is found by a text in it."""
    body = {"workflow": "hello", "input": "nobody"}
    run_id = (await http.post("/v1/runs", json=body)).json()["run_id"]
    result = (await http.get(f"/v1/runs/{run_id}/result", params={"wait": 60})).json()
    assert result["status"] == "FAILED"
    assert "nobody to greet" in json.dumps(result["error"])
    await until(http, "/v1/runs?error=nobody+to", lambda page: run_id in [each["run_id"] for each in page["items"]])


@pytest.mark.parametrize("chosen", [{}, {"run_id": "chosen"}, {"partition_key": "ada"}])
async def test_the_same_key_starts_one_run(http: httpx.AsyncClient, chosen: dict[str, str]) -> None:
    """A start that is sent again with its key is answered as before, also where nobody chose the run's id."""
    if "run_id" in chosen:
        chosen = {"run_id": f"chosen-{uuid.uuid4().hex}"}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first, again = [await http.post("/v1/runs", json=HELLO | chosen, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201), again.text
    assert first.json()["run_id"] == again.json()["run_id"]
    assert first.json()["incarnation"] == again.json()["incarnation"]


@pytest.mark.parametrize("chosen", [{}, {"run_id": "chosen"}, {"partition_key": "ada"}])
async def test_a_key_means_one_body(http: httpx.AsyncClient, chosen: dict[str, str]) -> None:
    """A key that comes back with another body is refused, and the first answer stands."""
    if "run_id" in chosen:
        chosen = {"run_id": f"chosen-{uuid.uuid4().hex}"}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = HELLO | chosen
    first = await http.post("/v1/runs", json=body, headers=headers)
    assert first.json()["request_id"] == headers["Idempotency-Key"]
    other = await http.post("/v1/runs", json=body | {"input": "somebody else"}, headers=headers)
    assert headers["Idempotency-Key"] in refused(other, 409)["detail"]
    again = await http.post("/v1/runs", json=body, headers=headers)
    assert again.json()["run_id"] == first.json()["run_id"]


async def test_a_key_means_one_signal(http: httpx.AsyncClient, waiting: str) -> None:
    """The same holds for what is asked of a run."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    where = f"/v1/runs/{waiting}/pause"
    assert (await http.post(where, json={"reason": "one"}, headers=headers)).status_code == 200
    assert (await http.post(where, json={"reason": "one"}, headers=headers)).status_code == 200
    assert (
        headers["Idempotency-Key"]
        in refused(await http.post(where, json={"reason": "two"}, headers=headers), 409)["detail"]
    )
    assert (await http.post(f"/v1/runs/{waiting}/resume", json={})).status_code == 200


async def test_a_taken_id_is_a_conflict(http: httpx.AsyncClient, waiting: str) -> None:
    """Another start under the id of a run is refused with 409."""
    refused(await http.post("/v1/runs", json=HELLO | {"run_id": waiting}), 409)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"workflow": "nothing", "input": 1}, 404, "nothing"),
        (HELLO | {"version": "7"}, 404, "7"),
        ({"workflow": "hello", "input": 1}, 422, "string"),
        (HELLO | {"run_id": "a/b"}, 422, "run id"),
        (HELLO | {"inputt": 1}, 400, "inputt"),
        ({"workflow": "hello", "input": "x" * 300_000}, 413, "bytes"),
        ({"workflow": "hello", "input": "x" * 500_000}, 413, "400000"),
    ],
)
async def test_a_start_that_cannot_be_is_refused(
    http: httpx.AsyncClient, body: dict[str, object], status: int, says: str
) -> None:
    """Each kind of mistake has its status, and a problem that names what is wrong."""
    assert says in refused(await http.post("/v1/runs", json=body), status)["detail"]


async def test_a_body_without_length_is_cut_off(http: httpx.AsyncClient) -> None:
    """The limit of a body holds while it is read, whatever its headers say."""

    async def endless():
        for _ in range(60):
            yield b" " * 10_000

    headers = {"content-type": "application/json"}
    refused(await http.post("/v1/runs", content=endless(), headers=headers), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("PATCH", "/v1/runs", 405),
        ("GET", "/v1/runs?limit=0", 400),
        ("GET", "/v1/runs?colour=red", 400),
        ("GET", "/v1/runs/never-started", 404),
        ("GET", "/v1/runs/never-started/state", 404),
        ("GET", "/v1/runs/never-started/events", 404),
        ("POST", "/v1/runs/never-started/cancel", 404),
        ("GET", "/v1/workflows/nothing", 404),
        ("GET", "/v1/actions/nothing", 404),
        ("GET", "/v1/insights", 400),
        ("GET", "/v1/dead-letters?topic=nothing", 404),
    ],
)
async def test_every_error_is_a_problem(http: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    """What is not there, not allowed or not readable is said in the same form everywhere."""
    refused(await http.request(method, path, json={} if method == "POST" else None), status)


async def test_an_update_is_answered(http: httpx.AsyncClient, waiting: str) -> None:
    """A run answers an update, or refuses it; what it shows can be read."""
    assert (await http.get(f"/v1/runs/{waiting}/views/state")).json() == "open"
    dear = {"payload": {"name": "house", "price": 101}}
    refused(await http.post(f"/v1/runs/{waiting}/updates/add", json=dear), 409)
    reply = await http.post(f"/v1/runs/{waiting}/updates/add", json={"payload": {"name": "lamp", "price": 40}})
    assert (reply.status_code, reply.json()["answer"]) == (200, {"left": 60}), reply.text


async def test_verbs_are_carried_out(http: httpx.AsyncClient, waiting: str) -> None:
    """A run is paused, resumed and cancelled, each with who and why in its history; then it allows no more."""
    for verb in ("pause", "resume", "cancel"):
        reply = await http.post(f"/v1/runs/{waiting}/{verb}", json={"reason": f"{verb} it", "requested_by": "ada"})
        assert reply.status_code == 200, reply.text
    await until(http, f"/v1/runs/{waiting}", lambda run: run["status"] == "CANCELLED")
    history = await http.get(f"/v1/runs/{waiting}/history")
    for verb in ("pause", "resume", "cancel"):
        assert f"{verb} it" in history.text
    refused(await http.post(f"/v1/runs/{waiting}/pause", json={}), 409)


async def test_a_stream_ends_with_its_run(http: httpx.AsyncClient, waiting: str) -> None:
    """Events are streamed from the first on, live ones behind those of before, and from any of them again."""
    ids: list[str] = []
    async with http.stream("GET", f"/v1/runs/{waiting}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        async for line in stream.aiter_lines():
            if line.startswith("id:"):
                ids.append(line.removeprefix("id:").strip())
                if len(ids) == 1:
                    await http.post(f"/v1/runs/{waiting}/cancel", json={})
    versions = [int(each.partition(":")[2]) for each in ids]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) > 1
    again = await http.get(f"/v1/runs/{waiting}/events", headers={"Last-Event-ID": ids[0]})
    assert [line[3:].strip() for line in again.text.splitlines() if line.startswith("id:")] == ids[1:]
    refused(await http.get(f"/v1/runs/{waiting}/events", headers={"Last-Event-ID": "nonsense"}), 400)


async def test_many_runs_are_asked_at_once(http: httpx.AsyncClient, waiting: str) -> None:
    """A bulk operation says which runs it would ask, asks them, and counts what became of each."""
    runs = f"/v1/runs/{waiting}"
    await until(http, runs, lambda run: run["status"] == "RUNNING")
    body = {"filter": {"workflow": "basket", "live": True}, "limit": 1_000}
    seen = (await http.post("/v1/bulk/terminate", json=body | {"dry_run": True})).json()
    assert waiting in seen["run_ids"]
    assert seen["accepted"] == 0
    assert (await http.get(f"{runs}/state")).json()["status"] == "RUNNING"
    done = (await http.post("/v1/bulk/terminate", json=body)).json()
    assert done["accepted"] + done["pending"] + len(done["refused"]) == done["matched"] == seen["matched"]
    await until(http, runs, lambda run: run["status"] == "TERMINATED")


async def test_what_is_deployed_is_shown(http: httpx.AsyncClient) -> None:
    """Workflows have versions, graphs and live runs; actions have backlogs and the workers that are there."""
    assert [each["name"] for each in (await http.get("/v1/workflows")).json()] == ["approval", "basket", "hello"]
    definition = (await http.get("/v1/workflows/hello/versions/1")).json()
    assert definition["mermaid"]
    assert definition["input_schema"]
    greet = (await http.get("/v1/actions/greet")).json()
    assert (greet["backlog"], greet["workers"]) == (0, 1)


async def test_a_schedule_lives_over_http(http: httpx.AsyncClient) -> None:
    """A schedule is created, read, paused, resumed and ended."""
    name = f"nightly-{uuid.uuid4().hex[:6]}"
    schedule = {"workflow": "hello", "input": "Ada", "cron": "0 0 * * *"}
    made = await http.post("/v1/schedules", json={"schedule_id": name, "schedule": schedule})
    assert made.status_code == 201, made.text
    found = (await http.get(f"/v1/schedules/{name}")).json()
    assert len(found["upcoming"]) == 5
    for verb in ("pause", "resume"):
        reply = await http.post(f"/v1/schedules/{name}/{verb}", json={})
        assert reply.status_code == 200, reply.text
    assert (await http.delete(f"/v1/schedules/{name}")).status_code == 200


async def test_health_and_metrics_tell_of_the_gateway(http: httpx.AsyncClient, served: Served) -> None:
    """What it stands on is reachable, and requests are counted by the pattern of their path."""
    health = (await http.get("/v1/health")).json()
    assert health["kafka"]["reachable"]
    assert health["database"]["reachable"]
    _, page = served.gateway.get("/metrics")
    assert 'route="/v1/health"' in page
    assert "never-started" not in page


async def test_lag_is_what_is_not_in_the_tables_yet(http: httpx.AsyncClient, served: Served) -> None:
    """Nothing is behind once all is read, whatever transactions leave in the topic; what waits is counted."""
    (projector,) = (each for each in served.installation.services if each.name == "projector")
    health = await until(http, "/v1/health", lambda health: health["behind_records"] == 0)
    assert health["database"]["reachable"]
    projector.signal(signal.SIGSTOP)
    try:
        run_id = (await http.post("/v1/runs", json=HELLO)).json()["run_id"]
        assert (await http.get("/v1/health")).json()["behind_records"] > 0
    finally:
        projector.signal(signal.SIGCONT)
    await until(http, f"/v1/runs/{run_id}", lambda run: run["status"] == "COMPLETED")
    await until(http, "/v1/health", lambda health: health["behind_records"] == 0)


async def test_the_page_is_strict(http: httpx.AsyncClient) -> None:
    """The page and every file that it names are there, and may load nothing from elsewhere."""
    page = await http.get("/")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "http://" not in page.text
    assert "https://" not in page.text
    for name in ("page.css", "page.js", "graph.js", "dom.js", "icon.svg"):
        file = await http.get(f"/console/{name}")
        assert file.status_code == 200
        assert "innerHTML" not in file.text
