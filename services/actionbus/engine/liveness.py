"""What can still be read: computed once for each definition, so that a run forgets every output after its last reader.

A node reads through its templates. The deepest scope that holds a step and all that read it decides: once that scope
has finished the last child with a reader in it, nothing can read the output any more. For the run's input that is the
root.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

RUN_INPUT: Final = "\0input"  # stands among the paths of steps for the input of the run; no path contains it


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """Which outputs are worth keeping, and what to forget when a node has finished. Paths are static."""

    read: frozenset[str]
    forget: Mapping[str, tuple[str, ...]]


def liveness(parents: Mapping[str, str | None], readers: Mapping[str, Iterable[str]]) -> Liveness:
    """Decide for everything that is read where its last reader stands.

    ``parents`` gives the node around each node, in reading order (the root: None); ``readers`` gives, for a node's path
    or ``RUN_INPUT``, the paths of the nodes that read it. The root as a reader keeps it until the run ends.
    """
    order = {path: place for place, path in enumerate(parents)}
    forget: dict[str, list[str]] = {}
    for source, given in readers.items():
        places = list(given)
        if not places:
            continue
        lines = [_line(parents, place) for place in places]
        around = _shared([*lines, _line(parents, source)]) if source != RUN_INPUT else 1
        depth = min(around, min(map(len, lines)) - 1)
        last = max((line[depth] for line in lines), key=order.__getitem__)
        if last != "":
            forget.setdefault(last, []).append(source)
    return Liveness(
        read=frozenset(source for source, given in readers.items() if any(True for _ in given)),
        forget={path: tuple(sources) for path, sources in forget.items()},
    )


def _line(parents: Mapping[str, str | None], path: str) -> tuple[str, ...]:
    """The node and all around it, outermost first."""
    line = [path]
    while (parent := parents[line[-1]]) is not None:
        line.append(parent)
    return tuple(reversed(line))


def _shared(lines: list[tuple[str, ...]]) -> int:
    """How many leading nodes all lines share."""
    shared = 0
    for level in zip(*lines, strict=False):
        if len(set(level)) > 1:
            break
        shared += 1
    return shared
