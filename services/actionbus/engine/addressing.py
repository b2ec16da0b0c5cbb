"""What somebody means who names a node of a live run: its path, or its id where only one node of that id is live.

In a list or a loop a node has many paths; in blocks and branches one, but a long one.
"""

from collections.abc import Collection
from typing import Final

from actionbus.contracts.errors import Refused
from actionbus.engine.definition import Definition
from actionbus.engine.paths import static

_PATHS_SAID: Final = 5  # a map may hold thousands


def path_of(definition: Definition, given: str | None, live: Collection[str]) -> str:
    """The path that is meant, of those that are live; what is no id of any of them comes back as it was given.

    Raises Refused with the paths when there are several.
    """
    if given is None or given in live:
        return given or ""
    place = definition.path_of(given)
    found = [] if place is None else [each for each in live if static(each) == place]
    if len(found) > 1:
        more = ", ..." if len(found) > _PATHS_SAID else ""
        raise Refused(
            f"{given!r} may be any of {', '.join(found[:_PATHS_SAID])}{more}: give the path of the one you mean"
        )
    return found[0] if found else given
