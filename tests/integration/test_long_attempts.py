"""Attempts that take long, with real processes on both brokers."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from actionbus.client import Client, RunHandle
from actionbus.contracts.errors import IdentifierRefused, RunFailed
from actionbus.contracts.events import EntryKind
from integration.installation import Installation
from integration.journey import stands, told
from integration.orders import WAIT_SECONDS, until

pytestmark = pytest.mark.kafka


@pytest.fixture
def later(broker, prefix: str, tmp_path: Path) -> Iterator[Installation]:
    """An installation whose actions take long."""
    made = Installation(
        bootstrap=broker.bootstrap,
        prefix=prefix,
        folder=tmp_path,
        app=Path(__file__).with_name("later_app.py"),
        extra={"LATER_FOLDER": str(tmp_path)},
        named=True,  # who comes back under its name does not wait for its own session
    )
    try:
        made.prepare()
        made.orchestrator()
        yield made
    finally:
        made.close()


@pytest.fixture
async def client(later: Installation):
    """A client of that installation."""
    async with Client(later.connection, prefix=later.prefix, verdict_seconds=WAIT_SECONDS) as made:
        yield made


async def _token(run: RunHandle, folder: Path) -> str:
    """What the action has handed out, once the run waits for its answer."""
    await stands(run, lambda state: any(step.handed_over for step in state.steps), "waits for an answer")
    return (folder / f"{run.run_id}.token").read_text()


async def test_whoever_has_the_token_answers(later: Installation, client: Client, tmp_path: Path) -> None:
    """A program, and a person at a command line; meanwhile no worker has the step, and none need run."""
    worker = later.worker()
    await asyncio.to_thread(later.wait_ready)
    runs = {name: await client.start("approval", name, run_id=name) for name in ("program", "person", "no")}
    tokens = {name: await _token(run, tmp_path) for name, run in runs.items()}
    assert await asyncio.to_thread(worker.stop) == 0
    with pytest.raises(IdentifierRefused):
        await client.complete_step(tokens["program"][1:], {"by": "nobody"})
    await client.heartbeat_step(tokens["program"], "thinking")
    await client.complete_step(tokens["program"], {"by": "a program"})
    assert await runs["program"].result(WAIT_SECONDS) == {"by": "a program"}
    done = await asyncio.to_thread(later.command, "steps", "complete", tokens["person"], '{"by": "a person"}')
    assert json.loads(done.stdout) == {"run_id": "person", "step": "ask", "completed": True}
    assert await runs["person"].result(WAIT_SECONDS) == {"by": "a person"}
    await asyncio.to_thread(later.command, "steps", "fail", tokens["no"], "Refused", "not now", "--no-retryable")
    with pytest.raises(RunFailed, match="Refused: not now"):
        await runs["no"].result(WAIT_SECONDS)


async def test_a_killed_worker_is_missed_and_the_next_one_goes_on(
    later: Installation, client: Client, tmp_path: Path
) -> None:
    """Long before the time of the attempt is over another one is told how far it came, and ends the step."""
    worker = later.worker()
    await asyncio.to_thread(later.wait_ready)
    run = await client.start("copying", "book")
    await stands(run, lambda state: state.steps[0].heartbeat == b'{"page":3}', "says how far it is")
    worker.kill()

    async def missed() -> bool:
        return bool(await told(run, EntryKind.STEP_TIMED_OUT))

    await until(missed, "the silence is noticed")
    worker.start()
    assert await run.result(WAIT_SECONDS) == "book from page 3"
    (entry,) = await told(run, EntryKind.STEP_TIMED_OUT)
    assert json.loads(entry.data)["type"] == "HeartbeatTimeout"

    async def called_back() -> bool:
        return (tmp_path / "book.called-back").exists()

    await until(called_back, "the first attempt, whose command came again to nobody's use, is told so by its heartbeat")
