"""Where a page ends, as text that a caller hands back unread: the sort key of its last row, not a number of rows.

So pages stay right while rows are added: none is shown twice, and none that was there all the time is left out.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused

_MOST: Final = 2**63 - 1  # that a column holds
_REFUSED: Final = "the cursor is not one of this list: take next_cursor of the page before, with the same sort"


def written(order: str, key: tuple[int | str, ...]) -> str:
    """The cursor behind the row with this key, in a list that is sorted by ``order``."""
    return urlsafe_b64encode(payloads.encode([order, *key])).decode().rstrip("=")


def read(order: str, cursor: str, *types: type) -> tuple[int | str, ...]:
    """The key in a cursor; raises PayloadRefused for anything that ``written`` did not give for this order."""
    try:
        found = payloads.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError as error:
        raise PayloadRefused(_REFUSED) from error
    if not isinstance(found, list) or found[:1] != [order] or [type(each) for each in found[1:]] != list(types):
        raise PayloadRefused(_REFUSED)
    if not all(map(_storable, found[1:])):  # of no row, and an error of the database
        raise PayloadRefused(_REFUSED)
    return tuple(found[1:])


def _storable(part: int | str) -> bool:
    return "\x00" not in part if isinstance(part, str) else -_MOST - 1 <= part <= _MOST
