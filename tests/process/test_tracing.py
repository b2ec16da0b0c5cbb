"""Traces are said where an installation asks for it, and nowhere else anything of them is there."""

import asyncio
import subprocess
import sys
import threading

import pytest
from opentelemetry.util._once import Once

from actionbus.contracts.errors import SettingsRefused
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.process import tracing
from actionbus.process.http_spans import HttpSpans
from actionbus.process.tracing_settings import TracingSettings
from support.otlp import collecting

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUEST = WorkflowRequest(request_id="q", run_id="r", kind=RequestKind.START, workflow="w", requested_at=0)
SCOPE = {"type": "http", "method": "POST", "path": "/v1/runs", "headers": [(b"traceparent", CALLER.encode())]}
ON = TracingSettings(enabled=True, flush_seconds=30)


@pytest.fixture(autouse=True)
def _own_provider(monkeypatch):
    """A process has one provider for ever, which whatever runs after these tests must not meet: it would begin traces."""
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", None)
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER_SET_ONCE", Once())


@pytest.fixture
def collector(monkeypatch):
    with collecting() as made:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", made.endpoint)
        yield made


async def post(answer=201):
    """One request to an application that asks for a run; the trace that its request record would carry."""
    given, sent = [], []

    async def app(_scope, _receive, send):
        with tracing.asking("requests", REQUEST, None) as trace:
            given.append(trace)
        await send({"type": "http.response.start", "status": answer})

    async def send(message):
        sent.append(message)

    await HttpSpans(app)(dict(SCOPE), None, send)
    assert sent == [{"type": "http.response.start", "status": answer}]
    return given[0]


def test_nothing_is_imported_where_nobody_asks():
    """Every service of an installation without tracing runs without a module of OpenTelemetry."""
    script = (
        "import sys, asyncio\n"
        "import actionbus.orchestrator.service, actionbus.worker.service, actionbus.client, actionbus.cli.main\n"
        "from actionbus.process import tracing, http_spans\n"
        "from actionbus.process.tracing_settings import TracingSettings\n"
        "async def main():\n"
        "    async with tracing.told(TracingSettings(), 'worker'):\n"
        "        print(tracing.active() is tracing.SILENT, [each for each in sys.modules if 'opentelemetry' in each])\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["True", "[]"]


async def test_the_extra_is_asked_for(monkeypatch):
    """Where tracing is wanted and OpenTelemetry is missing, the process says what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingsRefused, match=r"actionbus\[otel\]"):
        async with tracing.told(ON, "worker"):
            pass


async def test_the_standard_switch_holds(monkeypatch, collector):
    """OTEL_SDK_DISABLED=true turns spans off, whatever our own setting says."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    async with tracing.told(ON, "gateway"):
        assert tracing.active() is tracing.SILENT
        assert (await post())[:36] == CALLER[:36]
    assert collector.spans == []


async def test_an_http_request_begins_the_trace_of_its_run(collector):
    """Caller, HTTP request and the request to the orchestrator are one branch; the last spans leave at the end."""
    async with tracing.told(ON, "gateway"):
        carried = await post(answer=503)
    (http,), (sent,) = collector.named("POST"), collector.named("send requests")
    assert (http.kind, http.service, http.parent) == ("SERVER", "actionbus-gateway", CALLER[36:52])
    assert (http.attributes["http.response.status_code"], http.failed) == (503, True)
    assert (sent.parent, sent.kind) == (http.span_id, "PRODUCER")
    assert carried == f"00-{http.trace_id}-{sent.span_id}-01"
    assert tracing.INCOMING.get() is None


async def test_without_tracing_the_callers_trace_is_passed_on():
    """A gateway that makes no spans still joins the run to the trace of whoever called it."""
    assert (await post())[:36] == CALLER[:36]


@pytest.mark.usefixtures("collector")
async def test_the_sampler_decides_of_traces_that_begin_here(monkeypatch):
    """A run without a trace is kept or not as OTEL_TRACES_SAMPLER says, and its flag tells all other processes."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    async with tracing.told(ON, "orchestrator"):
        assert tracing.active().beginning("r:0", None).endswith("-00")
        assert tracing.active().beginning("r:0", CALLER) == CALLER
    monkeypatch.delenv("OTEL_TRACES_SAMPLER")
    async with tracing.told(ON, "orchestrator"):
        assert tracing.active().beginning("r:0", None).endswith("-01")


@pytest.mark.usefixtures("collector")
async def test_what_a_schedule_starts_has_a_trace_of_its_own():
    """A schedule lives for years: each of its runs begins a trace, while a child goes on below its parent."""
    async with tracing.told(ON, "orchestrator"):
        assert tracing.active().handed_on("s:0", "actionbus-schedule", CALLER) is None
        below = tracing.active().handed_on("r:0", "order", CALLER)
    assert (below[:36], below != CALLER) == (CALLER[:36], True)


async def test_a_collector_that_is_away_ends_nothing_late(monkeypatch):
    """The end of a process waits for its last spans no longer than it is told to."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")  # seconds, after which it gives up on its own
    async with tracing.told(TracingSettings(enabled=True, flush_seconds=0), "gateway"):
        await post()
    assert tracing.active() is tracing.SILENT
    for thread in [each for each in threading.enumerate() if each.name == "last-spans"]:
        await asyncio.to_thread(thread.join)  # or what it says would follow the last word of the test run
