"""Records read straight from Avro bodies: what fastavro and pydantic make of them, in half of their time.

The mirror of `avro_writer`: a reader is prepared once for each model. It reads what this version wrote, as it writes
it; a record needs no check, for whatever has its schema's shape has its model's. At anything unusual it gives up, so
that there is one place, fastavro and the model, that decides what else is read and says what is wrong with the rest. A
test holds both to the same records, and to the same errors on damaged bytes. Source: Avro specification 1.12, "Binary
encoding".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar, get_args

from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.model import Record, filled

R = TypeVar("R", bound=Record)
_Part = Callable[[bytes, int], tuple[Any, int]]  # from bytes and a place to a value and the place behind it

_MORE: Final = 0x80  # the bit of a byte that says that the number goes on in the next
_LAST: Final = 63  # the bits before the tenth byte, which can hold one more
_LONG_OR_ODD: Final = 0x81  # of a size: it has further bytes, or is negative
_NULL: Final = 0
_BRANCH: Final = 2


class Unusual(Exception):
    """These bytes are not as this version writes them: fastavro may read them, or say why nobody can."""


def reader(model: type[R], schema: Any) -> Callable[[bytes, int], R]:
    """What reads the record that fills bytes from a place to their end; it raises Unusual.

    ``schema`` is the model's own as it stands in its file. Raises InvariantBroken for what our schemas do not use.
    """
    read = _part(schema, dict(_types(model)), {})

    def whole(data: bytes, start: int) -> R:
        try:
            record, end = read(data, start)
        except (IndexError, KeyError, ValueError) as error:
            raise Unusual from error
        if end != len(data):  # a text or bytes that were cut off end behind it
            raise Unusual
        return record

    return whole


def _types(annotation: Any) -> Iterator[tuple[str, Any]]:
    """Every record and enum inside a type, by name."""
    if isinstance(annotation, type) and issubclass(annotation, StrEnum | Record):
        yield annotation.__name__, annotation
        if issubclass(annotation, Record):
            for field in annotation.model_fields.values():
                yield from _types(field.annotation)
    for inner in get_args(annotation):
        yield from _types(inner)


def _part(schema: Any, types: Mapping[str, Any], known: dict[str, _Part]) -> _Part:  # noqa: PLR0911 - a table of cases
    match schema:
        case ["null", branch]:
            return _nullable(_part(branch, types, known))
        case {"type": "record", "name": name, "fields": fields}:
            read = _record(types[_short(name)], [(each["name"], _part(each["type"], types, known)) for each in fields])
            return known.setdefault(_short(name), read)
        case {"type": "enum", "name": name, "symbols": symbols}:
            return known.setdefault(_short(name), _enum([types[_short(name)](symbol) for symbol in symbols]))
        case {"type": "array", "items": items}:
            return _array(_part(items, types, known))
        case {"type": "map", "values": values}:
            return _map(_part(values, types, known))
        case {"type": inner}:
            return _part(inner, types, known)
        case str() if schema in _PRIMITIVES:
            return _PRIMITIVES[schema]
        case str() if _short(schema) in known:
            return known[_short(schema)]
        case _:
            raise InvariantBroken(f"the Avro reader does not know {schema!r}")


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _long(data: bytes, at: int) -> tuple[int, int]:
    value = data[at]
    if value & _MORE:
        value, bits = value ^ _MORE, 7
        while (byte := data[at := at + 1]) & _MORE and bits < _LAST:
            value |= (byte ^ _MORE) << bits
            bits += 7
        if byte > 1 and bits == _LAST:
            raise Unusual
        value |= byte << bits
    return (value >> 1) ^ -(value & 1), at + 1


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size = data[at]
    if size & _LONG_OR_ODD:
        size, at = _long(data, at)
        if size < 0:
            raise Unusual
    else:
        size >>= 1
        at += 1
    end = at + size
    return data[at:end], end


def _string(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    if size & _LONG_OR_ODD:
        found, end = _bytes(data, at)
        return found.decode(), end
    end = at + 1 + (size >> 1)
    return data[at + 1 : end].decode(), end


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    if data[at] > 1:
        raise Unusual
    return data[at] == 1, at + 1


_PRIMITIVES: Final[Mapping[str, _Part]] = {
    "long": _long,
    "int": _long,
    "bytes": _bytes,
    "string": _string,
    "boolean": _boolean,
}


def _nullable(branch: _Part) -> _Part:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        which = data[at]
        if which == _NULL:
            return None, at + 1
        if which != _BRANCH:
            raise Unusual
        return branch(data, at + 1)

    return read


def _record(model: type[Record], fields: Sequence[tuple[str, _Part]]) -> _Part:
    plan = tuple(fields)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        values: dict[str, Any] = {}
        for name, field in plan:
            values[name], at = field(data, at)
        return filled(model, values), at

    return read


def _enum(members: Sequence[StrEnum]) -> _Part:
    by_byte = {number << 1: member for number, member in enumerate(members)}

    def read(data: bytes, at: int) -> tuple[StrEnum, int]:
        return by_byte[data[at]], at + 1

    return read


def _array(item: _Part) -> _Part:
    def read(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        count, at = _long(data, at)
        if not count:
            return (), at
        found: list[Any] = []
        for _ in range(count):
            value, at = item(data, at)
            found.append(value)
        if count < 0 or data[at]:  # with its size, or in several blocks
            raise Unusual
        return tuple(found), at + 1

    return read


def _map(value: _Part) -> _Part:
    entries = _array(lambda data, at: _entry(value, data, at))

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        found, at = entries(data, at)
        return dict(found), at

    return read


def _entry(value: _Part, data: bytes, at: int) -> tuple[tuple[str, Any], int]:
    key, at = _string(data, at)
    found, at = value(data, at)
    return (key, found), at
