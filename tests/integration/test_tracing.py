"""One trace of a run over real processes, as a collector receives it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from actionbus.client import Client
from actionbus.contracts.errors import RunFailed
from integration.installation import Installation
from integration.orders import until
from support.otlp import Collector, Told, collecting

APP = Path(__file__).with_name("traced_app.py")
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that every process sends its spans to."""
    with collecting() as made:
        yield made


@pytest.fixture
def installation(broker, prefix: str, tmp_path: Path, collector: Collector) -> Iterator[Installation]:
    """Topics and definitions of the traced app; no service runs yet."""
    made = Installation(bootstrap=broker.bootstrap, prefix=prefix, folder=tmp_path, app=APP)
    made.named = broker.kind == "embedded"  # noida-db 0.2.3 keeps a dead leader until it comes back by its name
    made.extra = {**collector.environment, "ACTIONBUS_LOG_FORMAT": "json"}
    made.prepare()
    try:
        yield made
    finally:
        made.close()


async def test_a_run_is_one_connected_trace_although_its_orchestrator_was_killed(
    installation: Installation, collector: Collector
) -> None:
    """Start, commands, retries, the child's, the undo and the end have one trace id, and every span its parent."""
    orchestrator, worker = installation.orchestrator(), installation.worker()
    await asyncio.to_thread(installation.wait_ready)
    context = f"00-{TRACE}-{CALLER}-01 vendor=kept"
    async with Client(installation.connection, prefix=installation.prefix) as client:
        run = await client.start("above", "lamp", run_id="traced", trace=context)

        async def fetched() -> bool:
            sent = collector.named("send", "fetch")
            return len(collector.named("process", "fetch")) == len(sent) == 2

        await until(fetched, "both attempts to fetch are told, and who sent them")
        await asyncio.to_thread(orchestrator.kill)
        assert not collector.named("run ")
        orchestrator.start()
        await asyncio.to_thread(installation.wait_ready)
        await run.signal("go", True)
        with pytest.raises(RunFailed, match="no lamp"):
            await run.result(120)

        async def ended() -> bool:
            return len(collector.named("run ")) == 2 and bool(collector.named("process", "forget"))

        await until(ended, "both runs and the undo are told")
    ids = {span.span_id for span in collector.spans}
    assert {span.trace_id for span in collector.spans} == {TRACE}
    assert {span.state for span in collector.spans} == {"vendor=kept"}
    assert [span.name for span in collector.spans if span.parent not in ids | {CALLER}] == []
    above, child = collector.named("run above")[0], collector.named("run below")[0]
    assert (above.parent, child.parent) == (CALLER, above.span_id)
    assert above.failed
    assert above.attributes["actionbus.status"] == "FAILED"
    _check_attempts(collector, installation.prefix, above, child)
    _check_lines(worker.folder / "worker.log", collector)


def _check_attempts(collector: Collector, prefix: str, above: Told, child: Told) -> None:
    tried = collector.named("process", "fetch")
    assert [(each.failed, each.attributes["actionbus.attempt"]) for each in tried] == [
        (True, 1), (False, 2), (True, 1), (False, 2),
    ]  # fmt: skip
    sent = {each.span_id: each for each in collector.named("send", "action.fetch")}
    assert [sent[each.parent].parent for each in tried] == [above.span_id] * 2 + [child.span_id] * 2
    topic = f"{prefix}.action.fetch.commands.v1"
    assert (tried[0].name, tried[0].kind, sent[tried[0].parent].kind) == (f"process {topic}", "CONSUMER", "PRODUCER")
    assert tried[0].events == ["exception"]
    expected = {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": topic,
        "messaging.consumer.group.name": f"{prefix}.action.fetch",
        "actionbus.run_id": "traced",
        "actionbus.workflow": "above",
        "actionbus.step": "fetch",
        "actionbus.action": "fetch",
        "error.type": "NotYet",
    }
    assert expected.items() <= tried[0].attributes.items()
    own = collector.named("user code")
    assert [each.parent for each in own] == [each.span_id for each in tried]
    (undo,) = collector.named("process", "forget")
    assert undo.attributes["actionbus.command"] == "compensate"
    decided = [each.attributes["actionbus.decision"] for each in collector.named("decide")]
    assert decided.count("retry") == 2
    assert "compensate" in decided


def _check_lines(log: Path, collector: Collector) -> None:
    """What user code logged, in its thread, says which attempt it is about."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    own = [line for line in lines if line["logger"] == "user"]
    assert len([line for line in own if line["message"] == "fetching lamp"]) == 4
    assert len([line for line in own if line["message"] == "fetching as well"]) == 4
    attempts = {(each.attributes["actionbus.run_id"], each.attributes["actionbus.step"],
                 each.attributes["actionbus.attempt"]) for each in collector.named("process")}  # fmt: skip
    for line in own:
        assert (line["run_id"], line["step"], line["attempt"]) in attempts
        assert (line["trace_id"], line["workflow"] in {"above", "below"}) == (TRACE, True)


async def test_a_run_started_without_a_trace_begins_one(installation: Installation, collector: Collector) -> None:
    """The run's own span is the root of a trace that every process derives alike."""
    installation.orchestrator()
    installation.worker()
    await asyncio.to_thread(installation.wait_ready)
    async with Client(installation.connection, prefix=installation.prefix) as client:
        run = await client.start("below", "lamp", run_id="bare")
        assert await run.result(120) == "lamp"

        async def ended() -> bool:
            return bool(collector.named("run below")) and len(collector.named("process")) == 2

        await until(ended, "the run is told")
    (root,) = [span for span in collector.spans if not span.parent]
    assert root.name == "run below"
    ids = {span.span_id for span in collector.spans}
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    assert all(span.parent in ids for span in collector.spans if span is not root)


async def test_a_trace_that_is_not_sampled_is_not_told(installation: Installation, collector: Collector) -> None:
    """The flag that whoever began the trace set holds in every process; the next run is told all the same."""
    installation.orchestrator()
    installation.worker()
    await asyncio.to_thread(installation.wait_ready)
    async with Client(installation.connection, prefix=installation.prefix) as client:
        quiet = await client.start("below", "lamp", run_id="quiet", trace=f"00-{TRACE}-{CALLER}-00")
        assert await quiet.result(120) == "lamp"
        told = await client.start("below", "lamp", run_id="told", trace=f"00-{TRACE}-{CALLER}-01")
        assert await told.result(120) == "lamp"

        async def ended() -> bool:
            return bool(collector.named("run below")) and len(collector.named("process")) >= 2

        await until(ended, "the second run is told")
    assert {span.attributes.get("actionbus.run_id", "told") for span in collector.spans} == {"told"}
