"""Where schemas and the topic catalogue are found: inside the installed wheel, else in the checkout."""

from importlib.resources import files
from pathlib import Path

from actionbus.contracts.errors import SettingsRefused


def read(folder: str, name: str) -> str:
    """The text of a file of the folder ``schemas`` or ``topics``."""
    packaged = files("actionbus.contracts").joinpath("data", folder, name)
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    checkout = Path(__file__).parents[3] / folder / name
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    raise SettingsRefused(f"{folder}/{name} is neither in the wheel nor in the checkout: install actionbus again")
