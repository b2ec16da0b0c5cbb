"""Processes for functions that compute for long: they neither hold up the worker nor outlive their time.

A thread cannot be stopped, and all threads of a process share one interpreter. A process of its own is killed when its
attempt is over, and when it dies by itself the attempt has failed and the worker lives. What runs in it is `computing`.
"""

import asyncio
import socket
import sys
from collections import deque
from collections.abc import Sequence
from typing import Final

from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.results import ActionError, ActionResult, ResultKind
from actionbus.kafka.codec import Codec
from actionbus.worker import frames, outcomes
from actionbus.worker.frames import Kind
from actionbus.worker.outcomes import Deferred, Done, ErrorType, Failed, InDoubt, Outcome

_COMPUTING: Final = "actionbus.worker.computing"
_CODEC: Final = Codec()


class Processes:
    """Computing processes of one action, begun when needed and kept; the lane bounds how many work at a time."""

    def __init__(self, action: str, modules: Sequence[str]) -> None:
        self._action = action
        self._modules = modules
        self._idle: list[_Computing] = []

    async def run(self, command: ActionCommand, beats: deque[bytes | None]) -> Outcome:
        """What becomes of a command; heartbeats go into ``beats``. Cancelled, the process is killed."""
        computing = self._idle.pop() if self._idle else await _Computing.start(self._action, self._modules)
        try:
            result = await computing.compute(command, beats)
        except EOFError:
            code = await computing.code()
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            return outcomes.failed(ErrorType.PROCESS_DIED, f"the process of the attempt {how}", retryable=True)
        except BaseException:
            await asyncio.shield(computing.end())
            raise
        self._idle.append(computing)
        return _outcome(result)

    async def close(self) -> None:
        """End the idle ones; whoever is busy is ended by the cancellation of its attempt."""
        idle, self._idle = self._idle, []
        for computing in idle:
            await computing.end()


class _Computing:
    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, action: str, modules: Sequence[str]) -> "_Computing":
        """A process that has imported the modules, or will have when its first command comes."""
        ours, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", _COMPUTING, str(descriptor), action, *modules,
                pass_fds=[descriptor], stdin=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        reader, writer = await asyncio.open_connection(sock=ours, limit=frames.LARGEST)
        return cls(process, reader, writer)

    async def compute(self, command: ActionCommand, beats: deque[bytes | None]) -> ActionResult:
        """The result of a command; raises EOFError when the process dies."""
        try:
            frames.write(self._writer, Kind.COMMAND, _CODEC.encode(command))
            while True:
                kind, body = await frames.read(self._reader)
                if kind is Kind.RESULT:
                    return _CODEC.decode(ActionResult, body)
                beats.append(body or None)
        except ConnectionError as error:
            raise EOFError from error

    async def code(self) -> int:
        """The exit code of a process that hung up."""
        self._writer.close()
        return await self._process.wait()

    async def end(self) -> None:
        """Kill it, whatever it does."""
        self._writer.close()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


def _outcome(result: ActionResult) -> Outcome:
    match result.kind:
        case ResultKind.SUCCEEDED:
            return Done(output=result.output or b"null", emits=result.emits)
        case ResultKind.DEFERRED:
            return Deferred(emits=result.emits)
        case ResultKind.IN_DOUBT if result.error is not None:
            return InDoubt(error=result.error)
        case _:
            return Failed(error=result.error or ActionError(type=ErrorType.PROCESS_DIED, message="", retryable=True))
