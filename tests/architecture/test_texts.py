"""What may stand in no file: paths of one machine, hosts of registries, addresses in locks, exceptions without reason."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement

from architecture.sources import ROOT, named, python, texts

OTHERS = ("tests/deploy/compose-spec/",)  # a published schema and its licence, word for word
MACHINE = re.compile(r"(?<![\w.}*])/(?:work|root|home|Users|opt/abv|tmp)/\w")
HOSTS = re.compile(
    r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|yarnpkg\.com|repo1?\.maven\.|maven\.apache\.org/maven2"
    r"|deb\.debian\.org|crates\.io|proxy\.golang\.org|ghcr\.io|quay\.io|index\.docker\.io",
)
EXCEPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)\b")
REASONED = re.compile(r"#\s*(?:noqa: [A-Z0-9, ]+|(?:pyright|type):\s*ignore\[[\w, -]+\])\s*- \w")
LOCKS = ("requirements.lock", "requirements-test.lock", "deploy/requirements.lock", "deploy/build.lock")


@pytest.mark.parametrize(("what", "pattern"), [("the path of one machine", MACHINE), ("a registry's host", HOSTS)])
def test_no_file_names_a_machine_or_a_registry(what, pattern):
    """No file of the project holds a path that exists on one machine only, nor the host of a package registry."""
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        if not path.as_posix().startswith(OTHERS)
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert found == [], f"{what} stands in these lines"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_hashes_and_no_address(lock):
    """Every entry of a lock is one exact version with its hashes, and nothing in it says where it comes from."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*--(?!hash)", text, re.MULTILINE)
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[a-z0-9.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-test.lock"])
def test_a_lock_fits_the_project(lock):
    """Everything that pyproject.toml asks for is locked to a version that it allows; `make lock` renews the locks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    wanted = [*project["project"]["dependencies"], *(each for extra in extras for each in extra)]
    if lock == "requirements-test.lock":
        wanted += project["dependency-groups"]["test"]
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))
    for each in map(Requirement, wanted):
        version = locked.get(each.name.lower())
        assert version is not None, f"{each} is not locked"
        assert each.specifier.contains(version), f"{each} is locked to {version}"


def test_every_exception_from_a_checker_has_its_reason():
    """A line that tells ruff or pyright to look away says why in the same line."""
    found = [
        f"{named(file)}:{number}: {line.strip()}"
        for file in python("services", "tests", "examples", "benchmarks")
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if EXCEPTION.search(line) and not REASONED.search(line) and "re.compile" not in line
    ]
    assert found == []


def test_every_ignore_of_the_project_has_its_reason():
    """Each rule that pyproject.toml switches off has its reason on the same line."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = re.search(r"^ignore = \[\n(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    assert ignored is not None
    silent = [line for line in ignored[1].splitlines() if not re.search(r"#\s*\w", line)]
    silent += [line for line in text.splitlines() if re.match(r"report\w+ = false", line) and "#" not in line]
    assert silent == []
