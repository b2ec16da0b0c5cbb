"""By what runs can be found: names, each with a short value out of the input or that the run shows."""

from collections.abc import Iterator, Mapping
from typing import Final

from actionbus.contracts import expressions, payloads
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.identifiers import name as checked
from actionbus.contracts.payloads import Json
from actionbus.contracts.templates import INPUT

MOST_ATTRIBUTES: Final = 20  # of one workflow; each is a row for every run
LONGEST_VALUE: Final = 256  # characters; it stands in an index

Searchable = Mapping[str, str | None]
"""Names with CEL over ``input``, or None for what only the run itself shows under that name."""


def of_input(searchable: Searchable, value: Json) -> dict[str, Json]:
    """The attributes that an input gives; raises PayloadRefused for one that is no short scalar."""
    return {
        name: fitting(name, expressions.evaluate(text, {INPUT: value}))
        for name, text in searchable.items()
        if text is not None
    }


def fitting(name: str, value: Json) -> Json:
    """The value of an attribute; raises PayloadRefused when nobody could search for it."""
    if isinstance(value, list | dict):
        raise PayloadRefused(f"the searchable {name} is {value!r:.80}: it has to be a text, a number, a truth or null")
    if len(text_of(value)) > LONGEST_VALUE:
        raise PayloadRefused(f"the searchable {name} has more than {LONGEST_VALUE} characters")
    return value


def text_of(value: Json) -> str:
    """A value as it is searched for: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else payloads.encode(value).decode()


def mistakes(searchable: Searchable, schema: Json) -> Iterator[str]:
    """Why runs cannot be found as it is written; ``schema``: that of the input."""
    if len(searchable) > MOST_ATTRIBUTES:
        yield f"searchable has {len(searchable)} names, the limit is {MOST_ATTRIBUTES}"
    for name, text in searchable.items():
        try:
            checked("searchable name", name)
        except IdentifierRefused as refused:
            yield str(refused)
        if text is None:
            continue
        for mistake in (*expressions.mistakes(text, [INPUT]), *expressions.strangers(text, INPUT, schema)):
            yield f"searchable {name}: {mistake}"
