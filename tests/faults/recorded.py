"""What was played, one line of JSON for each round, so that a long dose goes on where it was interrupted."""

import json
import os
import platform
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from faults.fault import Fault, Outcome
from support import kafka_jars

FOLDER = Path(__file__).parents[2]
RECORDS = FOLDER / "docs" / "reliability.jsonl"
FOUND_CHARACTERS = 2_000  # of what was found in one round, in the record of it


@dataclass(frozen=True, kw_only=True)
class Record:
    """One round, as it is kept."""

    fault: str
    injected: int
    workflows: int
    steps: int
    effects: int
    lost: int
    doubled: int
    partial: int
    uncompensated: int
    disordered: int
    unfinished: int
    doubted: int
    recovery_ms: list[int]
    seed: int
    seconds: int
    at: str
    version: str
    commit: str
    kafka: str
    machine: str
    found: str = ""
    note: str = ""


def record(fault: Fault, outcome: Outcome, *, seed: int, seconds: float, at: str) -> Record:
    """What is kept of a round that was played just now."""
    words = "\n".join(f"{kind}: {'; '.join(texts)}" for kind, texts in outcome.faults.items())
    return Record(
        fault=fault.id,
        injected=outcome.injected,
        workflows=outcome.workflows,
        steps=outcome.steps,
        effects=outcome.effects,
        **{kind: len(outcome.faults.get(kind, ())) for kind in KINDS},
        unfinished=outcome.unfinished,
        doubted=outcome.doubted,
        recovery_ms=list(outcome.recovery_ms),
        seed=seed,
        seconds=round(seconds),
        at=at,
        version=version("actionbus"),
        commit=_commit(),
        kafka=kafka_jars.VERSION,
        machine=f"{os.cpu_count()} cores, {_memory()} GiB, {platform.system()}",
        found=words[:FOUND_CHARACTERS],
        note=outcome.note,
    )


KINDS = ("lost", "doubled", "partial", "uncompensated", "disordered")


def append(made: Record, path: Path = RECORDS) -> None:
    """Keep it, in one write."""
    with path.open("a") as file:
        file.write(json.dumps(asdict(made)) + "\n")


def read(path: Path = RECORDS) -> list[Record]:
    """Everything that was kept, oldest first."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Record(**json.loads(line)) for line in lines]


def injected(records: list[Record]) -> Counter[str]:
    """How often each fault was injected, by its number, in the version that is installed."""
    found: Counter[str] = Counter()
    for each in records:
        if each.version == version("actionbus"):
            found[each.fault] += each.injected
    return found


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False, cwd=FOLDER
    )
    return asked.stdout.strip()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
