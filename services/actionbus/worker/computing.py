"""The process in which a CPU-bound action computes: one attempt after another, told and answered over a socket.

``python -m actionbus.worker.computing FD ACTION MODULE...`` is started by `processes` and ends with whoever started it.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from typing import Any, Final

from actionbus.contracts.commands import ActionCommand
from actionbus.kafka.codec import Codec
from actionbus.process import logs
from actionbus.process.settings import Settings
from actionbus.sdk import registry
from actionbus.sdk.action import Action
from actionbus.worker import answers, frames
from actionbus.worker.attempts import Attempt
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.frames import Kind
from actionbus.worker.threads import Threads

BEAT_SECONDS: Final = 0.2  # between two looks at what the attempt said of how far it is
_NO_LIMIT_MS: Final = 2**53  # its time is watched over by whoever started the process, and ends with the process


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, action: Action[..., Any]) -> None:
    """Carry out commands until the other end is closed."""
    settings, codec = Settings(), Codec()
    failures = Failures(settings.limits)  # secrets are hidden at the other end, which knows them all
    execution = Execution(
        action, limits=settings.limits, failures=failures, threads=Threads(1, action.id), store=None, processes=None
    )
    while True:
        _, body = await frames.read(reader)
        attempt = Attempt(codec.decode(ActionCommand, body).replace(start_to_close_ms=_NO_LIMIT_MS), claims=[])
        attempt.task = asyncio.create_task(_perform(execution, attempt, codec, writer))
        while not attempt.task.done():
            await asyncio.wait([attempt.task], timeout=BEAT_SECONDS)
            if attempt.beats:
                frames.write(writer, Kind.BEAT, attempt.beats.pop() or b"")
            if reader.at_eof():  # nobody is left to compute for, and a thread cannot be stopped otherwise
                os._exit(0)


async def _perform(execution: Execution, attempt: Attempt, codec: Codec, writer: asyncio.StreamWriter) -> None:
    outcome = await execution.perform(attempt)
    if attempt.beats:  # before the answer, after which nobody listens
        frames.write(writer, Kind.BEAT, attempt.beats.pop() or b"")
    result = answers.result(attempt.command, outcome, worker="", started_at=0)
    frames.write(writer, Kind.RESULT, codec.encode(result))


async def _connected(descriptor: int, action: Action[..., Any]) -> None:
    reader, writer = await asyncio.open_connection(sock=socket.socket(fileno=descriptor), limit=frames.LARGEST)
    await serve(reader, writer, action)


def main(arguments: Sequence[str]) -> None:
    """Compute for the process at the other end of a socket."""
    descriptor, action, *modules = arguments
    logs.configure(Settings().log, "worker")
    found = registry.load(*modules).actions[action]
    try:
        asyncio.run(_connected(int(descriptor), found))
    except (EOFError, ConnectionError):
        sys.exit(0)  # whoever started this has ended, or wants no more of it


if __name__ == "__main__":
    main(sys.argv[1:])
