"""The base of what a graph is made of: frozen, nothing unknown accepted, written without what goes without saying."""

from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

KIND = "kind"


class Part(BaseModel):
    """A part of a graph. A field that has its default is not written: a new one changes no graph without it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    @model_serializer(mode="wrap")
    def _lean(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name, alias, default in _defaults(type(self)):
            if getattr(self, name) == default:
                written.pop(alias, None)
        return written


@cache  # a factory of a default is examined each time it is asked, and what it gives is only compared here
def _defaults(part: type[Part]) -> list[tuple[str, str, Any]]:
    """The fields that may go without saying: the name, how it is written, and the default."""
    return [
        (name, field.alias or name, field.get_default(call_default_factory=True))
        for name, field in part.model_fields.items()
        if name != KIND and not field.is_required()
    ]
