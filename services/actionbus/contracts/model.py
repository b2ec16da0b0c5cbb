"""The base of every record: a frozen model bound by its class name to the Avro schema of that name."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record. Fields, types, defaults and descriptions equal those of the Avro schema of the same name."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="utf8")

    _nested: ClassVar[tuple[str, ...]] = ()  # fields that hold records, alone or in a tuple

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Remember once which fields need a look inside when the record becomes plain data."""
        super().__pydantic_init_subclass__(**kwargs)
        cls._nested = tuple(name for name, field in cls.model_fields.items() if _holds_records(field.annotation))

    def plain(self) -> Mapping[str, Any]:
        """The record as dicts, lists and scalars, as the Avro writer takes it. The result must not be changed."""
        if not self._nested:
            return vars(self)
        fields = dict(vars(self))
        for name in self._nested:
            value = fields[name]
            if isinstance(value, tuple):
                fields[name] = [item.plain() if isinstance(item, Record) else item for item in value]
            elif isinstance(value, Record):
                fields[name] = value.plain()
        return fields

    def replace(self, **changes: Any) -> Self:
        """A copy with other values in some fields. The values are trusted: they come from our own code."""
        return self.model_copy(update=changes)

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Self:
        """The record that ``plain`` gave, checked."""
        return cls.model_validate(fields)


def _holds_records(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return True
    return annotation is not None and any(
        _holds_records(part) or part is Ellipsis for part in get_args(annotation) if part is not bytes
    )
