"""The processes of the demo: started, found ready, killed as kill -9 does, and ended. Each has a log file."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

READY_SECONDS = 120.0
ENDED_SECONDS = 40.0


class Process:
    """One process with a log file of its own; `ready_url` answers 200 once it is of use."""

    def __init__(
        self, name: str, command: Sequence[str], *, folder: Path, environment: dict[str, str], ready_url: str = ""
    ) -> None:
        self.name = name
        self._command = [sys.executable, *command]
        self._log = folder / f"{name}.log"
        self._environment = environment
        self._ready_url = ready_url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the running process."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it; its output is appended to its log."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )

    async def ready(self) -> None:
        """Return when it is of use; raises RuntimeError with the end of its log when it ended or took too long."""
        deadline = time.monotonic() + READY_SECONDS
        async with httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    if (await http.get(self._ready_url)).is_success:
                        return
                except httpx.TransportError:
                    pass  # nobody listens yet
                if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} did not become ready:\n{self.last_words()}")
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """End it with SIGKILL: it gets no chance to finish or to say anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(ENDED_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def last_words(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-2_000:]


def run_once(command: Sequence[str], environment: dict[str, str]) -> None:
    """Run one command of actionbus to its end; raises RuntimeError with what it printed when it fails."""
    done = subprocess.run(
        [sys.executable, *command], env=environment, capture_output=True, text=True, check=False, timeout=READY_SECONDS
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def plain_environment() -> dict[str, str]:
    """This process's environment without settings of actionbus: the demo says them all itself."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ACTIONBUS_")}
