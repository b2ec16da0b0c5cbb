"""The published table is what the recorded rounds say."""

from dataclasses import replace

from faults import recorded, report
from faults.recorded import Record

ROUND = Record(
    fault="T04/worker",
    injected=50,
    workflows=1_000,
    steps=6_000,
    effects=6_100,
    lost=0,
    doubled=0,
    partial=0,
    uncompensated=0,
    disordered=0,
    unfinished=0,
    doubted=3,
    recovery_ms=[1_000, 2_000, 9_000],
    seed=7,
    seconds=60,
    at="2026-11-26T10:00:00+00:00",
    version="1.0.0",
    commit="abc",
    kafka="4.3.0",
    machine="2 cores",
)


def test_the_page_is_current() -> None:
    """Who plays rounds writes the page as well: `make faults` does both."""
    text = report.PAGE.read_text()
    assert report.page(text, recorded.read()) == text


def test_rounds_are_summed_up_by_fault_and_bounded_by_the_rule_of_three() -> None:
    """None of 100 is less than 3 % with 95 % confidence."""
    text = report.table([ROUND, ROUND])
    assert (
        "| T04/worker worker killed | 100 | 2,000 | 12,000 | 12,200 | 0 | 0 | 0 | 0 | 0 | 6 | 2.0 s, 9.0 s | 2 |"
        in text
    )
    assert "None of 100: less than 3 % of them do harm." in text


def test_what_went_wrong_is_not_hidden() -> None:
    """A round with a finding counts in its row, and the bound is not claimed."""
    text = report.table([ROUND, replace(ROUND, lost=2)])
    assert "| 2 | 0 | 0 | 0 | 0 |" in text
    assert "1 of 2 rounds were not clean" in text
    assert "None of" not in text


def test_what_a_round_measured_beside_is_told() -> None:
    """Slopes of a long round stand below the table, with how long it was."""
    assert "- **T04/worker**, 1 minutes: RSS is flat" in report.table([replace(ROUND, note="RSS is flat")])
    assert "measured beside" not in report.table([ROUND])


def test_only_the_newest_version_counts() -> None:
    """Rounds of an older version say nothing about this one; 1.10 is newer than 1.9."""
    older = replace(ROUND, version="0.9.0")
    newer = replace(ROUND, version="0.10.0")
    assert "Version 0.10.0" in report.table([older, newer])
    assert "| 50 |" in report.table([older, newer])


def test_records_come_back_as_they_were_kept(tmp_path) -> None:
    """A dose that was interrupted goes on from what is in the file."""
    path = tmp_path / "records.jsonl"
    recorded.append(ROUND, path)
    recorded.append(ROUND, path)
    assert recorded.read(path) == [ROUND, ROUND]
