"""What `actionbus dev` runs for people who look: the projector and the gateway, where their extras are installed.

Nothing else of an installation depends on them, so what keeps one of them from running is said, and the rest goes on.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from actionbus.cli import output
from actionbus.contracts.errors import ActionbusError, Unavailable
from actionbus.process.settings import Settings

if TYPE_CHECKING:
    from actionbus.gateway.service import Gateway


READY_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.05


class Readers:
    """The projector and the gateway of one installation; ``address`` is None without a gateway."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._gateway = _gateway(settings)
        self.address = None if self._gateway is None else self._gateway.address

    async def ready(self) -> None:
        """Wait until the gateway answers; for a while, and never for long: the rest does not need it."""
        if self._gateway is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(READY_SECONDS):
                while self._gateway.not_ready():  # noqa: ASYNC110 - probes look at it in the same way
                    await asyncio.sleep(LOOK_SECONDS)

    async def serve(self, ended: asyncio.Event) -> None:
        """Run both until ``ended`` is set."""
        await asyncio.gather(self._project(ended), self._answer(ended))

    async def _project(self, ended: asyncio.Event) -> None:
        try:
            from actionbus.projector.service import Projector  # of the extra `projector`
        except ModuleNotFoundError:
            return
        try:
            await Projector(self._settings).serve(ended)
        except ActionbusError as error:
            output.note(f"the view of runs is not written: {error}")

    async def _answer(self, ended: asyncio.Event) -> None:
        if self._gateway is None:
            return
        try:
            await self._gateway.serve(ended)
        except ActionbusError as error:
            output.note(f"the gateway does not answer: {error}")


def _gateway(settings: Settings) -> "Gateway | None":
    """A gateway that has its port: the one that was asked for, else the usual one, else any."""
    try:
        from actionbus.gateway.service import Gateway  # of the extra `gateway`
    except ModuleNotFoundError:
        return None
    made = Gateway(settings)
    try:
        made.bind()
    except Unavailable:
        if "port" in settings.gateway.model_fields_set:
            raise
        made.port = 0
        made.bind()
    return made
