"""A schedule that fires every second, while the orchestrator that fires it is killed, on both brokers."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from actionbus.client import Client, schedule
from actionbus.contracts import identifiers, moments
from actionbus.contracts.events import EntryKind
from actionbus.contracts.run import RunStatus
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.provisioner import deploy
from engine.graphs import graph, put, ref
from integration import journey
from integration.installation import Installation
from integration.journey import stands, told
from integration.orders import WAIT_SECONDS, until

SECONDS = 30
TICK = graph(put("tick", ref("input", "at")), name="tick", actions=[], output=ref("steps", "tick"))

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module", params=["embedded", pytest.param("kafka", marks=pytest.mark.java)])
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One whose only workflow needs no worker."""
    kafka = request.param == "kafka"
    bootstrap = (
        request.getfixturevalue("apache_kafka").bootstrap if kafka else request.getfixturevalue("embedded_broker")
    )
    made = Installation(
        bootstrap=bootstrap,
        prefix=f"schedules-{request.param}",
        folder=tmp_path_factory.mktemp("schedules"),
        app=journey.APP,
        extra={"ACTIONBUS_ORCHESTRATOR_SESSION_TIMEOUT_MS": "6000"},
        named=True,  # who comes back under its name does not wait for its own session
    )
    try:
        made.command("topics", "apply", str(made.app))
        names, codec = Topics(made.prefix), Codec()
        judged = deploy.judge([TICK], {}, [], names)
        asyncio.run(deploy.deploy(made.connection, names, codec, judged, by="a test"))
        made.orchestrator()
        made.wait_ready()
        yield made
    finally:
        made.close()


@pytest.mark.slow
async def test_every_second_has_one_run_while_the_orchestrator_is_killed(installation: Installation) -> None:
    """None is doubled and none lost: those that nobody was there for are started as soon as somebody is."""
    (orchestrator,) = installation.services
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=SECONDS)
    ticks = schedule("tick", {}, cron="* * * * * *", overlap="allow", end_at=end, time_as="at")
    async with Client(installation.connection, installation.prefix, verdict_seconds=WAIT_SECONDS) as client:
        handle = await client.create_schedule("ticks", ticks)

        async def ticking(started: int) -> None:
            async def look() -> bool:
                standing = (await handle.state()).standing
                return standing is None or standing.started >= started

            await until(look, f"{started} runs were started")

        for started in (4, 10):
            await ticking(started)
            await asyncio.to_thread(orchestrator.kill)
            orchestrator.start()
        ended = await stands(handle.run, lambda run: run.status.ended, "has ended")
        assert ended.status is RunStatus.COMPLETED
        started = [json.loads(entry.data or b"")["run_id"] for entry in await told(handle.run, EntryKind.CHILD_STARTED)]
        created = ended.created_at // 1000 * 1000
        last = round(end.timestamp() * 1000)
        wanted = [identifiers.firing_run_id("ticks", moment) for moment in range(created + 1000, last + 1, 1000)]
        assert started == wanted
        assert len(wanted) >= SECONDS - 5
        for run_id in wanted:
            run = client.handle(run_id)
            state = await stands(run, lambda state: state.status.ended, "has ended")
            assert state.status is RunStatus.COMPLETED
            at = moments.moment(json.loads(state.output or b""))
            assert identifiers.firing_run_id("ticks", at) == run_id
            begun = await told(run, EntryKind.RUN_STARTED, EntryKind.REQUEST_REJECTED)
            assert [entry.kind for entry in begun] == [EntryKind.RUN_STARTED]
