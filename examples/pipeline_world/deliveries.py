"""Makes deliveries: folders of small CSV files, some of them damaged, each in one of a few ways."""

from pathlib import Path
from random import Random

HEADER = "time,sensor,value"
DAMAGES = {
    "no header": b"2026-03-01T00:00:00Z,north,1.0\n",
    "empty": f"{HEADER}\n".encode(),
    "no number": f"{HEADER}\n2026-03-01T00:00:00Z,north,warm\n".encode(),
    "infinite": f"{HEADER}\n2026-03-01T00:00:00Z,north,inf\n".encode(),
    "cut off": f"{HEADER}\n2026-03-01T00:00:00Z,north,1.0\n2026-03-01T00:0".encode(),
    "no text": b"\xff\xfe\x00" * 100,
}


def deliver(folder: Path, *, files: int, damaged: int, seed: int = 7) -> dict[str, int]:
    """Fill a folder; gives the number of rows by file, 0 for the damaged ones. The same seed makes the same files."""
    random = Random(seed)  # noqa: S311 - test data
    folder.mkdir(parents=True)
    bad = set(random.sample(range(files), damaged))
    rows: dict[str, int] = {}
    for number in range(files):
        name = f"{folder.name}-{number:03}.csv"
        rows[name] = 0 if number in bad else random.randint(1, 40)
        good = [f"2026-03-01T00:{minute:02}:00Z,north,{random.random():.3f}" for minute in range(rows[name])]
        content = random.choice([*DAMAGES.values()]) if number in bad else "\n".join([HEADER, *good]).encode()
        folder.joinpath(name).write_bytes(content)
    return rows
