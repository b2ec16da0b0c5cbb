"""A process ends when it is asked, within its grace period, and at once when asked twice; its exit code says how."""

import json
import select
import signal
import subprocess
import sys
import time

import httpx
import pytest

from actionbus.process.shutdown import ExitCode, Shutdown

DEADLINE_SECONDS = 60

SERVICE = """
import asyncio, sys, threading, time
from actionbus.contracts.errors import ActionbusError, SettingsRefused, Unavailable
from actionbus.process import loop, variables
from actionbus.process.service import serving

async def main():
    settings = variables.load(grace_seconds={grace}, http={{"port": 0}})
    async with serving("orchestrator", settings, lambda: []) as shutdown:
        print("up", flush=True)
        {body}

sys.exit(loop.run(main))
"""
DRAIN = "await shutdown.requested.wait(); print('drained', flush=True)"
NEVER_DONE = "await shutdown.requested.wait(); print('draining', flush=True); await asyncio.Event().wait()"
STUCK = "time.sleep(3600)"


class Service:
    """A service in a process of its own."""

    def __init__(self, body, grace=3_600):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVICE.format(body=body, grace=grace)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_SECONDS)

    def says(self, word):
        """Wait until the service prints this word."""
        ready, _, _ = select.select([self.process.stdout], [], [], DEADLINE_SECONDS)
        assert ready, f"{word!r} was not said in time"
        assert self.process.stdout.readline().strip() == word

    def ends(self):
        """Wait for the end; its exit code and its log."""
        _, errors = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_service_finish(number):
    """After SIGTERM or SIGINT a service finishes its work and ends with 0."""
    with Service(DRAIN) as service:
        service.says("up")
        service.process.send_signal(number)
        service.says("drained")
        code, errors = service.ends()
    assert code == ExitCode.CLEAN
    lines = [json.loads(line) for line in errors.splitlines()]
    assert [line["message"] for line in lines] == ["started", "shutting down", "stopped"]
    assert lines[1]["reason"] == signal.Signals(number).name


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGINT, ExitCode.INTERRUPTED)]
)
def test_a_second_signal_ends_at_once(number, code):
    """A second signal ends the process without waiting for its work."""
    with Service(NEVER_DONE) as service:
        service.says("up")
        service.process.send_signal(number)
        service.says("draining")
        service.process.send_signal(number)
        ended, errors = service.ends()
    assert ended == code
    assert "interrupted twice" in errors


def test_a_second_signal_ends_also_a_stuck_loop():
    """A process whose event loop is stuck in user code still ends on the second signal."""
    with Service(STUCK) as service:
        service.says("up")
        until = time.monotonic() + DEADLINE_SECONDS
        while service.process.poll() is None and time.monotonic() < until:
            service.process.send_signal(signal.SIGTERM)  # equal signals that follow too fast are merged into one
            time.sleep(0.05)
        ended, _ = service.ends()
    assert ended == ExitCode.TERMINATED


def test_the_grace_period_ends():
    """A service that does not finish within its grace period is ended with the code that says so."""
    with Service(NEVER_DONE, grace=0.2) as service:
        service.says("up")
        service.process.send_signal(signal.SIGTERM)
        ended, errors = service.ends()
    assert ended == ExitCode.GRACE_EXPIRED
    assert "the grace period is over" in errors


def test_a_thread_of_user_code_cannot_outlive_the_grace_period():
    """A thread that never ends keeps the process for the grace period and no longer."""
    body = "threading.Thread(target=time.sleep, args=[3600]).start(); " + DRAIN
    with Service(body, grace=0.5) as service:
        service.says("up")
        service.process.send_signal(signal.SIGTERM)
        ended, _ = service.ends()
    assert ended == ExitCode.GRACE_EXPIRED


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        ("SettingsRefused('set the key')", ExitCode.USAGE, "set the key"),
        ("Unavailable('no broker at x:1')", ExitCode.ERROR, "no broker at x:1"),
        ("ExceptionGroup('tasks', [SettingsRefused('set the key')])", ExitCode.USAGE, "set the key"),
        ("RuntimeError('a bug')", ExitCode.ERROR, "a bug"),
    ],
)
def test_an_error_has_its_exit_code_and_its_sentence(raised, code, words):
    """What ends a process is told by its exit code and by the last line of its log, which is JSON."""
    with Service(f"raise {raised}") as service:
        ended, errors = service.ends()
    assert ended == code
    assert words in json.dumps(json.loads(errors.splitlines()[-1]))


def test_an_error_before_the_logs_are_set_up_is_still_told():
    """Settings that are refused before anything started end with 2 and a line that says why."""
    script = SERVICE.format(body="pass", grace=-1)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert done.returncode == ExitCode.USAGE
    assert "ACTIONBUS_GRACE_SECONDS" in json.loads(done.stderr)["error"]


def test_a_taken_port_is_explained():
    """A port that another process holds ends the service with the setting that changes it."""
    with Service(DRAIN) as first:
        first.says("up")
        port = int(json.loads(first.process.stderr.readline())["probes"].rpartition(":")[2])
        body = SERVICE.format(body=DRAIN, grace=1).replace('"port": 0', f'"port": {port}')
        done = subprocess.run(
            [sys.executable, "-c", body], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
        )
    assert done.returncode == ExitCode.ERROR
    assert "ACTIONBUS_HTTP_PORT" in json.loads(done.stderr.splitlines()[-1])["error"]


def test_a_service_that_shuts_down_is_not_ready():
    """From the first signal on, no new work is sent to the process."""
    with Service(NEVER_DONE) as service:
        service.says("up")
        url = json.loads(service.process.stderr.readline())["probes"]
        assert httpx.get(f"{url}/ready", timeout=DEADLINE_SECONDS, trust_env=False).status_code == 200
        service.process.send_signal(signal.SIGTERM)
        service.says("draining")
        answer = httpx.get(f"{url}/ready", timeout=DEADLINE_SECONDS, trust_env=False)
    assert (answer.status_code, answer.json()["reasons"]) == (503, ["shutting down"])


async def test_a_request_from_inside_is_a_first_signal():
    """A service may ask for its own end; leaving in time takes the limit away again."""
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    async with Shutdown(grace_seconds=3_600) as shutdown:
        shutdown.request("the work is done")
        shutdown.request("again")
        await shutdown.requested.wait()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_exit_codes_are_those_of_a_shell():
    """A process ended by a repeated signal has 128 and the signal's number as its exit code."""
    assert ExitCode.INTERRUPTED == 128 + signal.SIGINT
    assert ExitCode.TERMINATED == 128 + signal.SIGTERM
