"""Where spans go: by OTLP over HTTP to a collector, sampled and batched as the standard ``OTEL_`` variables say.

Exporting happens in a thread of its own. A collector that is slow or away costs spans, never the work they tell of.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import trace as otel
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from actionbus.process.spans import SCOPE, Spans

RUN: Final = "run"  # what a sampler is told of a trace that begins here


class DerivedIds(RandomIdGenerator):
    """Random ids, but for a span whose id was fixed just before by the same thread."""

    def __init__(self) -> None:
        self._fixed = threading.local()

    def fix(self, span_id: str, trace_id: str) -> None:
        """The next span that this thread makes has this id, and if it is a root, begins this trace."""
        self._fixed.span_id = int(span_id, 16)
        self._fixed.trace_id = int(trace_id, 16) if trace_id else None

    def generate_span_id(self) -> int:
        """The fixed id, once."""
        fixed: int | None = getattr(self._fixed, "span_id", None)
        self._fixed.span_id = self._fixed.trace_id = None
        return super().generate_span_id() if fixed is None else fixed

    def generate_trace_id(self) -> int:
        """The fixed trace; the span's id is asked for after it."""
        fixed: int | None = getattr(self._fixed, "trace_id", None)
        return super().generate_trace_id() if fixed is None else fixed


@asynccontextmanager
async def exporting(service: str, *, flush_seconds: float) -> AsyncGenerator[Spans]:
    """Spans that are exported while inside, and what is left of them at the end, within the time given for it."""
    ids = DerivedIds()
    named = Resource.create({"service.name": f"actionbus-{service}", "service.version": version(SCOPE)})
    provider = TracerProvider(
        resource=named.merge(OTELResourceDetector().detect()),  # what the environment says wins
        id_generator=ids,
        shutdown_on_exit=False,  # it would wait for a collector that is away, however long that takes
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    if isinstance(otel.get_tracer_provider(), otel.ProxyTracerProvider):
        otel.set_tracer_provider(provider)  # so that what instruments user code says its spans here as well

    def keeps(trace_id: int) -> bool:
        return provider.sampler.should_sample(None, trace_id, RUN).decision.is_sampled()

    try:
        yield Spans(provider.get_tracer(SCOPE, version(SCOPE)), ids, keeps)
    finally:
        await _shut_down(provider, flush_seconds)


async def _shut_down(provider: TracerProvider, seconds: float) -> None:
    """Send what is left, in a thread that keeps nobody from ending."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def work() -> None:
        provider.shutdown()
        try:
            loop.call_soon_threadsafe(done.set)
        except RuntimeError:  # nobody waits any more
            return

    threading.Thread(target=work, name="last-spans", daemon=True).start()
    try:
        await asyncio.wait_for(done.wait(), seconds)
    except TimeoutError:
        return
