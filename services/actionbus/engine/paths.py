"""Paths of nodes: static ones in a graph, ``pick[].charge``, and those of a run, ``pick[3].charge``."""

import re
from typing import Final

from actionbus.contracts import run

ROOT: Final = run.ROOT
_INDEX: Final = re.compile(r"\[\d+\]")


def static(path: str) -> str:
    """The static path of a run's path."""
    return _INDEX.sub("[]", path) if "[" in path else path


def beside(path: str, other: str) -> str:
    """The run's path for a static path, with the item indexes of another run's path that shares its beginning."""
    if "[]" not in path:
        return path
    indexes = iter(_INDEX.findall(other))
    return re.sub(re.escape("[]"), lambda _: next(indexes, "[]"), path)


def around(path: str) -> str:
    """The path of the node around the one at this path; both may be a run's paths or static ones."""
    if path.endswith("]"):
        return path[: path.rindex("[")]
    return path.rpartition(".")[0]


def below(path: str, scope: str) -> bool:
    """Whether a path is that of a node, or of one inside it."""
    return scope in ("", path) or path.startswith((f"{scope}.", f"{scope}["))
