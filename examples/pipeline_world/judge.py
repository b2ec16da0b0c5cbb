"""The judge of the pipeline: it compares files and rows, and knows nothing of actionbus."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class World:
    """What is there of one delivery: files by name."""

    waiting: frozenset[str] = frozenset()  # still in their folder
    quarantined: dict[str, str] = field(default_factory=dict)  # with the reason
    rows: Counter[str] = field(default_factory=Counter)  # in the database
    summaries: tuple[tuple[int, int, int], ...] = ()  # files loaded, files set aside, rows


def look(folder: Path, quarantine: Path, database: Path) -> World:
    """Read the world as it is now."""
    prefix = f"{folder}/"
    rows = _rows(database, "SELECT file, count(*) FROM measurements GROUP BY file")
    summaries = _rows(database, "SELECT folder, loaded, quarantined, rows FROM deliveries")
    return World(
        waiting=frozenset(file.name for file in folder.glob("*.csv")),
        quarantined={file.name: _reason(file) for file in quarantine.glob("*.csv")},
        rows=Counter({file.removeprefix(prefix): count for file, count in rows if file.startswith(prefix)}),
        summaries=tuple(counts for of, *counts in summaries if of == str(folder)),
    )


def violations(delivered: Mapping[str, int], world: World, *, completed: bool) -> Iterator[str]:
    """Every way in which the world is not what the end of the run promises; nothing when all is well.

    ``delivered`` are the rows by file, 0 for damaged ones.
    """
    good = {name: rows for name, rows in delivered.items() if rows}
    bad = delivered.keys() - good.keys()
    for name in sorted(delivered):
        if (name in world.waiting) + (name in world.quarantined) != 1:
            yield f"{name} is not in exactly one place"
    for name, reason in sorted(world.quarantined.items()):
        if name not in bad:
            yield f"{name} is in quarantine and was not damaged"
        if not reason:
            yield f"{name} is in quarantine without a reason"
    due = good if completed else {}
    for name in sorted(delivered.keys() | world.rows.keys()):
        if world.rows[name] != due.get(name, 0):
            yield f"{name}: {world.rows[name]} rows in the database, not {due.get(name, 0)}"
    if completed:
        yield from (f"{name} is damaged and not in quarantine" for name in sorted(bad - world.quarantined.keys()))
    summary = ((len(good), len(bad), sum(good.values())),) if completed else ()
    if tuple(map(tuple, world.summaries)) != summary:
        yield f"the summaries are {world.summaries}, not {summary}"


def _reason(file: Path) -> str:
    beside = file.with_suffix(".reason")
    return beside.read_text(encoding="utf-8").strip() if beside.is_file() else ""


def _rows(database: Path, query: str) -> list[tuple[str, ...]]:
    """What a query finds; nothing where the database or its table is not there yet."""
    if not database.is_file():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return []
