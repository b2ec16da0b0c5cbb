"""How a page is read and carried out: its fenced blocks, in the order in which they stand there.

    ```python            runs; all such blocks of a page share one program
    ```python file=X     is written to the file X first
    ```console           each line after `$ ` runs in bash; the lines below it are what it prints, `...` stands for any text
    ```console background    the same, but it goes on until the end of the page; the lines below it are waited for

Any other language is only shown. `make` is asked whether it would do what a page says, and is not let do it.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 240.0


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block."""

    line: int
    language: str
    options: str
    text: str

    @property
    def file(self) -> str | None:
        """The file it is written to."""
        found = re.search(r"file=(\S+)", self.options)
        return found[1] if found else None

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """Each command with the lines it is said to print."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif found and found[-1][0].endswith("\\"):
                found[-1] = (f"{found[-1][0]}\n{line}", [])
            elif line.strip():
                found[-1][1].append(line)
        return found


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(line=line, language=found[1], options=found[2].strip(), text=found[3])


def runs(page: Path) -> bool:
    """Whether there is anything to carry out on a page."""
    return any(block.language in ("python", "console") for block in blocks(page))


@dataclass
class Reader:
    """Does what a page says, in a folder of its own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    program: list[str] = field(default_factory=list)
    background: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the folder look like a checkout with actionbus on the path."""
        for name in ("examples", "Makefile", "pyproject.toml", "requirements.lock", "requirements-test.lock", "deploy"):
            (self.folder / name).symlink_to(ROOT / name)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACTIONBUS_")}
        self.environment = kept | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "ACTIONBUS_HTTP_PORT": "0",
            "COLUMNS": "200",
            "PYTHONPATH": str(self.folder),
        }

    def follow(self, page: Path) -> None:
        """Carry out every block; AssertionError names the page and line of the first that does not do as it says."""
        try:
            for block in blocks(page):
                try:
                    self._carry_out(block)
                except AssertionError as error:
                    raise AssertionError(f"{page.relative_to(ROOT)}:{block.line}: {error}") from None
        finally:
            self.close()

    def close(self) -> None:
        """End what runs in the background."""
        for process in self.background:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self.background:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _carry_out(self, block: Block) -> None:
        if block.language == "python":
            self._python(block)
        elif block.language == "console":
            for command, printed in block.commands:
                if "background" in block.options:
                    self._start(command, printed)
                else:
                    self._run(command, printed)

    def _python(self, block: Block) -> None:
        if block.file is not None:
            (self.folder / block.file).write_text(block.text, encoding="utf-8")
            return
        self.program.append(block.text)
        # Earlier blocks run again, so that each block stands where the page puts it: after files and services.
        done = self._bash(f"{sys.executable} -", "\n".join(self.program))
        assert done.returncode == 0, f"the program ended with {done.returncode}:\n{done.stdout}{done.stderr}"

    def _run(self, command: str, printed: list[str]) -> None:
        words = command.split()
        if words[0] == "make":
            command = " ".join(["make", "-n", *words[1:]])
        done = self._bash(command, "")
        said = done.stdout + done.stderr
        assert done.returncode == 0 or printed, f"{command} ended with {done.returncode}:\n{said}"
        missing = first_missing(printed, said)
        assert missing is None, f"{command} did not print {missing!r} but:\n{said}"

    def _start(self, command: str, printed: list[str]) -> None:
        log = self.folder / f"background-{len(self.background)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.folder, env=self.environment, stdout=output, stderr=output
            )
        self.background.append(process)
        deadline = time.monotonic() + SECONDS
        while (missing := first_missing(printed, log.read_text())) is not None:
            assert process.poll() is None, f"{command} ended with {process.returncode}:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{command} did not print {missing!r} but:\n{log.read_text()}"
            time.sleep(0.1)
        found = re.search(r"^Kafka +(\S+)", log.read_text(), re.MULTILINE)
        if found is not None:  # the port is another one where the usual one is taken
            self.environment["ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS"] = found[1]

    def _bash(self, command: str, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )


def first_missing(printed: list[str], said: str) -> str | None:
    """The first line that a page shows and that was not said, in this order; None when all were. `...` is any text."""
    lines = iter(said.splitlines())
    for shown in printed:
        if shown.strip() == "...":
            continue
        pattern = re.compile(r"\s+".join(re.escape(word) for word in shown.split()).replace(re.escape("..."), ".*"))
        if not any(pattern.search(line) for line in lines):
            return shown
    return None
