"""Schedules as a program writes them, and how they stand. What is asked of them is tried in tests/cli."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from actionbus import workflow
from actionbus.client import schedule, scheduling
from actionbus.contracts import moments, payloads
from actionbus.contracts.errors import Conflict, DefinitionRefused, PayloadRefused
from actionbus.contracts.run import RunStatus
from actionbus.contracts.schedules import Overlap
from contracts import samples
from engine.test_schedule import FIRST, MINUTE, Clockwork


@workflow(id="greet-all", version="3")
def greet_all(flow, names: list[str]) -> list[str]:  # noqa: ARG001 - it does nothing with it
    """Gives back what it was given."""
    return names


def test_a_schedule_is_written_in_words():
    """Durations and moments as everywhere; what is not said has its default."""
    made = schedule(
        "report@2",
        {"n": 1},
        every="90s",
        start_at=datetime(2026, 3, 29, 1, tzinfo=ZoneInfo("Europe/Berlin")),
        overlap="queue",
        catch_up="5m",
        jitter=2,
    )
    assert (made.workflow, made.version, made.input) == ("report", "2", {"n": 1})
    assert (made.every_ms, made.catch_up_ms, made.jitter_ms, made.overlap) == (90_000, 300_000, 2_000, Overlap.QUEUE)
    assert made.start_at == moments.moment("2026-03-29T00:00:00Z")


def test_a_workflow_as_code_checks_the_input():
    """Its newest version is started, whatever version the code has."""
    made = schedule(greet_all, ["Ada"], cron="0 7 * * *")
    assert (made.workflow, made.version) == ("greet-all", None)
    with pytest.raises(PayloadRefused):
        schedule(greet_all, 7, cron="0 7 * * *")


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, PayloadRefused),
        ({"every": "soon"}, DefinitionRefused),
        ({"every": "1h", "end_at": datetime(2026, 1, 1)}, PayloadRefused),  # noqa: DTZ001 - that is what is refused
        ({"every": "1h", "overlap": "explode"}, PayloadRefused),
    ],
)
def test_what_makes_no_sense_is_refused(fields, error):
    """Where it is written."""
    with pytest.raises(error):
        schedule("report", **fields)


def test_how_a_schedule_stands_is_read_from_its_run():
    """Its next firings among it; once it has ended there are none."""
    clock = Clockwork(overlap="allow")
    state = scheduling.state_of(clock.run)
    assert state.upcoming(2) == [FIRST, FIRST + MINUTE]
    assert (state.schedule_id, state.status) == ("nightly", RunStatus.RUNNING)
    clock.terminates()
    ended = scheduling.state_of(clock.run)
    assert (ended.status, ended.upcoming(), ended.schedule) == (RunStatus.TERMINATED, [], None)


def test_another_run_is_no_schedule():
    """Whoever mixes up ids is told so."""
    with pytest.raises(Conflict, match="is no schedule but a run of"):
        scheduling.state_of(samples.RUN)


def test_a_schedule_begins_at_no_earlier_time_than_it_is_written():
    """What is written is what is sent: JSON that says the same when it is read."""
    made = schedule("report", every="1h", start_at=datetime(2026, 1, 1, tzinfo=UTC))
    sent = payloads.decode(payloads.encode(made.model_dump(mode="json")))
    assert scheduling.schedules.schedule(sent) == made
