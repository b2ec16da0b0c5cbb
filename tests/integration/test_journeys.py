"""Runs of every shape, and all that people may ask of them, with real processes on both brokers."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from actionbus.client import Client
from actionbus.contracts.errors import Conflict, RunFailed, RunMissing
from actionbus.contracts.events import EntryKind
from actionbus.contracts.run import RunStatus
from integration import journey
from integration.installation import Installation
from integration.journey import Journeys, came, given, stands, stuck, told, waits_at
from integration.orders import WAIT_SECONDS, until

SOON_SECONDS = 10  # about as long as a killed orchestrator is away

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.java)])
def journeys(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journeys]:
    """One installation on each broker for all tests of this file."""
    kafka = request.param == "kafka"
    bootstrap = (
        request.getfixturevalue("apache_kafka").bootstrap if kafka else request.getfixturevalue("embedded_broker")
    )
    folder = tmp_path_factory.mktemp("journeys")
    made = Installation(
        bootstrap=bootstrap,
        prefix=f"journeys-{request.param}",
        folder=folder,
        app=journey.APP,
        extra={"JOURNEY_FOLDER": str(folder), "ACTIONBUS_ORCHESTRATOR_SESSION_TIMEOUT_MS": "6000"},
        named=True,  # who comes back under its name does not wait for its own session
    )
    try:
        made.command("topics", "apply", str(made.app))
        asyncio.run(journey.provide(made))
        orchestrator = made.orchestrator()
        made.worker()
        made.wait_ready()
        yield Journeys(made, orchestrator, folder)
    finally:
        made.close()


@pytest.fixture
async def client(journeys: Journeys):
    """A client of that installation."""
    installation = journeys.installation
    async with Client(installation.connection, prefix=installation.prefix, verdict_seconds=WAIT_SECONDS) as made:
        yield made


async def test_a_signal_before_the_wait_is_kept_for_it(journeys: Journeys, client: Client) -> None:
    """It comes while a step is out, waits with the run, and is what the wait gives."""
    run = await client.start("journey@1", given("early", gate="early"), run_id="early")
    await run.signal("approved", "Ada")
    shown = await journeys.runs("show", "early")
    assert [(early["signal"], early["payload"]) for early in shown["signals"]] == [("approved", "Ada")]
    journeys.mark("early.open").touch()
    assert await run.result(WAIT_SECONDS) == came("early")


async def test_a_signal_during_the_wait_ends_it(journeys: Journeys, client: Client) -> None:
    """The run says that it waits for it, and until when; then it goes on."""
    run = await client.start("journey@1", given("during"), run_id="during")
    await waits_at(run, "approval")
    (waits,) = (await journeys.runs("show", "during"))["waits_for"]
    assert waits.startswith("approval: the signal approved, until 20")
    assert (await journeys.runs("signal", "during", "approved", '"Eve"'))["signalled"] is True
    assert await run.result(WAIT_SECONDS) == came("during", approval="Eve")


async def test_a_wait_ends_with_its_time(journeys: Journeys, client: Client) -> None:
    """Nobody approves: what follows instead follows by itself, or when an operator moves the time."""
    brief = await client.start("journey@2", given("brief"), run_id="brief")
    assert await brief.result(WAIT_SECONDS) == came("brief", approval="nobody")
    moved = await client.start("journey@1", given("moved", night_ms=3_600_000), run_id="moved")
    for path in ("approval", "night"):
        await waits_at(moved, path)
        await journeys.runs("reschedule", "moved", path, "now", "--reason", "nobody is there")
    assert await moved.result(WAIT_SECONDS) == came("moved", approval="nobody")


async def test_a_signal_with_start_starts_one_run(journeys: Journeys, client: Client) -> None:
    """Asked twice with one request id there is one run with one signal, whether a program or a person asks."""
    for _ in range(2):
        run = await client.signal_with_start(
            "journey@1", "approved", "Ada", run_id="both", input=given("both", gate="both"), request_id="r"
        )
    await journeys.runs("start", "journey@1", "null", "--id", "both", "--signal", 'approved="Eve"', "--request-id", "r")
    state = await run.state()
    assert ([signal.payload for signal in state.signals], state.start_request_id) == ([b'"Ada"'], "r")
    journeys.mark("both.open").touch()
    assert await run.result(WAIT_SECONDS) == came("both")
    assert len(await told(run, EntryKind.RUN_STARTED)) == len(await told(run, EntryKind.SIGNAL_RECEIVED)) == 1


async def test_a_pause_holds_what_follows_a_step_that_is_out(journeys: Journeys, client: Client) -> None:
    """The step's result is taken in, nothing follows it until the run is resumed, then everything does."""
    run = await client.start("journey@1", given("pause", gate="pause"), run_id="pause")

    async def begun() -> bool:
        return journeys.mark("pause.begun").exists()

    await until(begun, "the step has begun")
    await run.signal("approved", "Ada")
    assert (await journeys.runs("pause", "pause", "--reason", "lunch", "--by", "a test"))["paused"] is True
    journeys.mark("pause.open").touch()
    state = await stands(run, lambda state: bool(state.held), "holds what follows")
    assert (state.status, [held.path for held in state.held]) == (RunStatus.PAUSED, ["doze"])
    assert (await journeys.runs("resume", "pause"))["resumed"] is True
    assert await run.result(WAIT_SECONDS) == came("pause")
    (paused,) = await told(run, EntryKind.RUN_PAUSED)
    assert paused.reason == "a test: lunch"


@pytest.mark.parametrize("repair", ["retry", "resume", "skip", "complete"])
async def test_a_step_that_waits_for_an_operator_is_repaired(journeys: Journeys, client: Client, repair: str) -> None:
    """A declined payment is tried again once its cause is gone, or is made by hand, and the run completes."""
    name = f"broke-{repair}"
    journeys.mark(f"{name}.broke").touch()
    run = await client.signal_with_start("journey@1", "approved", "Ada", run_id=name, input=given(name))
    assert "Declined: the card was declined" in str((await stuck(run)).incident)
    by_hand = repair in ("skip", "complete")
    if not by_hand:
        journeys.mark(f"{name}.broke").unlink()
    await journeys.runs(
        repair,
        name,
        *(["pay"] if repair != "resume" else []),
        *(['"in cash"'] if by_hand else []),
        "--reason",
        "repaired",
    )
    assert await run.result(WAIT_SECONDS) == came(name, pay="in cash" if by_hand else None)
    opened = await told(run, EntryKind.INCIDENT_OPENED, EntryKind.INCIDENT_CLOSED)
    assert [(entry.kind, entry.step) for entry in opened] == [
        (EntryKind.INCIDENT_OPENED, "pay"),
        (EntryKind.INCIDENT_CLOSED, "pay"),
    ]


async def test_a_run_goes_back_while_the_orchestrator_is_killed(journeys: Journeys, client: Client) -> None:
    """What it did is undone once and the last first, and done again; the wait that had its signal waits for another."""
    journeys.mark("back.broke").touch()
    run = await client.signal_with_start("journey@1", "approved", "Ada", run_id="back", input=given("back"))
    await stuck(run)
    journeys.mark("back.broke").unlink()
    asked = await journeys.runs("retry", "back", "--from", "bookings", "--reason", "the wrong flight")
    assert asked["retried"] is True
    await asyncio.to_thread(journeys.orchestrator.kill)
    journeys.orchestrator.start()
    await asyncio.to_thread(journeys.orchestrator.wait_ready)
    await waits_at(run, "approval")
    await run.signal("approved", "Eve")
    assert await run.result(WAIT_SECONDS) == came("back", approval="Eve")
    undone = [entry.step for entry in await told(run, EntryKind.STEP_COMPENSATED)]
    assert undone == ["pay", "bookings.flight", "bookings.hotel"]


@pytest.mark.parametrize("repair", ["retry", "skip"])
async def test_an_undo_that_waits_for_an_operator_is_repaired(journeys: Journeys, client: Client, repair: str) -> None:
    """Its failure was final, so the run stays COMPENSATING; once it is repaired the rest is undone as well."""
    name = f"strike-{repair}"
    journeys.mark(f"{name}.strike").touch()
    journeys.mark(f"{name}.bank-closed").touch()
    run = await client.signal_with_start("journey@1", "approved", "Ada", run_id=name, input=given(name))
    state = await stuck(run)
    assert (state.status, [undo.step for undo in state.compensations]) == (
        RunStatus.COMPENSATING,
        ["bookings.hotel", "bookings.flight"],
    )
    if repair == "retry":
        journeys.mark(f"{name}.bank-closed").unlink()
    await journeys.runs(repair, name, "pay", "--reason", "the bank was called")
    with pytest.raises(RunFailed, match="there is a strike"):
        await run.result(WAIT_SECONDS)
    undone = [entry.step for entry in await told(run, EntryKind.STEP_COMPENSATED)]
    assert undone == ["pay", "bookings.flight", "bookings.hotel"]


async def test_a_terminated_run_ends_and_undoes_nothing(journeys: Journeys, client: Client) -> None:
    """It ends at once while a step is out; its worker is told, and nothing that was booked is taken back."""
    run = await client.start("journey@1", given("end", gate="end"), run_id="end")

    async def begun() -> bool:
        return journeys.mark("end.begun").exists()

    await until(begun, "the step has begun")
    assert (await journeys.runs("terminate", "end", "--reason", "enough"))["terminated"] is True
    with pytest.raises(RunFailed, match="enough") as caught:
        await run.result(WAIT_SECONDS)
    assert caught.value.status == "TERMINATED"
    assert await told(run, EntryKind.COMPENSATION_SCHEDULED) == []


async def test_times_and_signals_survive_a_kill_of_the_orchestrator(journeys: Journeys, client: Client) -> None:
    """Killed while one run sleeps with a signal that came early and another waits for its own, it goes on with both."""
    sleeping = await client.signal_with_start(
        "journey@1", "approved", "Ada", run_id="sleeps", input=given("sleeps", doze_ms=3_600_000)
    )
    waiting = await client.start("journey@1", given("waits"), run_id="waits")
    before = await waits_at(sleeping, "doze")
    await waits_at(waiting, "approval")
    due = datetime.now(UTC) + timedelta(seconds=SOON_SECONDS)
    await sleeping.change_timer("doze", due)
    await asyncio.to_thread(journeys.orchestrator.kill)
    journeys.orchestrator.start()
    await asyncio.to_thread(journeys.orchestrator.wait_ready)
    await waiting.signal("approved", "Eve")
    assert await waiting.result(WAIT_SECONDS) == came("waits", approval="Eve")
    assert await sleeping.result(WAIT_SECONDS) == came("sleeps")
    (woke,) = [
        event.at
        for event in await sleeping.history()
        for entry in event.entries
        if entry.step == "doze" and entry.kind is EntryKind.WAIT_ENDED
    ]
    assert woke >= round(due.timestamp() * 1000)
    assert [signal.payload for signal in before.signals] == [b'"Ada"']


async def test_a_person_and_updates(journeys: Journeys, client: Client) -> None:
    """The form of whoever is asked, updates that are answered or refused, and what the run shows."""
    run = await client.start("counter@1", 100, run_id="counter")
    early = asyncio.create_task(run.update("add", 5))
    await waits_at(run, "limit")
    (waits,) = (await journeys.runs("show", "counter"))["waits_for"]
    assert waits == "limit: ann, who is asked for 'How much?'"
    assert (await journeys.runs("assign", "counter", "limit", "bob", "--reason", "ill"))["assigned"] is True
    with pytest.raises(Conflict, match="does not fit"):
        await run.complete_task("limit", "much")
    assert (await journeys.runs("fill", "counter", "limit", "10"))["filled"] is True
    assert await early == 105
    with pytest.raises(Conflict, match="n < limit does not hold"):
        await run.update("add", 11)
    assert await run.view("last") == 5
    assert await run.update("add", 7, request_id="seven") == 107
    await run.result(WAIT_SECONDS)
    assert await run.update("add", 7, request_id="seven") == 107
    assert await journeys.runs("view", "counter", "last") == 7


NAMES = [f"van-{number}" for number in range(5)]


async def test_a_run_waits_for_the_runs_that_it_starts(client: Client) -> None:
    """They live on several shards; what they give comes back in the order of the list."""
    run = await client.start("convoy@1", {"name": "fleet", "names": NAMES, "gate": ""}, run_id="fleet")
    assert await run.result(WAIT_SECONDS) == [f"booked {name}" for name in NAMES]
    started = await told(run, EntryKind.CHILD_STARTED)
    ended = await told(run, EntryKind.CHILD_ENDED)
    assert (len(started), len(ended)) == (len(NAMES), len(NAMES))
    child = client.handle(json.loads(started[0].data or b"")["run_id"])
    assert (await child.state()).status is RunStatus.COMPLETED


async def test_what_completed_children_did_is_taken_back(journeys: Journeys, client: Client) -> None:
    """A step after them fails for good: each is undone by what its node says, the last first."""
    journeys.mark("strike.strike").touch()
    run = await client.start("convoy@1", {"name": "strike", "names": NAMES, "gate": ""}, run_id="strike")
    with pytest.raises(RunFailed, match="there is a strike"):
        await run.result(WAIT_SECONDS)
    undone = [entry.step for entry in await told(run, EntryKind.STEP_COMPENSATED)]
    assert sorted(undone) == [f"trips[{number}]" for number in range(len(NAMES))]


async def test_children_are_undone_with_their_run_while_the_orchestrator_is_killed(
    journeys: Journeys, client: Client
) -> None:
    """The cancellation reaches every child once; the run ends after all of them have."""
    run = await client.start("convoy@1", {"name": "jam", "names": NAMES, "gate": "jam"}, run_id="jam")
    children = [client.handle(f"jam:{(await run.state()).incarnation}:trips_{n}_") for n in range(len(NAMES))]

    async def boarding() -> bool:
        try:
            return all(["board" in {step.path for step in (await each.state()).steps} for each in children])
        except RunMissing:  # one of them has not begun
            return False

    await until(boarding, "every child has booked and boards")
    await run.cancel(reason="the road is closed")
    await asyncio.to_thread(journeys.orchestrator.kill)
    journeys.orchestrator = journeys.installation.orchestrator()
    with pytest.raises(RunFailed, match="the road is closed"):
        await run.result(WAIT_SECONDS)
    journeys.mark("jam.open").touch()
    for each in children:
        assert (await each.state()).status is RunStatus.CANCELLED
        assert [entry.step for entry in await told(each, EntryKind.STEP_COMPENSATED)] == ["book"]
