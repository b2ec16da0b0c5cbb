"""Releases of before, as their users run them: the wheel of each lies in `releases`, and runs on the same libraries."""

import zipfile
from pathlib import Path

RELEASES = Path(__file__).with_name("releases")


def unpacked(version: str, folder: Path) -> Path:
    """The code of a release in a folder of its own below ``folder``: what stands first on the path is what runs."""
    place = folder / f"release-{version}"
    with zipfile.ZipFile(RELEASES / f"actionbus-{version}-py3-none-any.whl") as wheel:
        wheel.extractall(place)
    return place
