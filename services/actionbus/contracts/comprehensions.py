"""What in an expression goes through a list: taken out of its text, so that it is computed a few items at a time.

The library builds the list that ``map`` and ``filter`` give by copying it for each item, and goes through the keys of
an object in an order that differs from process to process. Measured: ``l.map(x, l)`` over 1,000 numbers takes 44
seconds as it stands. A few items at a time the time grows with the list, and the keys of an object have an order.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from actionbus.contracts import programs
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.payloads import Json

AT_A_TIME: Final = 16  # few enough that copying costs little, enough that what the body reads is not passed too often
MOST_WORK: Final = 500_000  # items times the values that each is held against, some 300 ms
_CHARACTERS: Final = 64  # of a text that cost as much as one value
_BEGINS: Final = re.compile(r"\.\s*(map|filter|all|exists|exists_one)\s*\(\s*(\w+)\s*,")
_TEXT: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|//[^\n]*")
_CLOSING: Final = {")": "(", "]": "[", "}": "{"}
_WORD: Final = re.compile(r"\w+\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """One of them: ``name`` stands for its value in the text around it and in the parts after it."""

    name: str
    kind: str
    source: Any
    piece: Any
    others: tuple[str, ...]
    shown: str

    def value(self, names: Mapping[str, Json]) -> Any:
        """What it gives; raises PayloadRefused when it would take too long, and what the library raises."""
        found: Any = self.source.execute(dict(names))
        items: Any = sorted(found, key=_order) if isinstance(found, dict) else found
        if not isinstance(items, list):
            raise PayloadRefused(f"{self.shown} goes through a list or an object, and there is {found!r:.40}")
        read = {name: names[name] for name in self.others if name in names}
        if len(items) * sum(weight(each) for each in read.values()) > MOST_WORK:
            raise PayloadRefused(
                f"{self.shown} would hold {len(items)} items against large values: let an action compute it"
            )
        pieces = (items[place : place + AT_A_TIME] for place in range(0, len(items), AT_A_TIME))
        answers = (self.piece.execute({**read, _ITEMS: piece}) for piece in pieces)
        match self.kind:
            case "all":
                return all(answers)
            case "exists":
                return any(answers)
            case "exists_one":
                return sum(len(each) for each in answers) == 1
            case _:
                return [each for some in answers for each in some]


_ITEMS: Final = "_actionbus_items"


def taken_out(text: str) -> tuple[tuple[Part, ...], str]:
    """The parts of an expression, in the order in which they have a value, and the text that is left.

    Raises ValueError when a part is no expression.
    """
    parts: list[Part] = []
    while True:
        code = masked(text)
        begins = _BEGINS.search(code)
        if begins is None:
            return tuple(parts), text
        start, end = _source(code, begins.start()), _closing(code, begins.end())
        kind, own = begins.groups()
        kept = "filter" if kind == "exists_one" else kind
        piece = programs.compiled(f"{_ITEMS}.{kept}({own}, {text[begins.end() : end + 1]}")
        name = f"_actionbus_part{len(parts)}"
        others = tuple(each for each in piece.variables() if each not in (_ITEMS, own))
        source = programs.compiled(text[start : begins.start()])
        parts.append(Part(name, kind, source, piece, others, f"{begins[0].strip()}...)"))
        text = f"{text[:start]}{name}{text[end + 1 :]}"


def masked(text: str) -> str:
    """The text with what is inside quotes and comments blotted out; every other character stays in its place."""
    return _TEXT.sub(lambda found: "_" * len(found[0]) if found[0][0] != "/" else " " * len(found[0]), text)


def weight(value: Json) -> int:
    """How many values there are in one, itself included; a long text counts as several."""
    return sum(1 + len(each) // _CHARACTERS if isinstance(each, str) else 1 for each in _inside(value))


def _inside(value: Json) -> Iterator[Json]:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _order(key: Any) -> tuple[str, Any]:
    return type(key).__name__, key


def _closing(code: str, place: int) -> int:
    """Where the parenthesis closes that was opened before a place."""
    depth = 1
    while place < len(code):
        depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(code[place], 0)
        if not depth:
            return place
        place += 1
    raise ValueError("a parenthesis is not closed")


def _source(code: str, dot: int) -> int:
    """Where the value begins whose member a dot names: ``a.b[0].f(x)`` is one, and so is what stands in parentheses."""
    place = dot
    while True:
        place = len(code[:place].rstrip())
        while place and code[place - 1] in _CLOSING:
            place = _opening(code, place - 1)
            before = len(code[:place].rstrip())
            if not before or not (code[before - 1] in _CLOSING or _WORD.search(code, 0, before)):
                return place
            place = before
        word = _WORD.search(code[:place])
        if word is None:
            return place
        if word[0] == "in":  # an operator before parentheses, no function
            return len(code[:dot]) - len(code[word.end() : dot].lstrip())
        place = word.start()
        before = len(code[:place].rstrip())
        if not before or code[before - 1] != ".":
            return place
        place = before - 1


def _opening(code: str, place: int) -> int:
    """Where the bracket opens that closes at a place."""
    depth = 0
    while place >= 0:
        depth += 1 if code[place] in _CLOSING else -1 if code[place] in _CLOSING.values() else 0
        if not depth:
            return place
        place -= 1
    raise ValueError("a bracket is not opened")
