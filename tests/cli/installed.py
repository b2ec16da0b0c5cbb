"""`actionbus dev` as its users run it, and commands against it: real processes, a real broker."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import commands
from support.commands import COMMAND, die_with_parent
from support.ports import free_ports

READY_SECONDS = 240.0


@dataclass
class Dev:
    """One `actionbus dev` with its folder; commands run against its broker."""

    folder: Path
    module: str
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.kafka_port, self.probes_port = free_ports(2)

    @property
    def log(self) -> Path:
        """What it said."""
        return self.folder / "dev.log"

    def variables(self) -> dict[str, str]:
        """An environment without the caller's own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONBUS_")}
        kept["ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{self.kafka_port}"
        kept["ACTIONBUS_HTTP_PORT"] = str(self.probes_port)
        return kept | self.environment

    def start(self, *options: str) -> None:
        """Start it and return when it is ready."""
        command = [*COMMAND, "dev", self.module, "--port", str(self.kafka_port), *options]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.variables(),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - prctl alone is safe after fork
            )
        self.until(self.ready)

    def interrupt(self) -> int:
        """Press Ctrl-C, as a terminal does it: the whole process group is told. The exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(READY_SECONDS)

    def close(self) -> None:
        """End it, if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def ready(self) -> bool:
        """Whether its probe says so."""
        assert self.process is not None
        assert self.process.poll() is None, f"it ended:\n{self.log.read_text()[-4000:]}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.probes_port}/ready", timeout=5) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def until(self, condition) -> None:
        """Return once the condition holds; fail with the log when that takes too long."""
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"it took too long:\n{self.log.read_text()[-4000:]}"
            time.sleep(0.1)

    def says(self, text: str, times: int = 1) -> None:
        """Return once its log holds the text so many times."""
        self.until(lambda: self.log.read_text().count(text) >= times)

    def command(
        self, *arguments: str, stdin: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return commands.run(
            *arguments, env=self.variables() | environment, cwd=self.folder, stdin=stdin, timeout=READY_SECONDS
        )

    def begun(self, *arguments: str) -> subprocess.Popen[str]:
        """A command under way."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [*COMMAND, *arguments], env=self.variables(), cwd=self.folder, stdout=pipe, stderr=pipe, text=True
        )

    def json(self, *arguments: str, stdin: str | None = None) -> Any:
        """What a command that succeeds printed, as JSON."""
        done = self.command(*arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, code: int, *arguments: str, stdin: str | None = None, **environment: str) -> str:
        """The one sentence of a command that ends with this code, on standard error, and nothing else there."""
        done = self.command(*arguments, stdin=stdin, **environment)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        (sentence,) = done.stderr.splitlines()
        assert sentence.startswith("actionbus: ")
        return sentence
