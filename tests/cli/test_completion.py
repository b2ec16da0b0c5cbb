"""What a shell completes, as it asks for it."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from actionbus.cli import completion
from cli.installed import READY_SECONDS, Dev

ACTIONBUS = Path(sys.executable).with_name("actionbus")


def _completed(words: str, environment: dict[str, str]) -> list[str]:
    """What bash is told when Tab is pressed behind these words; nothing is said beside it."""
    asked = {"_ACTIONBUS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
    done = subprocess.run(
        [ACTIONBUS], env=environment | asked, capture_output=True, text=True, check=False, timeout=READY_SECONDS
    )
    assert done.stderr == ""
    return done.stdout.split()


async def test_what_was_found_in_time_is_given() -> None:
    """A source that never ends is left after its time, and what it gave until then is kept, in order."""

    async def slow() -> AsyncIterator[str]:
        for each in ("order-2", "order-1", "other"):
            yield each
        await asyncio.Event().wait()

    async with asyncio.timeout(READY_SECONDS):
        assert await completion.gathered(slow(), "order", seconds=0.2) == ["order-1", "order-2"]


async def test_no_more_than_fit_are_given() -> None:
    """A source without end is not read to it."""

    async def endless() -> AsyncIterator[str]:
        number = 0
        while True:
            yield f"order-{(number := number + 1):09}"

    assert len(await completion.gathered(endless(), "", seconds=READY_SECONDS)) == completion.MOST


def test_nobody_there_completes_to_nothing() -> None:
    """And says nothing: the command itself will."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONBUS_")}
    for wrong in ("127.0.0.1:1", "no address"):
        assert _completed("actionbus runs show ", kept | {"ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": wrong}) == []
    assert _completed("actionbus --url nowhere runs show ", kept) == []


def test_a_shell_is_taught(tmp_path: Path) -> None:
    """`--install-completion` writes what the shell reads when it begins."""
    kept = os.environ | {"HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [ACTIONBUS, "--install-completion", "bash"], env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    written = [each.read_text() for each in tmp_path.rglob("*") if each.is_file()]
    assert any("_ACTIONBUS_COMPLETE=complete_bash" in each for each in written)


@pytest.mark.kafka
def test_runs_and_workflows_complete(dev: Dev) -> None:
    """Ids of live runs, and names of workflows for an argument and an option."""
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "completes")
    dev.until(lambda: _completed("actionbus runs show compl", dev.variables()) == ["completes"])
    dev.until(lambda: _completed("actionbus runs start ", dev.variables()) == ["hello", "wait"])
    dev.until(lambda: _completed("actionbus runs list --workflow h", dev.variables()) == ["hello"])
    dev.json("runs", "terminate", "completes")
