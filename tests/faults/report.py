"""The table of docs/reliability.md, from the rounds that were recorded: ``python -m tests.faults.report`` writes it.

What stands around the table is written by hand.
"""

import sys
from collections.abc import Iterable
from math import ceil
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what tests share

from faults import recorded, sabotage
from faults.catalogue import FAULTS
from faults.recorded import KINDS, Record

PAGE = recorded.FOLDER / "docs" / "reliability.md"
BEGIN, END = "<!-- {} by make faults: begin -->", "<!-- {} by make faults: end -->"
COLUMNS = (
    *("fault", "injected", "workflows", "steps", "effects counted", *KINDS),
    *("in doubt", "recovery p50, p99", "rounds"),
)


def table(records: list[Record]) -> str:
    """One row for each fault that was played in the newest version on record, and what it was played on."""
    newest = max((each.version for each in records), key=_number, default="")
    records = [each for each in records if each.version == newest]
    rows = ["| " + " | ".join(COLUMNS) + " |", "| --- |" + " --: |" * (len(COLUMNS) - 1)]
    bounds = []
    for fault in FAULTS.values():
        mine = [each for each in records if each.fault == fault.id]
        if mine:
            rows.append(_row(fault.id, fault.name, mine))
            bounds.append(_bound(fault.id, mine))
    machines = sorted({f"{each.machine}; Apache Kafka {each.kafka}" for each in records})
    seeds = [f"- {id_}: {_seeds(records, id_)}" for id_ in dict.fromkeys(each.fault for each in records)]
    lines = [
        f"Version {newest}, played from {_day(records, min)} to {_day(records, max)} on {' and '.join(machines)}.",
        "",
        *rows,
        "",
        "What was injected, and what zero of so many says with 95 % confidence:",
        "",
        *(f"- **{id_}**: {FAULTS[id_].what}. {bound}".replace(". ", ".\n  ") for id_, bound in bounds),
        *_notes(records),
        "",
        "<details><summary>Seeds of the rounds</summary>",
        "",
        *seeds,
        "",
        "</details>",
    ]
    return "\n".join(lines)


def page(text: str, records: list[Record]) -> str:
    """A page with its two tables made anew: what was played, and the rules."""
    for name, made in (("made", table(records)), ("listed", sabotage.table())):
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n\n{made}\n\n{end}{after}"
    return text


def percentile(values: Iterable[int], share: float) -> int | None:
    """The smallest value that at least such a share of all does not exceed; None of nothing."""
    ordered = sorted(values)
    return ordered[ceil(share * len(ordered)) - 1] if ordered else None


def _row(id_: str, name: str, mine: list[Record]) -> str:
    sums = {kind: sum(getattr(each, kind) for each in mine) for kind in ("injected", "workflows", "steps", "effects")}
    wrong = {kind: sum(getattr(each, kind) for each in mine) for kind in KINDS}
    times = [time for each in mine for time in each.recovery_ms]
    recovery = "" if not times else f"{percentile(times, 0.5) / 1000:.1f} s, {percentile(times, 0.99) / 1000:.1f} s"
    cells = [
        f"{id_} {name}",
        *(f"{value:,}" for value in (*sums.values(), *wrong.values(), sum(each.doubted for each in mine))),
        recovery,
        str(len(mine)),
    ]
    return "| " + " | ".join(cells) + " |"


def _bound(id_: str, mine: list[Record]) -> tuple[str, str]:
    """The rule of three: none of n independent trials bounds the rate by 3/n with 95 % confidence."""
    injected = sum(each.injected for each in mine)
    wrong = sum(1 for each in mine if any(getattr(each, kind) for kind in KINDS))
    if wrong:
        return id_, f"{wrong} of {len(mine)} rounds were not clean."
    return id_, f"None of {injected:,}: less than {300 / injected:.2g} % of them do harm."


def _notes(records: list[Record]) -> list[str]:
    """What longer rounds measured beside their faults."""
    lines = [f"- **{each.fault}**, {each.seconds / 60:.0f} minutes: {each.note}" for each in records if each.note]
    return ["", "What was measured beside:", "", *lines] if lines else []


def _seeds(records: list[Record], id_: str) -> str:
    return ", ".join(f"{each.seed} ({each.injected}, {each.commit})" for each in records if each.fault == id_)


def _day(records: list[Record], which) -> str:
    return which((each.at[:10] for each in records), default="")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), recorded.read()))
