"""The broker for development: noida-db as a child process on a loopback port.

It speaks real transactions, but it stores asynchronously: what was acknowledged less than some seconds ago is lost when
it is killed. Nothing that has to last may live in it.
"""

import asyncio
import atexit
import ctypes
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing
from importlib import resources, util
from pathlib import Path
from typing import Final, Self

from actionbus.contracts.errors import SettingsRefused, Unavailable

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


class EmbeddedBroker:
    """One noida-db process with its data folder. It ends with this process, also when this process is killed."""

    def __init__(self, data_dir: Path, *, port: int | None = None) -> None:
        self._data_dir = data_dir
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Host and port for clients; raises SettingsRefused before start."""
        if self._port is None:
            raise SettingsRefused("the embedded broker has no address before it is started")
        return f"{HOST}:{self._port}"

    async def start(self) -> None:
        """Start the broker and return when it takes connections.

        Call it in a thread that lasts, best the main one: Linux ends the broker with the thread that started it.
        Raises SettingsRefused when the `dev` extra is not installed, Unavailable when the broker ends or says nothing.
        """
        if self._port is None:
            self._port = _free_port()
        self._data_dir.mkdir(parents=True, exist_ok=True)
        command = [str(binary()), "start", "--only", "kafka", "--host", HOST]
        command += ["--kafka-port", str(self._port), "--data-dir", str(self._data_dir)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - a fork takes no time, and the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal sends Ctrl-C to whole groups; the broker is the last to end
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - prctl alone is safe after fork
            )
        atexit.register(self._end)
        await self._until_it_answers()

    async def stop(self) -> None:
        """Ask the broker to store everything and end; returns when it has ended."""
        atexit.unregister(self._end)
        await asyncio.to_thread(self._end)

    @property
    def log(self) -> Path:
        """What the broker printed."""
        return self._data_dir / "broker.log"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _until_it_answers(self) -> None:
        try:
            async with asyncio.timeout(START_SECONDS):
                while not await _takes_connections(self.bootstrap_servers):
                    if self._process is None or self._process.poll() is not None:
                        raise Unavailable(f"the embedded broker ended while it started: {self._last_words()}")
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            self._end()
            raise Unavailable(f"the embedded broker did not answer in {START_SECONDS:.0f} s") from error

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1000:].strip() or "it printed nothing"

    def _end(self) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def binary() -> Path:
    """The broker's program file; raises SettingsRefused when the `dev` extra is not installed."""
    if util.find_spec("noida_db") is None:
        raise SettingsRefused("the embedded broker is not installed: pip install 'actionbus[dev]', or name a Kafka")
    path = Path(str(resources.files("noida_db"))) / ("noida-db.exe" if os.name == "nt" else "noida-db")
    if not os.access(path, os.X_OK):
        path.chmod(0o755)  # wheels do not always keep the bit
    return path


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def _takes_connections(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True
