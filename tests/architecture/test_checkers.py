"""The checkers find nothing: ruff on every Python file, its formatter, and pyright in strict mode on the services."""

import json
import subprocess
import sys

from architecture.sources import ROOT

PLACES = ("services", "tests", "examples", "benchmarks")


def test_ruff_finds_nothing():
    """No rule of ruff, of which all are switched on that pyproject.toml does not switch off, is broken."""
    assert _run("ruff", "check", "--no-cache", "--output-format=concise", *PLACES) == ""


def test_every_file_is_formatted():
    """Every Python file looks as the formatter writes it; `ruff format` does it."""
    assert _run("ruff", "format", "--no-cache", "--check", *PLACES) == ""


def test_pyright_finds_nothing():
    """Pyright in strict mode accepts the services."""
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        found = json.loads(done.stdout)["generalDiagnostics"]
    except ValueError:
        raise AssertionError(f"pyright did not run: {done.stdout}{done.stderr}") from None
    lines = [f"{each['file']}:{each['range']['start']['line'] + 1}: {each['message']}" for each in found]
    assert lines == [], "\n".join(lines)


def _run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr
