"""Who may import whom, and that everything imported from outside is declared."""

import ast
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import packages_distributions

from architecture.sources import ROOT, named, python, tree

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TRAVELS_WITH = {"pydantic-core": "pydantic"}  # part of it: pydantic names the one version that fits
OWN = {
    "actionbus",
    *(each.name for room in ("tests", "examples") for each in (ROOT / room).iterdir() if each.is_dir()),
    *(each.stem for each in python("examples")),
}


def test_the_layers_hold():
    """Rooms import only what lies below them, the engine is pure, and only the kafka room knows aiokafka."""
    linter = shutil.which("lint-imports", path=sysconfig.get_path("scripts"))
    assert linter, "import-linter is missing: install the test group"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_services_import_only_what_is_declared():
    """Everything that the services import from outside is a dependency or belongs to an extra of pyproject.toml."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    _check(("services",), _names([*PROJECT["project"]["dependencies"], *(each for extra in extras for each in extra)]))


def test_tests_import_only_what_is_declared():
    """Everything that tests, examples and benchmarks import from outside is declared, in a group for work if nowhere else."""
    sets = (*PROJECT["project"]["optional-dependencies"].values(), *PROJECT["dependency-groups"].values())
    declared = [*PROJECT["project"]["dependencies"], *(each for one in sets for each in one)]
    _check(("tests", "examples", "benchmarks"), _names(declared))


def test_a_command_starts_without_what_only_services_need():
    """Every command pays for what the command line imports: no server, no database, no stream processor, no terminal."""
    heavy = {
        "alembic",
        "asyncpg",
        "cel.cli",
        "fastapi",
        "faust",
        "prompt_toolkit",
        "rocksdict",
        "sqlalchemy",
        "uvicorn",
    }
    program = "import sys, actionbus.cli.main; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "actionbus.client" in done.stdout.splitlines()
    assert heavy & set(done.stdout.splitlines()) == set()


def _check(folders: tuple[str, ...], declared: set[str]) -> None:
    homes = packages_distributions()
    for file in python(*folders):
        siblings = {each.stem for each in file.parent.iterdir()}
        for name in _imported(tree(file)) - sys.stdlib_module_names - OWN - siblings:
            found = {_plain(each) for each in homes.get(name, [name])}
            distributions = {TRAVELS_WITH.get(each, each) for each in found}
            assert distributions & declared, f"{named(file)} imports {name}: declare its distribution in pyproject.toml"


def _imported(module: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.split(".")[0])
    return found


def _names(requirements: list[str]) -> set[str]:
    return {_plain(re.split(r"[\[<>=!~; ]", each)[0]) for each in requirements}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
