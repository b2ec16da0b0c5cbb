"""One `actionbus dev` for all tests of a file that only look at it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.gateway_process import ReadSide
from cli.installed import Dev


@pytest.fixture(scope="module")  # it costs half a processor even when nobody asks it anything
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """A whole installation, ready, that serves hello_app."""
    folder = tmp_path_factory.mktemp("dev")
    shutil.copy(Path(__file__).with_name("hello_app.py"), folder / "app.py")
    made = Dev(folder, "app.py")
    try:
        made.start("--no-reload")
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def gateway(dev: Dev) -> Iterator[ReadSide]:
    """A projector and a gateway over that installation."""
    made = ReadSide(dev)
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(params=["kafka", "http"])
def way(request: pytest.FixtureRequest, gateway: ReadSide) -> list[str]:
    """The options by which commands go either way."""
    return ["--url", gateway.url] if request.param == "http" else []
