"""What the tables can be asked, on SQLite and PostgreSQL."""

import pytest

from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.run import RunStatus
from actionbus.visibility.filters import RunFilter, RunSort
from actionbus.visibility.questions import Questions
from visibility import inserting

NOW = 1_800_000_000_000  # needs a bigint

FILTERS = {
    "status": (RunFilter(statuses=(RunStatus.FAILED, RunStatus.CANCELLED)), {"failed"}),
    "workflow": (RunFilter(workflow="order"), {"order"}),
    "version": (RunFilter(workflow="signup", version="2"), {"second"}),
    "started": (RunFilter(started_after=NOW + 2, started_before=NOW + 4), {"order", "second"}),
    "updated": (RunFilter(updated_after=NOW + 100), {"failed"}),
    "updated before": (RunFilter(updated_before=NOW + 2), {"first"}),
    "error's text": (RunFilter(error="box FULL"), {"failed"}),
    "error's type": (RunFilter(error="mailbox"), {"failed"}),
    "text with a wildcard": (RunFilter(error="%"), set()),
    "text of an incident": (RunFilter(error="operator"), {"order"}),
    "attribute": (RunFilter(attributes=(("customer", "c-1"),)), {"first", "second"}),
    "attributes": (RunFilter(attributes=(("customer", "c-1"), ("country", "AT"))), {"second"}),
    "incident": (RunFilter(incident=True), {"order"}),
    "no incident": (RunFilter(incident=False), {"first", "second", "failed"}),
    "parent": (RunFilter(parent="first"), {"second"}),
    "live": (RunFilter(live=True), {"first", "second", "order"}),
    "ended": (RunFilter(live=False), {"failed"}),
    "nothing": (RunFilter(workflow="nothing"), set()),
}


async def _some_runs(database):
    await inserting.run(database, "first", NOW + 1, attributes={"customer": "c-1", "country": "DE"})
    await inserting.run(
        database,
        "second",
        NOW + 2,
        definition_version="2",
        parent_run_id="first",
        attributes={"customer": "c-1", "country": "AT"},
    )
    await inserting.run(
        database,
        "order",
        NOW + 3,
        workflow="order",
        incident_reason="the operator decides",
        incident_step="pay",
        incident_since=NOW + 3,
    )
    await inserting.run(
        database,
        "failed",
        NOW + 4,
        status="FAILED",
        ended_at=NOW + 104,
        updated_at=NOW + 104,
        error_type="MailboxFull",
        error_message="the box full of mail",
    )
    await inserting.run(database, "first", NOW, generation=2, workflow="order", status="FAILED")


@pytest.mark.parametrize("name", FILTERS)
async def test_runs_are_found_by_every_filter(database, name):
    """A filter finds the runs for which it holds, of the live generation only, and counts the same ones."""
    await _some_runs(database)
    asked, expected = FILTERS[name]
    questions = Questions(database)
    assert {run.run_id for run in (await questions.runs(asked)).items} == expected
    assert (await questions.count(asked)).count == len(expected)


async def test_a_run_is_told_whole(database):
    """A row says all that is known of a run."""
    await _some_runs(database)
    await inserting.step(database, "order", "pay", action="pay", stuck="the card is refused", stuck_since=NOW + 3)
    found = await Questions(database).run("order")
    assert found.run.incident.step == "pay"
    assert found.run.duration_ms is None
    assert [step.stuck for step in found.steps] == ["the card is refused"]
    failed = (await Questions(database).run("failed")).run
    assert (failed.error.type, failed.duration_ms, failed.status) == ("MailboxFull", 100, RunStatus.FAILED)
    assert (await Questions(database).run("second")).run.attributes == {"country": "AT", "customer": "c-1"}
    assert await Questions(database).run("nobody") is None


async def test_the_latest_run_of_an_id_is_meant(database):
    """Where a run id was used again, the later run answers, unless the earlier is asked for."""
    await inserting.run(database, "daily", incarnation="z", workflow="earlier")
    await inserting.run(database, "daily", incarnation="10", workflow="later")
    questions = Questions(database)
    assert (await questions.run("daily")).run.workflow == "later"
    assert (await questions.run("daily", "z")).run.workflow == "earlier"


@pytest.mark.parametrize("sort", RunSort)
async def test_pages_hold_every_run_once(database, sort):
    """Page after page shows every run once in the order asked for, also where times are equal and runs are added."""
    for number in range(7):
        await inserting.run(database, f"run-{number}", NOW + number // 3, updated_at=NOW - number // 2)
    questions, found, cursor = Questions(database), [], None
    while True:
        page = await questions.runs(sort=sort, limit=2, cursor=cursor)
        found += [run.run_id for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
        extreme = NOW + 999 if sort.startswith("-") else NOW - 999
        await inserting.run(database, f"later-{len(found)}", extreme)
    key = {
        "started": lambda name: (int(name[4:]) // 3, name),
        "updated": lambda name: (-(int(name[4:]) // 2), name),
    }[sort.lstrip("-")]
    expected = sorted((f"run-{number}" for number in range(7)), key=key, reverse=sort.startswith("-"))
    assert found == expected


@pytest.mark.parametrize("cursor", ["", "?", "bm90aGluZw", "WyItc3RhcnRlZCIsMV0", "WyJ1cGRhdGVkIiwxLCJhIiwiYSJd"])
async def test_a_strange_cursor_is_refused(database, cursor):
    """A cursor that no page of this list gave is refused with what to do."""
    with pytest.raises(PayloadRefused, match="next_cursor"):
        await Questions(database).runs(cursor=cursor)


async def test_counts_are_told_by_status(database):
    """Counting tells how many runs there are of each status."""
    await _some_runs(database)
    counted = await Questions(database).count()
    assert (counted.count, counted.by_status) == (4, {RunStatus.RUNNING: 3, RunStatus.FAILED: 1})


async def test_a_history_is_read_in_pages(database):
    """Events come oldest first, as bytes, from a version on."""
    await inserting.run(database, "r")
    for version in range(1, 6):
        await inserting.event(database, "r", version, b"%d" % version)
    page = await Questions(database).history("r", after=1, limit=2)
    assert ([event.record for event in page.items], page.next_after) == ([b"2", b"3"], 3)
    last = await Questions(database).history("r", after=3, limit=2)
    assert ([event.version for event in last.items], last.next_after) == ([4, 5], None)
    assert await Questions(database).history("nobody") is None


async def test_tasks_are_found(database):
    """Open tasks are found by workflow, assignee and whether their time is over, the oldest first."""
    await inserting.task(database, "late", due_at=NOW - 1, assignee="ann", opened_at=2_000)
    await inserting.task(database, "said", overdue=True, assignee="bob")
    await inserting.task(database, "open", due_at=NOW + 1, workflow="signup", assignee="ann", opened_at=3_000)
    questions = Questions(database)

    async def found(**asked):
        return [task.run_id for task in (await questions.tasks(now=NOW, **asked)).items]

    assert await found() == ["said", "late", "open"]
    assert await found(overdue=True) == ["said", "late"]
    assert await found(overdue=False) == ["open"]
    assert await found(assignee="ann", workflow="order") == ["late"]
    first = await questions.tasks(now=NOW, limit=2)
    assert [task.overdue for task in first.items] == [True, True]
    assert await found(cursor=first.next_cursor) == ["open"]


async def test_incidents_are_listed_by_age(database):
    """Runs that wait for an operator come with those first that have waited longest."""
    for number in (2, 1, 3):
        await inserting.run(database, f"run-{number}", incident_reason="stuck", incident_since=NOW + number)
    await inserting.run(database, "fine")
    page = await Questions(database).incidents(limit=2)
    assert [run.run_id for run in page.items] == ["run-1", "run-2"]
    rest = await Questions(database).incidents(cursor=page.next_cursor)
    assert [run.run_id for run in rest.items] == ["run-3"]


async def test_live_runs_are_counted_by_version(database):
    """Each version of each workflow says how many of its runs have not ended."""
    await _some_runs(database)
    found = await Questions(database).live_runs()
    assert [(each.workflow, each.definition_version, each.count) for each in found] == [
        ("order", "1", 1),
        ("signup", "1", 1),
        ("signup", "2", 1),
    ]
