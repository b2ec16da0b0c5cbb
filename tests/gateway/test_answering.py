"""Whatever answers runs over HTTP, with content: signals that may start them, people, tokens; and what is set aside."""

import asyncio
import base64
import uuid
from typing import Any

import httpx
import pytest

from actionbus.contracts.dead_letters import dead_letter
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.producer import IdempotentProducer
from gateway.served import SECONDS, Served, refused, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
LAMP = {"name": "lamp", "price": 40}
ADD = {"workflow": "basket", "signal": "add", "payload": LAMP, "input": 100}


def _fresh(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:8]}"


async def test_a_signal_starts_a_run_and_reaches_it(http: httpx.AsyncClient) -> None:
    """Where no run has the id one begins with the signal; sent again with its key it is the same."""
    body = ADD | {"run_id": _fresh("basket")}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    for _ in range(2):
        reply = await http.post("/v1/runs/signal-with-start", json=body, headers=headers)
        assert reply.status_code == 201, reply.text
        assert reply.headers["location"] == f"/v1/runs/{body['run_id']}"
    result = await http.get(f"/v1/runs/{body['run_id']}/result", params={"wait": 60})
    assert result.json()["output"] == [LAMP]


@pytest.mark.parametrize(
    ("wrong", "status", "says"),
    [
        ({"input": "much"}, 422, "integer"),
        ({"signal": "remove"}, 422, "add"),
        ({"payload": {"name": "lamp"}}, 422, "price"),
        ({"workflow": "nothing"}, 404, "nothing"),
        ({"run_id": "a/b"}, 422, "run id"),
    ],
)
async def test_a_signal_that_starts_is_checked(
    http: httpx.AsyncClient, waiting: str, wrong: dict[str, Any], status: int, says: str
) -> None:
    """Input and signal are checked as by a start, also where the run is there and nothing would begin."""
    for run_id in (waiting, _fresh("none")):
        reply = await http.post("/v1/runs/signal-with-start", json=ADD | {"run_id": run_id} | wrong)
        assert says in refused(reply, status)["detail"]


async def test_each_life_of_an_id_is_followed(http: httpx.AsyncClient) -> None:
    """Of an id that was used again each run is found by its incarnation, the latest without one."""
    run_id, lives = _fresh("again"), []
    for name in ("Ada", "Bob"):
        body = {"workflow": "hello", "input": name, "run_id": run_id, "if_exists": "replace"}
        reply = (await http.post("/v1/runs", json=body)).json()
        lives.append(reply["incarnation"])
        ended = f"/v1/runs/{run_id}?incarnation={lives[-1]}"
        await until(http, ended, lambda run: run["status"] == "COMPLETED")
    for life, name in ((lives[0], "Ada"), (lives[1], "Bob"), (None, "Bob")):
        query = {} if life is None else {"incarnation": life}
        result = await http.get(f"/v1/runs/{run_id}/result", params=query)
        assert (result.status_code, result.json()["output"]) == (200, f"Hello, {name}!")
        stream = await http.get(f"/v1/runs/{run_id}/events", params=query)
        ids = [line[3:].strip() for line in stream.text.splitlines() if line.startswith("id:")]
        assert {each.partition(":")[0] for each in ids} == {life or lives[1]}
        history = (await http.get(f"/v1/runs/{run_id}/history", params=query)).json()["items"]
        assert [f"{each['incarnation']}:{each['version']}" for each in history] == ids
    for path in ("", "/history", "/events", "/result"):
        refused(await http.get(f"/v1/runs/{run_id}{path}", params={"incarnation": "zzzz"}), 404)
    other = {"Last-Event-ID": f"{lives[0]}:1"}
    reply = await http.get(f"/v1/runs/{run_id}/events", params={"incarnation": lives[1]}, headers=other)
    assert "leave one out" in refused(reply, 400)["detail"]


async def _token(served: Served, name: str) -> str:
    """The token of who was asked."""
    path = served.installation.folder / name
    async with asyncio.timeout(SECONDS):
        while not path.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
    return path.read_text()


async def test_a_step_and_a_person_answer(http: httpx.AsyncClient, served: Served) -> None:
    """A step is answered by its token, then a task is listed, handed to somebody else, refused and handed in."""
    name = _fresh("ada")
    run_id = (await http.post("/v1/runs", json={"workflow": "approval", "input": name})).json()["run_id"]
    token = await _token(served, name)
    for verb, said in (("heartbeat", {"details": {"page": 3}}), ("complete", {"output": f"asked {name}"})):
        reply = await http.post(f"/v1/steps/{verb}", json={"token": token} | said)
        assert (reply.status_code, reply.json()) == (202, {"taken": True})
    mine = f"/v1/tasks?workflow=approval&assignee={name}"
    path = "approve"
    await until(http, "/v1/tasks?assignee=sales", lambda page: run_id in [each["run_id"] for each in page["items"]])
    reply = await http.post(f"/v1/runs/{run_id}/assign-task", json={"path": path, "who": name})
    assert reply.status_code == 200, reply.text
    (task,) = (await until(http, mine, lambda page: page["items"]))["items"]
    assert (task["run_id"], task["path"], task["title"], task["overdue"]) == (run_id, path, "Approve it", False)
    form = {"path": path, "form": {"granted": "perhaps"}}
    assert "granted" in refused(await http.post(f"/v1/runs/{run_id}/complete-task", json=form), 409)["detail"]
    form = {"path": path, "form": {"granted": True}}
    assert (await http.post(f"/v1/runs/{run_id}/complete-task", json=form)).status_code == 200
    result = await http.get(f"/v1/runs/{run_id}/result", params={"wait": 60})
    assert result.json()["output"] == f"asked {name}"
    await until(http, mine, lambda page: not page["items"])


async def test_a_failure_by_token_is_the_steps_own(http: httpx.AsyncClient, served: Served) -> None:
    """The name and the words of a failure are those of whoever had the token; what is no token is refused."""
    name = _fresh("bob")
    run_id = (await http.post("/v1/runs", json={"workflow": "approval", "input": name})).json()["run_id"]
    said = {"error_type": "Declined", "message": "not today", "retryable": False}
    refused(await http.post("/v1/steps/fail", json={"token": "none"} | said), 422)
    reply = await http.post("/v1/steps/fail", json={"token": await _token(served, name)} | said)
    assert reply.status_code == 202, reply.text
    result = (await http.get(f"/v1/runs/{run_id}/result", params={"wait": 60})).json()
    assert (result["status"], result["error"]["type"], result["error"]["message"]) == (
        "FAILED",
        "Declined",
        "not today",
    )


async def test_what_was_set_aside_is_shown_as_it_was(http: httpx.AsyncClient, served: Served) -> None:
    """Dead letters have the bytes that were found, where and why, a page at a time, with a cursor that goes on."""
    topics = Topics(served.installation.prefix)
    junk = [f"junk {number}".encode() for number in range(3)]
    async with IdempotentProducer(served.installation.connection) as producer:
        for each in junk:
            await producer.append(topics.requests, 1, [OutRecord(key=b"who knows", value=each, headers=())])
    where = f"/v1/dead-letters?topic={topics.dead_letters}"
    await until(http, where, lambda page: len(page["items"]) == len(junk))
    found: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        page = (await http.get(f"{where}&limit=1{cursor and f'&cursor={cursor}'}")).json()
        found += page["items"]
        cursor = page["next_cursor"]
    assert [base64.b64decode(each["value_base64"]) for each in found] == junk
    for each in found:
        assert (each["key"], each["size"]) == ("who knows", len(junk[0]))
        assert (each["original"]["topic"], each["original"]["partition"]) == (topics.requests, "1")
        assert each["exception"]["message"]
    assert base64.b64encode(junk[0]).decode() in (await http.get("/v1/dead-letters?limit=200")).text
    refused(await http.get(f"{where}&cursor=nonsense"), 400)


async def test_a_dead_letter_is_replayed_once_and_dropped_once(http: httpx.AsyncClient, served: Served) -> None:
    """Under one key it has one effect and one answer; under another it is a conflict; what is not there is 404."""
    topics = Topics(served.installation.prefix)
    found = InRecord(topics.requests, 0, 7, 5, key=b"again", value=b"still no record")
    letter = dead_letter(found, group="shard", error=ValueError("no record"), largest=100_000)
    async with IdempotentProducer(served.installation.connection) as producer:
        offsets = [await producer.append(topics.dead_letters, 0, [letter]) for _ in range(2)]
    for offset, verb, other in zip(offsets, ("replay", "drop"), ("drop", "replay"), strict=True):
        where = f"/v1/dead-letters/{topics.dead_letters}/0/{offset}"
        for _ in range(2):
            reply = await http.post(
                f"{where}/{verb}", json={"reason": "mended"}, headers={"Idempotency-Key": f"k-{verb}"}
            )
            assert reply.status_code == 200, reply.text
            assert reply.json()["verdict"] == {"replay": "replayed", "drop": "dropped"}[verb]
        assert "mended before" in refused(await http.post(f"{where}/{verb}", json={}), 409)["detail"]
        refused(await http.post(f"{where}/{other}", json={}), 409)
    listed = f"/v1/dead-letters?topic={topics.dead_letters}&limit=200"
    open_ = {(each["partition"], each["offset"]) for each in (await http.get(listed)).json()["items"]}
    assert not open_ & {(0, offset) for offset in offsets}
    items = (await http.get(f"{listed}&settled=true")).json()["items"]
    assert {each["settled"] for each in items if each["offset"] in offsets and each["partition"] == 0} == {
        "replayed: mended", "dropped: mended",
    }  # fmt: skip
    refused(await http.post(f"/v1/dead-letters/{topics.dead_letters}/0/999999/drop", json={}), 404)
    refused(await http.post(f"/v1/dead-letters/{topics.requests}/0/0/drop", json={}), 404)
