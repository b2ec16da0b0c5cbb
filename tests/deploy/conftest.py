"""The tools that judge what is deployed."""

import os
import shutil

import pytest


def _tool(name):
    """A program of Prometheus. It may be missing on a desk, never where changes are accepted."""
    found = shutil.which(name)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{name} is missing: install the Debian package prometheus")
    if found is None:
        pytest.skip(f"{name} is missing (Debian package prometheus)")
    return found


@pytest.fixture(scope="session")
def promtool():
    """Prometheus's checker."""
    return _tool("promtool")


@pytest.fixture(scope="session")
def prometheus():
    """Prometheus itself."""
    return _tool("prometheus")
