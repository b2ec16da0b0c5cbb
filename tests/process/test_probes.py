"""A platform learns from one port whether a process lives, is ready, and what it measured."""

import asyncio
import json
import socket
from contextlib import contextmanager

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from actionbus.process import metrics
from actionbus.process.probes import Heartbeat, Probes


class Clock:
    """Time that a test moves."""

    now = 100.0

    def __call__(self):
        """The time."""
        return self.now


@contextmanager
def probes(not_ready=list, clock=None, stall_seconds=20, host="127.0.0.1"):
    heartbeat = Heartbeat(clock or Clock())
    with Probes(
        host, 0, registry=metrics.REGISTRY, heartbeat=heartbeat, stall_seconds=stall_seconds, not_ready=not_ready
    ) as server:
        yield f"http://{'[::1]' if host == '::1' else host}:{server.port}"


def get(url, **headers):
    answer = httpx.get(url, headers=headers, timeout=30, trust_env=False)
    return answer.status_code, answer.headers, answer.content


def test_a_ready_process_says_so():
    """A service without a reason against it is ready, in JSON."""
    with probes() as url:
        status, headers, body = get(f"{url}/ready")
    assert (status, json.loads(body)) == (200, {"ready": True, "reasons": []})
    assert headers["Content-Type"].startswith("application/json")


def test_a_process_that_is_not_ready_says_why():
    """A service that cannot take work answers 503 with every reason."""
    with probes(not_ready=lambda: ["shard 3 restores its state"]) as url:
        status, _, body = get(f"{url}/ready")
    assert (status, json.loads(body)["reasons"]) == (503, ["shard 3 restores its state"])


def test_a_readiness_check_that_breaks_is_not_ready():
    """A check that raises counts as not ready and names its error."""

    def broken():
        raise KeyError("shards")

    with probes(not_ready=broken) as url:
        status, _, body = get(f"{url}/ready")
    assert status == 503
    assert "KeyError" in json.loads(body)["reasons"][0]


def test_live_follows_the_loops_heartbeat():
    """A loop that was stuck for longer than the limit makes /live fail, with the limit in the answer."""
    clock = Clock()
    with probes(clock=clock, stall_seconds=20) as url:
        assert get(f"{url}/live")[0] == 200
        clock.now += 20
        status, _, body = get(f"{url}/live")
    assert status == 503
    assert json.loads(body) == {"live": False, "loop_age_seconds": 20.0, "limit_seconds": 20}


async def test_a_turning_loop_stays_fresh():
    """As long as the event loop turns, its heartbeat is renewed."""
    clock = Clock()
    async with Heartbeat(clock) as heartbeat, asyncio.timeout(30):
        clock.now += 1_000
        while heartbeat.age_seconds > 0:  # noqa: ASYNC110 - the age is all that can be seen from outside
            await asyncio.sleep(0.01)


async def test_a_stuck_loop_still_answers():
    """The probes answer while the event loop does not turn at all."""
    with probes() as url:  # nothing is awaited here: this loop is stuck for as long as the block runs
        assert get(f"{url}/live")[0] == 200


def test_metrics_are_scraped_as_text_and_as_openmetrics():
    """A scraper gets the form that it accepts, and a counter that was fed has its value."""
    metrics.RUNS_STARTED.labels(workflow="scraped").inc(3)
    metrics.RUN_DURATION.labels(workflow="scraped").observe(2, {"trace_id": "0af7651916cd43dd"})
    with probes() as url:
        _, plain_headers, plain = get(f"{url}/metrics")
        _, open_headers, opened = get(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert plain_headers["Content-Type"].startswith("text/plain")
    assert open_headers["Content-Type"].startswith("application/openmetrics-text")
    assert opened.endswith(b"# EOF\n")
    assert b'# {trace_id="0af7651916cd43dd"} 2.0' in opened
    assert b"trace_id" not in plain  # the older form has no place for it
    families = {each.name: each for each in text_string_to_metric_families(plain.decode())}
    samples = [s for s in families["actionbus_runs_started"].samples if s.labels == {"workflow": "scraped"}]
    assert samples[0].value == 3
    assert "process_cpu_seconds" in families


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/metric", 404), ("/ready/", 404)])
def test_other_paths_are_not_found(path, status):
    """What is not one of the three paths is not found, and the answer names them."""
    with probes() as url:
        found, _, body = get(url + path)
    assert found == status
    assert "/metrics, /live, /ready" in json.loads(body)["error"]


def test_only_reading_is_answered():
    """A request that would change something is refused."""
    with probes() as url:
        assert httpx.post(f"{url}/ready", content=b"x", timeout=30, trust_env=False).status_code == 405


def test_a_silent_client_holds_nobody_up():
    """A client that connects and says nothing does not keep the next one from its answer."""
    with probes() as url:
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30):
            assert get(f"{url}/live")[0] == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_an_address_of_ipv6_is_served():
    """The probes also listen on an IPv6 address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    with probes(host="::1") as url:
        assert get(f"{url}/live")[0] == 200
