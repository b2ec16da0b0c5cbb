"""Runs on this machine's disk, in RocksDB: a cache of the state topic that survives a restart.

Runs and mark are written in one batch, without RocksDB's own log: after a crash the newest batches are gone together,
and the mark is an older one from which the state topic is read on. Whoever opens a shelf checks its mark first.
"""

import shutil
import struct
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from rocksdict import Options, Rdict, WriteBatch, WriteOptions

from actionbus.contracts.errors import Doubt
from actionbus.orchestrator.store import Mark, MemoryShelf, Shelf

RUN: Final = b"r"  # before a run id
MARK: Final = b"m"
_OFFSET: Final = struct.Struct(">q")
WRITE_BUFFER_BYTES: Final = 33_554_432
LOG_FILES: Final = 2
LOG_FILE_BYTES: Final = 1_048_576
IN_USE: Final = "/LOCK: "  # the file that RocksDB could not lock; a damaged block is told of with "block"

_log = structlog.get_logger(__name__)


class DiskShelf:
    """The runs of one shard in one folder. One process at a time may hold it.

    A shelf that cannot be read raises Doubt, and is gone once it is closed: the next takeover begins with an empty one.
    """

    def __init__(self, folder: Path) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(create_if_missing=True)
        options.set_write_buffer_size(WRITE_BUFFER_BYTES)
        options.set_keep_log_file_num(LOG_FILES)
        options.set_max_log_file_size(LOG_FILE_BYTES)
        self._folder = folder
        self._damaged = False
        self._store = Rdict(str(folder), options)
        unlogged = WriteOptions()
        unlogged.disable_wal = True  # pyright: ignore[reportAttributeAccessIssue] - the stub takes the setter for a method
        self._store.set_write_options(unlogged)

    def get(self, run_id: str) -> bytes | None:
        """The bytes of a run."""
        with self._watched():
            return self._store.get(RUN + run_id.encode())

    def write(self, changes: Mapping[str, bytes | None], mark: Mark | None) -> None:
        """Put or remove runs, and move the mark, all of it or nothing."""
        batch = WriteBatch(raw_mode=True)
        for run_id, value in changes.items():
            if value is None:
                batch.delete(RUN + run_id.encode())
            else:
                batch.put(RUN + run_id.encode(), value)
        if mark is not None:
            batch.put(MARK, _OFFSET.pack(mark.offset) + mark.value)
        with self._watched():
            self._store.write(batch)

    def mark(self) -> Mark | None:
        """Up to where the shelf is complete."""
        with self._watched():
            found: bytes | None = self._store.get(MARK)
        if found is None:
            return None
        (offset,) = _OFFSET.unpack_from(found)
        return Mark(offset=offset, value=found[_OFFSET.size :])

    def values(self) -> Iterator[bytes]:
        """Every run."""
        with self._watched():
            reading = self._store.iter()
            reading.seek(RUN)
            while reading.valid():
                yield reading.value()
                reading.next()
            reading.status()  # a damaged block ends the reading like the last run does: only this says which it was

    def wipe(self) -> None:
        """Forget everything."""
        with self._watched():
            self._store.delete(MARK)
            self._store.delete_range(RUN, RUN[:-1] + bytes([RUN[-1] + 1]))

    def close(self) -> None:
        """Write what is in memory to disk, and let others open it."""
        try:
            if not self._damaged:
                self._store.flush()
            self._store.close()
        except Exception as error:  # noqa: BLE001 - the library raises nothing more precise
            _log.warning("the local cache could not be closed", folder=str(self._folder), error=str(error))
            self._damaged = True
        if self._damaged:
            shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def _watched(self) -> Generator[None]:
        try:
            yield
        except Exception as error:
            self._damaged = True
            raise Doubt(f"the local cache in {self._folder} failed: {error}") from error


def open_shelf(folder: Path) -> Shelf:
    """The shelf in a folder; one that is damaged is made anew, and where none can be had memory serves instead."""
    try:
        return DiskShelf(folder)
    except Exception as error:  # noqa: BLE001 - the library raises nothing more precise
        if IN_USE in str(error):
            _log.warning("the local cache is in use by another process, memory serves instead", folder=str(folder))
            return MemoryShelf()
        _log.warning("the local cache is damaged and is made anew", folder=str(folder), error=str(error))
    try:
        shutil.rmtree(folder, ignore_errors=True)
        return DiskShelf(folder)
    except Exception as error:  # noqa: BLE001 - the same: a full or read-only disk must not stop a shard
        _log.warning("there is no local cache, memory serves instead", folder=str(folder), error=str(error))
        return MemoryShelf()
