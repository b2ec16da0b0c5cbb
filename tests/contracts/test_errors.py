"""The tree of errors is the one that is drawn, and every message can stand alone."""

import inspect
import re

import pytest

from actionbus.contracts import errors
from actionbus.contracts.errors import ActionbusError

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]


def _drawn() -> dict[str, str | None]:
    """Every name in the drawing with the name above it."""
    above: list[str] = []
    found: dict[str, str | None] = {}
    for line in (errors.__doc__ or "").splitlines()[2:]:
        match = re.match(r"^((?:│   |    )*(?:[├└]── )?)(\w+)", line)
        assert match is not None, line
        depth = len(match[1]) // 4
        del above[depth:]
        found[match[2]] = above[-1] if above else None
        above.append(match[2])
    return found


def test_the_drawing_is_the_tree() -> None:
    """The drawing at the top of the module shows every class below the one it extends, and no other."""
    real = {
        each.__name__: next((base.__name__ for base in each.__bases__ if issubclass(base, ActionbusError)), None)
        for each in CLASSES
    }
    assert _drawn() == real


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_an_error_without_message_says_its_meaning(kind: type[ActionbusError]) -> None:
    """An error that is raised without a message says what its class means."""
    if list(inspect.signature(kind).parameters) == ["message"]:
        assert str(kind()) == inspect.getdoc(kind)
    assert issubclass(kind, ActionbusError)


def test_whether_to_try_again_is_data() -> None:
    """Only what may pass by itself is retryable: what is outside, and what was in doubt."""
    assert {kind.__name__ for kind in CLASSES if kind.retryable} == {"Unavailable", "NoVerdict", "Doubt", "Fenced"}


def test_a_failed_run_carries_its_facts() -> None:
    """The error of a failed run holds run, status and reason apart, for programs."""
    failed = errors.RunFailed("a", "FAILED", "why")
    assert (failed.run_id, failed.status, failed.reason) == ("a", "FAILED", "why")
    assert str(failed) == "run a ended FAILED: why"
