"""A gateway beside an `actionbus dev`, as a process of its own over the same broker and the same views."""

import subprocess
import time
import urllib.error
import urllib.request

from cli.installed import READY_SECONDS, Dev
from support import commands
from support.ports import free_ports


class ReadSide:
    """What shows runs over HTTP."""

    def __init__(self, dev: Dev) -> None:
        self._dev = dev
        self._processes: list[commands.Begun | subprocess.Popen[bytes]] = []
        self._log = dev.folder / "read-side.log"
        self.port, self._probes = free_ports(2)

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return once it answers. The projector is the installation's own."""
        self._processes.append(self._begun("gateway", self._probes))
        self._until(f"http://127.0.0.1:{self._probes}/ready")

    def close(self) -> None:
        """End it."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()

    def _begun(self, name: str, probes: int) -> commands.Begun | subprocess.Popen[bytes]:
        environment = self._dev.variables() | {
            "ACTIONBUS_HTTP_PORT": str(probes),
            "ACTIONBUS_GATEWAY_PORT": str(self.port),
            "ACTIONBUS_VISIBILITY_URL": f"sqlite+aiosqlite:///{self._dev.folder / '.actionbus/dev' / 'visibility.db'}",
        }
        with self._log.open("ab") as log:
            return commands.begin("run", name, env=environment, cwd=self._dev.folder, log=log.fileno())

    def _until(self, address: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            assert all(each.poll() is None for each in self._processes), f"one ended:\n{self._log.read_text()[-4000:]}"
            assert time.monotonic() < deadline, f"it took too long:\n{self._log.read_text()[-4000:]}"
            try:
                with urllib.request.urlopen(address, timeout=5) as reply:  # noqa: S310 - it is made here
                    if reply.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
