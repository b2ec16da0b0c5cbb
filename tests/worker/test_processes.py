"""Actions that are CPU-bound: each attempt in a process of its own, which is killed when it is over."""

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actionbus.contracts import payloads
from actionbus.contracts.errors import DefinitionRefused, SettingsRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.results import ResultKind
from actionbus.process.settings import Settings
from actionbus.sdk import registry
from actionbus.sdk.action import Action
from actionbus.worker.attempts import Attempt
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.outcomes import Done, Failed
from actionbus.worker.processes import Processes
from actionbus.worker.service import Worker
from actionbus.worker.threads import Threads
from worker.commands import execute
from worker.computing_app import ACTIONS, square
from worker.station import Station, until

MODULE = str(Path(__file__).with_name("computing_app.py"))


@asynccontextmanager
async def execution(name, limits=None, secrets=()):
    """How a worker carries out one of the actions; its processes have ended afterwards."""
    limits = limits or Limits()
    action = ACTIONS[name]
    made = Execution(
        action,
        limits=limits,
        failures=Failures(limits, secrets),
        threads=Threads(1, name),
        store=None,
        processes=Processes(name, [MODULE]),
    )
    try:
        yield made
    finally:
        await made.close()


def begun(made, value):
    """An attempt under way, as the lane begins one."""
    outcome = []

    async def perform():
        outcome.append(await made.perform(attempt))

    attempt = Attempt(execute(value=value, start_to_close_ms=made.action.start_to_close_ms), claims=[])
    attempt.task = asyncio.create_task(perform())
    return attempt, outcome


async def ended(made, value):
    """The outcome of an attempt."""
    attempt, outcome = begun(made, value)
    await attempt.task
    return outcome[0]


def alive(pid):
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_an_attempt_is_computed_in_another_process():
    """Output and emits come back, and the process is kept for the next attempt."""
    async with execution("square") as made:
        first, second = await ended(made, {"n": 7}), await ended(made, {"n": 8})
        found = [payloads.decode(each.output) for each in (first, second)]
        assert [each["square"] for each in found] == [49, 64]
        assert found[0]["pid"] == found[1]["pid"] != os.getpid()
        assert first.emits[0].value == b'{"square":49}'
    await until(lambda: not alive(found[0]["pid"]))


async def test_a_failure_comes_back_without_secrets():
    """The process does not know what is secret here, so what it says is looked through."""
    async with execution("fail", secrets=["swordfish"]) as made:
        outcome = await ended(made, {"secret": "swordfish"})
    assert isinstance(outcome, Failed)
    assert (outcome.error.type, outcome.error.message) == ("Odd", "what *** says is odd")


async def test_what_is_too_large_is_refused_here():
    """The limits are those of the worker."""
    async with execution("square", limits=Limits(payload_bytes=5)) as made:
        outcome = await ended(made, {"n": 7})
    assert outcome.error.type == "ResultTooLarge"


async def test_a_process_that_dies_fails_the_attempt_and_not_the_worker(tmp_path):
    """The attempt may be tried again, and another process computes it."""
    async with execution("vanish") as made:
        marker = str(tmp_path / "marker")
        first = await ended(made, {"marker": marker})
        assert (first.error.type, first.error.retryable) == ("ProcessDied", True)
        assert "exit code 7" in first.error.message
        assert await ended(made, {"marker": marker}) == Done(output=b'"back"')


async def test_a_process_whose_time_is_over_is_killed(tmp_path):
    """Code that never looks up cannot go on after its time: its process is ended and its place is free."""
    async with execution("spin") as made:
        marker = tmp_path / "marker"
        outcome = await ended(made, {"marker": str(marker)})
        assert outcome.error.type == "Timeout"
        assert made.busy_threads == 0
        if marker.exists():  # on a busy machine its time may be over before it began
            await until(lambda: not alive(int(marker.read_text())))


async def test_heartbeats_come_through(tmp_path):
    """What the function says of how far it is reaches the worker while it computes."""
    async with execution("tell") as made:
        attempt, outcome = begun(made, {"gate": str(tmp_path / "gate")})
        await until(lambda: attempt.beats)
        assert payloads.decode(attempt.beats[-1]) == {"waits": "yes"}
        assert not outcome
        (tmp_path / "gate").touch()
        await attempt.task
        assert outcome == [Done(output=b'"open"')]


async def test_a_worker_computes_in_processes(connection, prefix):
    """Seen from the topics there is no difference."""
    found = registry.load(MODULE)
    async with Station(connection, prefix, found.actions["square"]) as station:
        await station.send(*(station.command(square, n, value={"n": n}) for n in range(6)))
        worker = Worker(station.settings(), registry.Registry(
            actions={"square": found.actions["square"]}, workflows={}, modules=found.modules))  # fmt: skip
        stop = asyncio.Event()
        serving = asyncio.create_task(worker.serve(stop))
        results = await station.results(6)
        stop.set()
        await serving
    assert {each.kind for each in results} == {ResultKind.SUCCEEDED}
    assert sorted(payloads.decode(each.output)["square"] for each in results) == [0, 1, 4, 9, 16, 25]


def test_a_worker_without_modules_cannot_compute_in_processes():
    """The processes have to import the action from somewhere, and the refusal says so."""
    with pytest.raises(SettingsRefused, match="give the worker a module"):
        Worker(Settings(), registry.Registry.of(square))


def test_only_a_plain_function_is_cpu_bound():
    """A coroutine, or what writes to a database, is refused where it is declared."""

    async def coroutine() -> None:
        return None

    with pytest.raises(DefinitionRefused, match="plain def"):
        Action(id="a", execute=coroutine, cpu_bound=True)
