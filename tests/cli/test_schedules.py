"""`actionbus schedules` against a whole installation."""

import json

import pytest

from cli.installed import Dev

pytestmark = pytest.mark.kafka


def _started(dev: Dev, name: str, at_least: int) -> dict:
    """The schedule, once it has started so many runs."""
    found: dict = {}

    def look() -> bool:
        found.update(dev.json("schedules", "show", name))
        return found["started"] >= at_least

    dev.until(look)
    return found


def test_a_schedule_starts_runs_until_it_is_deleted(dev: Dev) -> None:
    """Show names the next firings and the latest runs; each of these is a run like any other."""
    made = dev.json("schedules", "create", "ticks", "hello", '"Ada"', "--every", "1s", "--overlap", "allow")
    assert (made["status"], len(made["next"])) == ("RUNNING", 5)
    shown = _started(dev, "ticks", 2)
    (newest, *_) = shown["last"]
    assert newest["run_id"].startswith("ticks-20")
    assert newest["status"] == "STARTED"
    assert dev.json("runs", "result", newest["run_id"]) == "Hello, Ada!"
    assert dev.json("schedules", "delete", "ticks", "--reason", "enough")["status"] == "TERMINATED"
    assert "ended already" in dev.refused(4, "schedules", "trigger", "ticks")


def test_a_schedule_is_asked_things(dev: Dev) -> None:
    """Trigger, backfill, update, pause and resume, each with what it does to the schedule."""
    dev.json("schedules", "create", "asked", "hello", '"Ada"', "--cron", "0 7 * * *", "--tz", "Europe/Berlin")
    triggered = dev.json("schedules", "trigger", "asked")
    run_id = triggered["last"][0]["run_id"]
    assert run_id.endswith("Z-t1")
    assert dev.json("runs", "result", run_id) == "Hello, Ada!"
    dev.until(lambda: dev.json("schedules", "show", "asked")["live"] is None)
    dev.json("schedules", "backfill", "asked", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z")
    shown = _started(dev, "asked", 3)
    assert [fired["run_id"] for fired in shown["last"]][:2] == ["asked-20260102T060000Z", "asked-20260101T060000Z"]
    dev.until(lambda: dev.json("schedules", "show", "asked")["backfill_from"] is None)
    assert dev.json("schedules", "pause", "asked", "--reason", "holidays")["status"] == "PAUSED"
    assert "resume it first" in dev.refused(4, "schedules", "trigger", "asked")
    assert dev.json("schedules", "resume", "asked")["status"] == "RUNNING"
    updated = dev.json("schedules", "update", "asked", "wait@1", json.dumps("file"), "--every", "6h")
    assert (updated["workflow"], updated["every_ms"], updated["started"]) == ("wait", 21_600_000, 3)
    assert "A firing" not in dev.command("runs", "explain", "asked").stdout


def test_what_its_runs_are_refused_for_is_shown(dev: Dev) -> None:
    """The schedule goes on: the workflow may be deployed later."""
    dev.json("schedules", "create", "early", "not-yet", "--every", "1s")
    dev.until(lambda: dev.json("schedules", "show", "early")["refused"] >= 2)
    shown = dev.json("schedules", "show", "early")
    refused = next(fired for fired in shown["last"] if fired["status"] == "REFUSED")
    assert "'not-yet' is not deployed" in refused["reason"]
    assert shown["status"] == "RUNNING"
    dev.json("schedules", "delete", "early")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "say either cron or every_ms"),
        (("--cron", "99 * * * *"), "is no cron expression"),
        (("--every", "soon"), "is no duration"),
        (("--cron", "0 7 * * *", "--tz", "Mars/Olympus"), "there is no time zone"),
        (("--every", "1h", "--start-at", "2026-01-01T00:00:00"), "says no time zone"),
    ],
)
def test_what_cannot_be_a_schedule_is_refused(dev: Dev, arguments: tuple[str, ...], why: str) -> None:
    """In one sentence, before anything is asked of anybody."""
    assert why in dev.refused(2, "schedules", "create", "never", "hello", *arguments)


def test_a_run_is_no_schedule(dev: Dev) -> None:
    """And is not shown as one."""
    dev.json("runs", "start", "hello", '"Ada"', "--id", "plain", "--result")
    assert "is no schedule" in dev.refused(4, "schedules", "show", "plain")
