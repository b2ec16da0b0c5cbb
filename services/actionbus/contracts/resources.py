"""Where schemas and the topic catalogue are found: inside the installed wheel, else in the checkout."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from actionbus.contracts.errors import SettingsRefused


def read(folder: str, name: str) -> str:
    """The text of a file of the folder ``schemas`` or ``topics``."""
    found = _folder(folder) / name
    if not found.is_file():
        raise SettingsRefused(f"{folder}/{name} is neither in the wheel nor in the checkout: install actionbus again")
    return found.read_text(encoding="utf-8")


def folders(folder: str) -> list[str]:
    """The names of the folders inside a folder, sorted."""
    return sorted(entry.name for entry in _folder(folder).iterdir() if entry.is_dir())


def names(folder: str) -> list[str]:
    """The names of the files inside a folder, sorted."""
    return sorted(entry.name for entry in _folder(folder).iterdir() if entry.is_file())


def _folder(path: str) -> Traversable:
    packaged = files("actionbus.contracts") / "data"
    found = packaged if packaged.is_dir() else Path(__file__).parents[3]
    for part in path.split("/"):
        found = found / part
    if not found.is_dir():
        raise SettingsRefused(f"{path} is neither in the wheel nor in the checkout: install actionbus again")
    return found
