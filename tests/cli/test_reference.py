"""The reference page of the command line is the one the commands give, and every exit code has its meaning."""

from pathlib import Path

import pytest

from actionbus.cli import exits, reference
from actionbus.contracts.errors import (
    AccessRefused,
    ActionbusError,
    Conflict,
    IdentifierRefused,
    InvariantBroken,
    PositionLost,
    Refused,
    RunFailed,
    TopicMissing,
    Unavailable,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_current() -> None:
    """The page in docs/reference is what the commands say of themselves: `make docs` writes it."""
    assert PAGE.read_text(encoding="utf-8") == reference.page()


def test_every_command_and_option_is_described() -> None:
    """No command, argument or option stands in the page without words."""
    assert "None" not in reference.page()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(), 2),
        (IdentifierRefused("run id", "x", "y"), 2),
        (AccessRefused(), 2),
        (TopicMissing(), 2),
        (Conflict(), 4),
        (RunFailed("a", "FAILED", "why"), 5),
        (Unavailable(), 6),
        (PositionLost(), 1),
        (InvariantBroken(), 1),
        (ActionbusError(), 1),
        (ValueError(), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_has_its_code(error: BaseException, code: int) -> None:
    """Scripts tell by the code what to do: correct the call, try again, or look."""
    assert exits.code_of(error) == code
    assert exits.meanings()[code]
