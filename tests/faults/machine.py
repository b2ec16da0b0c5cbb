"""What a fault needs of the machine itself, and not every machine permits: small disks, networks, a compiler."""

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from faults.fault import NotHere
from support.apache_kafka import Place

_MEBIBYTE = 1_048_576
_CGROUPS = Path("/sys/fs/cgroup")


def run(command: Sequence[str | Path], why: str) -> None:
    """Run a command to its end; raises NotHere when it cannot be run or is refused."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (FileNotFoundError, PermissionError) as error:
        raise NotHere(f"{why}: {error}") from error
    except subprocess.CalledProcessError as error:
        raise NotHere(f"{why}: {error.stderr.strip()}") from error


@dataclass
class SmallDisk:
    """A file system of its own in a folder."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Leave not one byte free."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for size in (_MEBIBYTE, 4_096, 1):
                try:
                    while ballast.write(bytes(size)) == size:
                        pass
                except OSError:  # the disk is full for blocks of this size
                    continue

    def free(self) -> None:
        """Give back what filled it."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """A disk of that size in memory, mounted on a folder; raises NotHere where nothing may be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={mebibytes}m,mode=0777"
    run(["mount", "-t", "tmpfs", "-o", options, "actionbus-test", folder], "no disk can be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: what was killed just now may still be letting go.
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def small_memory(name: str, mebibytes: int) -> Iterator[Callable[[int], None]]:
    """A group whose processes, given by their ids, are ended by the kernel when they take more than so much memory.

    Raises NotHere where no such group can be made.
    """
    old = _CGROUPS / "memory"
    group = (old if old.is_dir() else _CGROUPS) / f"actionbus-{os.getpid()}-{name}"
    limits = ("memory.limit_in_bytes",) if old.is_dir() else ("memory.max", "memory.swap.max")
    try:
        group.mkdir()
        for limit in limits:
            (group / limit).write_text(str(mebibytes * _MEBIBYTE if limit != "memory.swap.max" else 0))
    except OSError as error:
        with suppress(OSError):
            group.rmdir()
        raise NotHere(f"memory cannot be limited here: {error}") from error

    def admit(pid: int) -> None:
        (group / "cgroup.procs").write_text(str(pid))

    try:
        yield admit
    finally:
        with suppress(OSError):  # who is in it still may end later than this
            group.rmdir()


@dataclass
class Networks:
    """Networks with one address each, joined by a bridge that this machine is at as well; none leads anywhere else."""

    names: list[str]
    places: list[Place]

    def part(self, numbers: Sequence[int]) -> None:
        """Let no two of these networks hear each other; everybody else hears all of them."""
        for number in numbers:
            self._port(number, "type", "bridge_slave", "isolated", "on")

    def unplug(self, number: int) -> None:
        """Let nobody hear this network."""
        self._port(number, "down")

    def mend(self) -> None:
        """Join all again."""
        for number in range(len(self.names)):
            self._port(number, "up", "type", "bridge_slave", "isolated", "off")

    def _port(self, number: int, *change: str) -> None:
        subprocess.run(["ip", "link", "set", self.names[number], *change], check=True)


@contextmanager
def networks(count: int) -> Iterator[Networks]:
    """So many networks; raises NotHere where none can be made. What runs in them has to end before they do."""
    mine = os.getpid() % 65_536  # two processes that play faults at the same time meet neither in names nor addresses
    bridge, net = f"ab{mine}", f"10.{mine // 256}.{mine % 256}"
    made = Networks(
        [f"ab{mine}-{number}" for number in range(count)],
        [Place(f"{net}.{number + 1}", ("ip", "netns", "exec", f"ab{mine}-{number}")) for number in range(count)],
    )
    why = "no networks can be made here"
    try:
        run(["ip", "link", "add", bridge, "type", "bridge"], why)
        run(["ip", "address", "add", f"{net}.254/24", "dev", bridge], why)
        run(["ip", "link", "set", bridge, "up"], why)
        for name, place in zip(made.names, made.places, strict=True):
            run(["ip", "netns", "add", name], why)
            run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name], why)
            run(["ip", "link", "set", name, "up", "master", bridge], why)
            run(["ip", "-n", name, "address", "add", f"{place.host}/24", "dev", "eth0"], why)
            for device in ("lo", "eth0"):
                run(["ip", "-n", name, "link", "set", device, "up"], why)
        yield made
    finally:
        for name in made.names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", bridge], check=False, capture_output=True)
