"""What the engine's files leave with a draft for ``progress`` to carry on. No move outlives its transition."""

from dataclasses import dataclass
from typing import assert_never

from actionbus.contracts.results import ActionError
from actionbus.contracts.run import StepState


@dataclass(slots=True)
class Enter:
    """The turn of the node at a path has come."""

    path: str


@dataclass(slots=True)
class Finished:
    """The node at a path is done; its output is JSON, or None when it has none."""

    path: str
    output: bytes | None


@dataclass(slots=True)
class Broken:
    """A step could not even be dispatched; its rules are to be asked."""

    step: StepState
    error: ActionError


@dataclass(slots=True)
class Failed:
    """The node at a path has failed for good; whatever is around it decides."""

    path: str
    error: ActionError


@dataclass(slots=True)
class Resolve:
    """A step failed for good, and its rule says how the run goes on."""

    path: str


@dataclass(slots=True)
class Undone:
    """A step is undone so that the run goes on as its rule says."""

    step: StepState


@dataclass(slots=True)
class Unwind:
    """The next compensation below a path is due; when none is left, the node at ``path`` goes on.

    ``below`` is a node directly inside that one; for the root, the root itself, and then the run ends. ``begun``: what
    is being undone already is waited for, and nothing else is undone.
    """

    path: str
    below: str
    begun: bool = False


Move = Enter | Finished | Broken | Failed | Resolve | Undone | Unwind


def where(move: Move) -> str:
    """The path that a move is about."""
    match move:
        case Enter(path=path) | Finished(path=path) | Failed(path=path) | Resolve(path=path):
            return path
        case Unwind(below=below):
            return below
        case Broken(step=step) | Undone(step=step):
            return step.path
        case _:
            assert_never(move)
