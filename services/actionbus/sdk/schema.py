"""What a Python type is as JSON: its schema, reading into it, writing from it. Pydantic decides; this room only asks.

Three schemas belong to a type. ``accepted``: where it is read into Python, which fills in defaults (a parameter).
``given``: where it is written from Python (an output). ``started``: a run's input, complete before steps
refer to its fields, and what signals and forms say. In the last two every field of a model is there, so all of them
count as required: what comes from outside gets its defaults first (``contracts/defaults.py``).
"""

from functools import lru_cache
from typing import Any, Literal

from pydantic import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, core_schema

from actionbus.contracts import payloads
from actionbus.contracts.errors import DefinitionRefused, PayloadRefused
from actionbus.contracts.payloads import Json

Side = Literal["accepted", "given", "started"]


class _Complete(GenerateJsonSchema):
    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 - the signature is pydantic's
    ) -> bool:
        """A field with a default is written too; only a TypedDict may leave one out."""
        if field["type"] != "typed-dict-field":
            return not field.get("serialization_exclude") and "serialization_exclude_if" not in field
        return super().field_is_required(field, total)


def adapter(annotation: Any) -> TypeAdapter[Any]:
    """Pydantic's view of a type; raise DefinitionRefused when it has none."""
    try:
        return _adapter(annotation)
    except TypeError as error:
        if "unhashable" in str(error):
            return _new_adapter(annotation)
        raise


@lru_cache(maxsize=2048)
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return _new_adapter(annotation)


def _new_adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError) as error:
        first = str(error).splitlines()[0]
        raise DefinitionRefused(f"{shown(annotation)} cannot travel as JSON: {first}") from error


def json_schema(annotation: Any, side: Side) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a type, self-contained; raise DefinitionRefused when it has none."""
    mode = "serialization" if side == "given" else "validation"
    generator = GenerateJsonSchema if side == "accepted" else _Complete
    try:
        return adapter(annotation).json_schema(mode=mode, schema_generator=generator)
    except (PydanticInvalidForJsonSchema, PydanticUserError) as error:
        first = str(error).splitlines()[0]
        raise DefinitionRefused(f"{shown(annotation)} has no JSON Schema: {first}") from error


def plain(annotation: Any, value: Any) -> Json:
    """A value of a type as JSON data; raise PayloadRefused when it is no value of that type."""
    known = adapter(annotation)
    try:
        return known.dump_python(known.validate_python(value), mode="json", by_alias=True, warnings="error")
    except (ValueError, PydanticSerializationError) as error:
        raise PayloadRefused(f"this is no {shown(annotation)}: {problems(error)}") from error


def render(annotation: Any, value: Any) -> bytes:
    """A value of a type as canonical JSON; raise PayloadRefused when it is no value of that type."""
    return payloads.encode(plain(annotation, value))


def problems(error: Exception) -> str:
    """What pydantic found, in one line, without the values themselves: they may be secret."""
    found = getattr(error, "errors", None)
    if found is None:
        return " ".join(str(error).split())
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"]))) for each in found(include_input=False)
    )


def shown(annotation: Any) -> str:
    """A type as its author would write it."""
    if annotation is type(None) or annotation is None:
        return "None"
    if isinstance(annotation, type) and not getattr(annotation, "__args__", None):
        return annotation.__name__
    return str(annotation).replace("typing.", "")
