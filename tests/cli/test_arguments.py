"""How arguments of commands are read."""

import getpass
from datetime import UTC, datetime

import pytest

from actionbus.cli import arguments
from actionbus.contracts.errors import PayloadRefused


@pytest.mark.parametrize("text", ["2026-12-24T18:00:00Z", "2026-12-24T19:00:00+01:00"])
def test_a_moment_has_its_zone(text: str) -> None:
    """The same moment in two zones is the same moment."""
    assert arguments.moment(text) == datetime(2026, 12, 24, 18, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "2026-12-24T18:00:00", "5"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    """No guess is made at a time without a zone, or at a number."""
    with pytest.raises(PayloadRefused):
        arguments.moment(text)


def test_who_asks_is_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is named, else the user of the process; nobody where that user has no name."""
    assert arguments.user("Ada") == "Ada"
    monkeypatch.setattr(getpass, "getuser", lambda: "eve")
    assert arguments.user(None) == "eve"

    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert arguments.user(None) == ""
