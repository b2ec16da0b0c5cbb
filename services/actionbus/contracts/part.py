"""The base of what a graph is made of: frozen, nothing unknown accepted, written without what goes without saying."""

from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

KIND = "kind"


class Part(BaseModel):
    """A part of a graph. A field that has its default is not written: a new one changes no graph without it."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    @model_serializer(mode="wrap")
    def _lean(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        for name, field in type(self).model_fields.items():
            if (
                name != KIND
                and not field.is_required()
                and getattr(self, name) == field.get_default(call_default_factory=True)
            ):
                written.pop(field.alias or name, None)
        return written
