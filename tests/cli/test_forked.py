"""A command that tests fork does what one does that is started."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from support import commands

APP = """
import os, pathlib, sys
from actionbus import action, workflow

print(os.environ["WHO"], pathlib.Path.cwd().name, sys.stdin.read(), file=sys.stderr)
{more}

@workflow(id="w", version="1")
def w(flow, name: str) -> str:
    return name
"""
MINUTE = 60.0
CALLED = ("python -m actionbus.cli.main", "actionbus")  # its help says how it is called


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an app in it that tells its surroundings."""
    (tmp_path / "app.py").write_text(APP.format(more=""))
    return tmp_path


@pytest.mark.parametrize("arguments", [("definition", "show", "app.py"), ("definition", "show", "gone.py"), ("runs",)])
def test_it_says_the_same(folder: Path, arguments: tuple[str, ...]) -> None:
    """Output, errors and exit code are those of the same command, in its environment, its folder and with its input."""
    environment = os.environ | {"WHO": "ada"}
    forked = commands.run(*arguments, env=environment, cwd=folder, timeout=MINUTE, stdin="given")
    started = subprocess.run(
        [*commands.COMMAND, *arguments],
        env=environment,
        cwd=folder,
        input="given",
        capture_output=True,
        text=True,
        check=False,
    )
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout.replace(*CALLED))
    assert forked.stderr == started.stderr.replace(*CALLED)


def test_a_signal_is_told(folder: Path) -> None:
    """What ends by a signal has its number as the exit code, with a minus."""
    (folder / "app.py").write_text(APP.format(more="os.kill(os.getpid(), 9)"))
    done = commands.run("definition", "show", "app.py", env=os.environ | {"WHO": "ada"}, cwd=folder, timeout=MINUTE)
    assert (done.returncode, done.stderr.split()[0]) == (-9, "ada")


def test_what_does_not_end_is_ended(folder: Path) -> None:
    """Whoever waits is told when its time is over, and nothing goes on of the command."""
    stays = "pathlib.Path('pid').write_text(str(os.getpid())); import time; time.sleep(3600)"
    (folder / "app.py").write_text(APP.format(more=stays))
    environment = os.environ | {"WHO": "ada"}
    for seconds in (2, 20, 200):  # until it has come so far
        with pytest.raises(subprocess.TimeoutExpired):
            commands.run("definition", "show", "app.py", env=environment, cwd=folder, timeout=seconds)
        if (folder / "pid").exists():
            break
    deadline = time.monotonic() + MINUTE
    while _goes_on((folder / "pid").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _goes_on(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
