"""Outputs that come one by one, in any order, and are one list at the end.

They are kept as lines, the place and a space before the JSON, so that one more costs no look at those before it.
"""

from typing import TYPE_CHECKING

from actionbus.contracts.errors import InvariantBroken, PayloadRefused
from actionbus.engine import failure
from actionbus.engine.template import sized

if TYPE_CHECKING:  # the draft uses the definition, which looks through every node with the shapes that gather
    from actionbus.engine.draft import Draft

_NULL = b"null"


def add(gathered: bytes | None, place: int, output: bytes | None) -> bytes:
    """One more output. Line breaks of JSON that a foreign worker wrote are between its tokens, never inside them."""
    line = (output or _NULL).replace(b"\n", b" ").replace(b"\r", b" ")
    return b"%s%d %s\n" % (gathered or b"", place, line)


def count(gathered: bytes | None) -> int:
    """How many there are."""
    return (gathered or b"").count(b"\n")


def places(gathered: bytes | None) -> set[int]:
    """Whose are there."""
    return {int(line.partition(b" ")[0]) for line in (gathered or b"").splitlines()}


def joined(gathered: bytes | None, length: int) -> bytes:
    """The JSON list of so many outputs, in order; null for those that are not there."""
    found: list[bytes] = [_NULL] * length
    for line in (gathered or b"").split(b"\n"):
        if line:
            place, _, output = line.partition(b" ")
            if int(place) >= length:
                raise InvariantBroken(f"an output for the place {int(place)} of {length}")
            found[int(place)] = output
    return b"[" + b",".join(found) + b"]"


def hand_on(draft: "Draft", path: str, gathered: bytes | None, length: int) -> None:
    """Let the node at a path be done with the list; one that is too large fails it."""
    try:
        output = sized(joined(gathered, length), draft.definition.limits)
    except PayloadRefused as refused:
        draft.refuse(path, failure.RESULT_TOO_LARGE, refused)
    else:
        draft.finish(path, output)
