"""Arguments as a definition carries them: values become JSON, references become paths, and both are checked."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from actionbus.contracts import payloads
from actionbus.contracts.errors import DefinitionRefused, PayloadRefused
from actionbus.contracts.payloads import Json
from actionbus.contracts.templates import CEL, LITERAL, REF, WITH, is_expression
from actionbus.sdk import duration, fitting, member, reference, schema, shape
from actionbus.sdk.call import Call
from actionbus.sdk.duration import Duration
from actionbus.sdk.expression import Expression
from actionbus.sdk.place import Place
from actionbus.sdk.reference import Reference
from actionbus.sdk.scope import Scope
from actionbus.sdk.shape import Shape


@dataclass(frozen=True, slots=True)
class Built:
    """A model whose fields may be references: what ``flow.output(Model, ...)`` gives."""

    model: Any
    fields: dict[str, Any]
    place: Place


@dataclass(frozen=True, slots=True)
class Writing:
    """One place where arguments are written: its line, and the scopes whose references may stand there."""

    at: Place
    scopes: tuple[Scope, ...]

    def refusal(self, message: str) -> DefinitionRefused:
        """The error that names the line."""
        return DefinitionRefused(self.at.says(message))

    def call(self, call: Call[Any]) -> dict[str, Json]:
        """The template of a call's input."""
        parameters = call.action.signature.parameters
        return {
            name: self.value(value, parameters[name].annotation, f"{call.action.id}({name}=)")
            for name, value in call.arguments.items()
        }

    def value(self, value: Any, annotation: Any, what: str) -> Json:
        """The template of one value where a type is accepted; ``what`` names the place in messages."""
        if not _open(value):
            return literal(self.constant(value, annotation, what))
        template, given = self.open(value, what)
        expected = shape.of(annotation, "accepted")
        wrong = fitting.mismatch(given, expected)
        if wrong is not None:
            raise self.refusal(f"{what}: {wrong}{self._way_out(value, given, expected)}")
        return template

    def _way_out(self, value: Any, given: Shape, expected: Shape) -> str:
        if not isinstance(value, Reference) or not reference.origin(value).unseen:
            return ""
        if fitting.mismatch(reference.origin(value).shape, expected) is not None:
            return ""
        return (
            f". The step may have happened although its output was never seen, then {reference.origin(value).name} is "
            f"None: let the parameter accept None ({given}), or make the step transactional"
        )

    def limit(self, value: Duration | None, what: str) -> int | None:
        """A duration in milliseconds that something has to be done in; None when there is none."""
        if value is None:
            return None
        try:
            found = duration.milliseconds(value, what=what)
        except DefinitionRefused as error:
            raise self.refusal(str(error)) from None
        if found == 0:
            raise self.refusal(f"{what} of nothing would fail every attempt")
        return found

    def silence(self, value: Duration | None) -> int | None:
        """How long an attempt may say nothing, in milliseconds; None: as long as its action says."""
        try:
            return duration.silence(value)
        except DefinitionRefused as error:
            raise self.refusal(str(error)) from None

    def constant(self, value: Any, annotation: Any, what: str) -> Json:
        """A value of a type as JSON, no reference in it."""
        if _open(value):
            raise self.refusal(f"{what}: only a constant can stand here, no reference to what a run makes")
        try:
            plain = schema.plain(annotation, value)
            schema.adapter(annotation).validate_json(payloads.encode(plain))
        except (PayloadRefused, ValueError) as error:
            raise self.refusal(f"{what}: {schema.problems(error)}") from None
        return plain

    def open(self, value: Any, what: str) -> tuple[Json, Shape]:  # noqa: PLR0911 - a table of cases
        """The template of a value whatever its type, and the shape it will have."""
        match value:
            case Reference():
                return self._reference(value, what)
            case Built():
                return Writing(value.place, self.scopes).built(value)
            case Expression():
                return Writing(value.place, self.scopes).expression(value), shape.ANYTHING
            case Call():
                raise self.refusal(
                    f"{what}: {value.action.id}(...) is a call, not its result: give it to flow.run(...) first"
                )
            case dict():
                return self._object({self._key(key, what): each for key, each in value.items()}, what, "dict")
            case list() | tuple():
                parts = [self.open(each, f"{what}[{index}]") for index, each in enumerate(value)]
                return [template for template, _ in parts], shape.of_list([given for _, given in parts])
            case _ if _open(value):
                fields = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
                return self._object(fields, what, type(value).__name__)
            case _:
                plain, given = self.known(value, what)
                return literal(plain), given

    def expression(self, value: Expression, also: Mapping[str, Json] = MappingProxyType({})) -> Json:
        """The template of an expression; ``also`` are templates of names that it may read beside its own."""
        names = dict(also) | {
            name: self.open(each, f"{value.__called__()}, {name}=")[0] for name, each in value.names.items()
        }
        return {CEL: value.text, WITH: names} if names else {CEL: value.text}

    def known(self, value: Any, what: str) -> tuple[Json, Shape]:
        """A value that is known now as JSON, and its shape."""
        if _open(value):
            raise self.refusal(f"{what}: only a constant can stand here, no reference to what a run makes")
        try:
            plain = payloads.decode(payloads.encode(to_jsonable_python(value)))
        except (PayloadRefused, PydanticSerializationError) as error:
            raise self.refusal(f"{what}: {error}") from None
        return plain, shape.of_value(plain)

    def _reference(self, value: Reference, what: str) -> tuple[Json, Shape]:
        found = reference.origin(value)
        if not any(found.scope is each for each in self.scopes):
            raise self.refusal(f"{what}: {found.name} cannot be read here: {found.scope.outside}")
        return {REF: list(found.path)}, found.given

    def _object(self, fields: Mapping[str, Any], what: str, title: str) -> tuple[Json, Shape]:
        if _meaningful(fields):
            raise self.refusal(
                f"{what}: an object with the only key {next(iter(fields))} has a meaning of its own in definitions"
            )
        parts = {name: self.open(each, f"{what}.{name}") for name, each in fields.items()}
        given = shape.of_object({name: found for name, (_, found) in parts.items()}, title)
        return {name: template for name, (template, _) in parts.items()}, given

    def built(self, built: Built) -> tuple[Json, Shape]:
        """The template of a model whose fields may be references; fields with a known default are filled in."""
        known = shape.of(built.model, "accepted")
        what = f"flow.output({known})"
        template: dict[str, Json] = {}
        shapes: dict[str, Shape] = {}
        for name, value in built.fields.items():
            found = self._field(built.model, name, what)
            key = str(found.key)
            inner = known.member(key)
            if inner is None:
                raise self.refusal(f"{what}: it does not accept {name}")
            template[key] = self.field(value, found.annotation, inner, f"flow.output({known}, {name}=)")
            shapes[key] = inner
        for key, inner in known.get("properties", {}).items():
            if key in template:
                continue
            if key in known.get("required", ()) or "default" not in inner:
                raise self.refusal(f"{what}: it needs {key}")
            template[key], shapes[key] = literal(inner["default"]), known.inner(inner)
        return template, shape.of_object(shapes, str(known))

    def _field(self, model: Any, name: str, what: str) -> member.Member:
        try:
            return member.named(model, name)
        except DefinitionRefused as error:
            raise self.refusal(f"{what}: {error}") from None

    def field(self, value: Any, annotation: Any, expected: Shape, what: str) -> Json:
        """The template of one field of a model."""
        if not _open(value):
            return literal(self.constant(value, annotation, what))
        template, given = self.open(value, what)
        wrong = fitting.mismatch(given, expected)
        if wrong is not None:
            raise self.refusal(f"{what}: {wrong}")
        return template

    def _key(self, key: object, what: str) -> str:
        if not isinstance(key, str):
            raise self.refusal(f"{what}: the key {key!r} is no text, and JSON has no other keys")
        return key


def literal(value: Json) -> Json:
    """A template that gives exactly this value, also when a part of it looks like a reference."""
    return {LITERAL: value} if _looks_like_template(value) else value


def _looks_like_template(value: Json) -> bool:
    if isinstance(value, dict):
        return _meaningful(value) or any(_looks_like_template(each) for each in value.values())
    return isinstance(value, list) and any(_looks_like_template(each) for each in value)


def _meaningful(fields: Mapping[str, Any]) -> bool:
    return (len(fields) == 1 and (REF in fields or LITERAL in fields)) or is_expression(dict(fields))


def _open(value: Any) -> bool:
    match value:
        case Reference() | Expression() | Built() | Call():
            return True
        case dict():
            return any(_open(each) for each in value.values())
        case list() | tuple():
            return any(_open(each) for each in value)
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return any(_open(getattr(value, each.name)) for each in dataclasses.fields(value))
        case _:
            return False
