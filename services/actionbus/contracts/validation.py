"""Checking a JSON value against a JSON Schema. Which schema a value has to fit is not decided here."""

from typing import Any

import jsonschema_rs

from actionbus.contracts import defaults, payloads
from actionbus.contracts.errors import DefinitionRefused, PayloadRefused
from actionbus.contracts.payloads import Json

_PATTERNS = jsonschema_rs.RegexOptions()  # linear time: a pattern of a definition cannot stall whoever checks it


class Schema:
    """A JSON Schema, compiled once. It reads nothing from outside itself: remote references are refused."""

    __slots__ = ("_anything", "_defaults", "_validator")

    def __init__(self, schema: Json) -> None:
        """Compile a schema; raise DefinitionRefused when it is none."""
        self._anything = schema is True or schema == {}
        self._defaults = schema if b'"default"' in payloads.encode(schema) else None
        try:
            self._validator: Any = jsonschema_rs.validator_for(schema, offline=True, pattern_options=_PATTERNS)
        except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
            raise DefinitionRefused(f"this is no JSON Schema: {_first_line(error)}") from error

    def check(self, value: Json) -> None:
        """Raise PayloadRefused with the place of the first mistake when the value does not fit."""
        if self._anything:
            return
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            place = ".".join(str(part) for part in error.instance_path)
            raise PayloadRefused(f"{place}: {error.message}" if place else error.message) from None

    def complete(self, value: Json) -> Json:
        """What somebody outside gave, with its defaults filled in; raises PayloadRefused as ``check`` does.

        The same object when nothing is filled in.
        """
        value = value if self._defaults is None else defaults.filled(self._defaults, value)
        self.check(value)
        return value


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
