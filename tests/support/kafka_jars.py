"""Where the jars of Apache Kafka come from: Maven resolves the pom beside this file into the user's cache, once.

Starting a broker from them is `apache_kafka`'s affair.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")


class JavaMissing(Exception):
    """Java or Maven is not installed on this machine."""


def java() -> str:
    """The java command; raises JavaMissing."""
    return _command("java")


def jars() -> Path:
    """The folder with all jars, filled on first use; raises JavaMissing.

    The folder's name carries the hash of the pom, so a changed pom never meets old jars. It is filled under another
    name and renamed when it is whole: a run that was cut off leaves nothing that looks complete.
    """
    java()
    folder = _cache() / f"apache-kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    maven = _command("mvn")
    filling = folder.with_name(f"{folder.name}.{os.getpid()}")
    filling.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={filling}"],
        check=True,
    )
    try:
        filling.rename(folder)
    except OSError:  # another run was faster
        shutil.rmtree(filling)
    return folder


def _command(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise JavaMissing(f"{name} is not installed: Apache Kafka runs from its jars and needs Java 17 and Maven")
    return found


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actionbus-tests"
