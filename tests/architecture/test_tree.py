"""Where things lie: the top of the tree, the names of modules, and nothing that nobody uses."""

import grimp

from architecture.sources import ROOT, SERVICES, files, named, python

TOP = {
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Makefile",
    "README.md",
    "benchmarks",
    "deploy",
    "docker-compose.yml",
    "docs",
    "examples",
    "pyproject.toml",
    "requirements-test.lock",
    "requirements.lock",
    "schemas",
    "services",
    "tests",
    "topics",
}
DRAWERS = {
    *("base", "common", "commons", "core", "handler", "handlers", "helper", "helpers", "impl", "lib", "manager"),
    *("managers", "misc", "shared", "stuff", "tools", "util", "utility", "utils"),
}
STARTED_BY_NAME = {
    "actionbus.visibility.migrations.versions.v0001_first_tables": "by Alembic, which reads the folder",
    "actionbus.cli.reference": "python -m, by make docs",
    "actionbus.process.reference": "python -m, by make docs",
    "actionbus.gateway.reference": "python -m, by make docs",
    "actionbus.worker.computing": "python -m, by the worker's processes",
    "actionbus.provisioner.dashboards.__main__": "python -m, by make docs",
}
FOR_USERS = {"actionbus.testing", "actionbus.client"}  # rooms whose names users import


def test_the_top_of_the_tree():
    """At the top stand exactly the files and folders that the README and ARCHITECTURE.md tell of."""
    found = {file.relative_to(ROOT).parts[0] for file in files()}
    assert {each for each in found if not each.startswith(".")} == TOP


def test_services_hold_one_package():
    """Below services lies the package actionbus and nothing else."""
    assert {file.relative_to(SERVICES).parts[0] for file in python("services")} == {"actionbus"}


def test_no_module_is_a_drawer():
    """A module is named by a noun or verb of the domain: what would go to utils or common has a home of its own name."""
    for file in python("services", "examples", "benchmarks"):
        words = {part for name in file.relative_to(ROOT).with_suffix("").parts for part in name.strip("_").split("_")}
        assert not words & DRAWERS, f"{named(file)}: name it by what it holds"


def test_every_package_is_marked():
    """Every folder with Python below services has an __init__.py, so that layers are checked in all of them."""
    folders = {file.parent for file in python("services")} - {SERVICES}
    assert [named(each) for each in sorted(folders) if not (each / "__init__.py").is_file()] == []


def test_no_module_is_an_orphan():
    """Every module is imported by another one, is meant for users, or is started by its name as the list here says."""
    graph = grimp.build_graph("actionbus", cache_dir=None)
    alone = {
        module
        for module in graph.modules
        if not graph.find_modules_that_directly_import(module) and not graph.find_children(module)
    }
    unused = {each for each in alone if not any(each.startswith(f"{room}.") for room in FOR_USERS)}
    assert unused - STARTED_BY_NAME.keys() == set(), "import it, delete it, or list it here with its reason"
    assert STARTED_BY_NAME.keys() - alone == set(), "these entries are needed no more: take them out of the list"
