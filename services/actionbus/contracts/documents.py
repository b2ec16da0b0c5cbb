"""Workflows written as YAML or JSON: the graph in the document, and the line and column of every mistake.

A document holds what ``Graph`` holds, under the same names; docs/reference/definition.schema.json says so for editors.
YAML is read as its version 1.2 means it: ``yes`` and ``on`` are text. Aliases, tags and keys that come twice are
refused, as is what is larger than a definition may be: a document says what it says, and costs what it shows.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, get_args

import yaml
from pydantic import ValidationError

from actionbus.contracts import checks, payloads
from actionbus.contracts.decisions import Resolution
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import DefinitionRefused, PayloadRefused
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.nodes import Handle, Node
from actionbus.contracts.payloads import Json

MOST_BYTES: Final = 1_048_576
MOST_DEPTH: Final = 128  # of the document: a graph nests a node in several levels of text
MOST_VALUES: Final = 50_000
SUFFIXES: Final = (".yaml", ".yml", ".json")

KINDS: Final = frozenset(
    str(each.model_fields["kind"].default)
    for each in (*get_args(get_args(Node)[0]), *get_args(get_args(Resolution)[0]), Handle)
)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same events, by libyaml where it is there
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_UNPRINTABLE: Final = re.compile(
    "[^\\t\\n\\r -~\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)  # by YAML 1.2, 5.1
_WORDS: Final = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is wrong with a document, and where it stands."""

    place: Place
    message: str


class Unreadable(DefinitionRefused):
    """The document is no graph. ``flaws`` holds every mistake with its place."""

    def __init__(self, name: str, flaws: list[Flaw]) -> None:
        self.flaws = sorted(flaws, key=lambda flaw: flaw.place)
        super().__init__("\n".join(f"{name}:{flaw.place}: {flaw.message}" for flaw in self.flaws))


def load(path: Path, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """The graph in a file; raises Unreadable with every mistake, DefinitionRefused when there is no such file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DefinitionRefused(f"{path} cannot be read: {error.strerror}") from error
    return read(data, name=str(path), limits=limits)


def read(data: bytes, *, name: str, limits: Limits = DEFAULT_LIMITS) -> Graph:
    """The graph in a document; ``name`` stands before the places. Raises Unreadable."""
    reader = _Reader(name)
    value = reader.read(data)
    try:
        graph = Graph.model_validate_json(payloads.encode(value))
    except PayloadRefused as refused:
        raise Unreadable(name, [Flaw(Place(1, 1), str(refused))]) from refused
    except ValidationError as error:
        raise Unreadable(name, [reader.flaw(each["loc"], each["msg"]) for each in error.errors()]) from error
    found = checks.mistakes(graph, limits)
    if found:
        start = Place(1, 1)
        raise Unreadable(name, [Flaw(reader.ids.get(each.node or "", start), each.message) for each in found])
    return graph


class _Reader:
    """Turns the events of a parser into a value, and remembers where each part of it begins."""

    def __init__(self, name: str) -> None:
        self.places: dict[tuple[str | int, ...], Place] = {}
        self.ids: dict[str, Place] = {}  # of objects that have an id
        self._name = name
        self._values = 0

    def read(self, data: bytes) -> Json:
        """The value of the document."""
        if len(data) > MOST_BYTES:
            self._refuse(None, f"the document has {len(data)} bytes, the limit is {MOST_BYTES}")
        try:
            self._events = iter(yaml.parse(self._printable(data.decode()), Loader=_Loader))
            begins = [self._next(), self._next()]
            if isinstance(begins[-1], yaml.StreamEndEvent):
                self._refuse(begins[-1], "the document is empty")
            value = self._value(self._next(), ())
            after = [self._next(), self._next()]
        except UnicodeDecodeError as error:
            raise Unreadable(self._name, [Flaw(Place(1, 1), f"it is no UTF-8: {error.reason}")]) from error
        except yaml.MarkedYAMLError as error:
            said = error.problem or "it cannot be read"
            raise Unreadable(self._name, [Flaw(_place(error.problem_mark), f"it is no YAML: {said}")]) from error
        except yaml.YAMLError as error:
            raise Unreadable(self._name, [Flaw(Place(1, 1), f"it is no YAML: {error}")]) from error
        if not isinstance(after[-1], yaml.StreamEndEvent):
            self._refuse(after[-1], "a file holds one document")
        return value

    def flaw(self, path: tuple[str | int, ...], message: str) -> Flaw:
        """A mistake at a part, or at what is there of the way to it.

        Pydantic names the chosen kind of a node on the way, which is no part of the document.
        """
        known: tuple[str | int, ...] = ()
        missing: list[str] = []
        for part in path:
            if (*known, part) in self.places:
                known = (*known, part)
            elif part not in KINDS:
                missing.append(str(part))
        where = ".".join([*map(str, known), *missing])
        return Flaw(self.places[known], f"{where}: {message}" if where else message)

    def _printable(self, text: str) -> str:
        strange = _UNPRINTABLE.search(text)
        if strange is not None:
            before = text[: strange.start()]
            place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
            what = f"the character U+{ord(strange[0]):04X} may not stand in a document: write it as an escape in quotes"
            raise Unreadable(self._name, [Flaw(place, what)])
        return text

    def _next(self) -> Any:
        return next(self._events)

    def _value(self, event: Any, path: tuple[str | int, ...]) -> Json:
        self._values += 1
        if self._values > MOST_VALUES:
            self._refuse(event, f"the document holds more than {MOST_VALUES} values")
        if len(path) > MOST_DEPTH:
            self._refuse(event, f"the document is nested deeper than {MOST_DEPTH}")
        self.places[path] = _place(event.start_mark)
        match event:
            case yaml.ScalarEvent():
                return self._scalar(event)
            case yaml.MappingStartEvent(implicit=True):
                return self._object(path)
            case yaml.SequenceStartEvent(implicit=True):
                return self._list(path)
            case yaml.AliasEvent(anchor=anchor):
                return self._refuse(event, f"aliases such as *{anchor} are not followed: write it out")
            case _:
                return self._refuse(event, f"the tag {event.tag} means nothing here")

    def _object(self, path: tuple[str | int, ...]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._refuse(event, "a key has to be a plain text")
            key = str(event.value)
            if key in found:
                self._refuse(event, f"the key {key} comes twice")
            found[key] = self._value(self._next(), (*path, key))
        if isinstance(found.get("id"), str):
            self.ids.setdefault(found["id"], self.places[path])
        return found

    def _list(self, path: tuple[str | int, ...]) -> list[Json]:
        found: list[Json] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            found.append(self._value(event, (*path, len(found))))
        return found

    def _scalar(self, event: Any) -> Json:
        if event.tag is not None and event.tag != "!":
            self._refuse(event, f"the tag {event.tag} means nothing here")
        text = str(event.value)
        if event.style or event.tag == "!":  # quoted, or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text) is not None and len(text) <= 20:  # noqa: PLR2004 - digits of 64 bits
            return int(text)
        return float(text) if _NUMBER.fullmatch(text) is not None else text

    def _refuse(self, event: Any, message: str) -> NoReturn:
        place = Place(1, 1) if event is None else _place(event.start_mark)
        raise Unreadable(self._name, [Flaw(place, message)])


def _place(mark: Any) -> Place:
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)
