"""Where Apache Kafka comes from: Maven resolves the pom beside this file into the user's cache, once.

Starting a broker from what is found here is `apache_kafka`'s affair.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")
VERSION = re.findall(r"<version>([\d.]+)</version>", POM.read_text())[0]


class JavaMissing(Exception):
    """Java or Maven is not installed on this machine."""


def java() -> str:
    """The java command; raises JavaMissing."""
    return _command("java")


def jars() -> Path:
    """The folder with all jars, filled on first use; raises JavaMissing."""
    java()
    return kept("", _resolve)


def kept(name: str, fill: Callable[[Path], None]) -> Path:
    """A folder in the user's cache that belongs to these jars, filled on first use.

    Its name carries the hash of the pom, so a changed pom never meets old files. It is filled under another name and
    renamed when it is whole: a run that was cut off leaves nothing that looks complete. One process at a time fills,
    as Maven's own cache is not made for several.
    """
    folder = _cache() / f"apache-kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}{name}"
    if folder.is_dir():
        return folder
    filling = folder.with_name(f"{folder.name}.filling")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            shutil.rmtree(filling, ignore_errors=True)
            filling.mkdir()
            fill(filling)
            filling.rename(folder)
    return folder


def _resolve(folder: Path) -> None:
    maven = _command("mvn")
    subprocess.run(
        [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={folder}"],
        check=True,
    )


def _command(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise JavaMissing(f"{name} is not installed: Apache Kafka runs from its jars and needs Java 17 and Maven")
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actionbus-tests"
