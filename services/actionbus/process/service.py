"""What surrounds every service's own work: its name in logs and metrics, its probes, its heartbeat, its end."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from actionbus.contracts.errors import Unavailable
from actionbus.process import crashing, logs, metrics, tracing
from actionbus.process.probes import Heartbeat, Probes, Reasons
from actionbus.process.settings import Settings
from actionbus.process.shutdown import Shutdown

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def serving(name: str, settings: Settings, not_ready: Reasons) -> AsyncGenerator[Shutdown]:
    """Live as the service ``name``: do the work inside until ``requested`` is set, then finish and leave.

    Raises Unavailable when the port of the probes is taken, SettingsRefused for tracing without its extra
    and for a crash point that there is not.
    """
    logs.configure(settings.log, name)
    metrics.identify(name)
    crashing.arm(os.environ)
    async with (
        Shutdown(grace_seconds=settings.grace_seconds) as shutdown,
        Heartbeat() as heartbeat,
        tracing.told(settings.tracing, name),
    ):

        def reasons() -> list[str]:
            return [*(["shutting down"] if shutdown.requested.is_set() else []), *not_ready()]

        try:
            probes = Probes(
                settings.http.host,
                settings.http.port,
                registry=metrics.REGISTRY,
                heartbeat=heartbeat,
                stall_seconds=settings.http.stall_seconds,
                not_ready=reasons,
            )
        except OSError as error:
            where = f"{settings.http.host}:{settings.http.port}"
            raise Unavailable(f"cannot listen on {where}, set ACTIONBUS_HTTP_PORT: {error}") from error
        with probes:
            _log.info("started", probes=f"http://{settings.http.host}:{probes.port}")
            yield shutdown
        _log.info("stopped")
