"""The base of every record: a frozen model bound by its class name to the Avro schema of that name."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict

R = TypeVar("R", bound="Record")

# A frozen model refuses to be set; these are what pydantic itself sets.
_FIELDS, _GIVEN, _EXTRA, _PRIVATE = (BaseModel.__dict__[name].__set__ for name in BaseModel.__slots__)


class Record(BaseModel):
    """A frozen record. Fields, types, defaults and descriptions equal those of the Avro schema of the same name."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="utf8")

    _nested: ClassVar[tuple[str, ...]] = ()  # fields that hold records, alone or in a tuple
    _blank: ClassVar[Mapping[str, Any]] = {}  # every field in order, with its default; ... where it has none
    _names: ClassVar[set[str]] = set()  # of all fields

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Remember once which fields need a look inside when the record becomes plain data, and what is not said."""
        super().__pydantic_init_subclass__(**kwargs)
        fields = cls.model_fields.items()
        cls._names = set(cls.model_fields)
        cls._nested = tuple(name for name, field in fields if _holds_records(field.annotation))
        cls._blank = {
            name: ... if field.is_required() else field.get_default(call_default_factory=True) for name, field in fields
        }

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
        return filled(type(self), {**vars(self), **changes})

    @classmethod
    def from_plain(cls, fields: Mapping[str, Any]) -> Self:
        """The record that ``plain`` gave, checked."""
        return cls.model_validate(fields)


def trusted(model: type[R]) -> type[R]:
    """The constructor of a model without its checks: half the time, and half a dozen records are made for each step.

    Only for values of our own, whose types pyright knows: a call is type-checked like one of the model. What a user or
    another process gave goes through the model itself.
    """
    blank = model._blank  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - its own room

    def make(**fields: Any) -> R:
        return filled(model, {**blank, **fields})

    return cast("type[R]", make)


def filled(model: type[R], fields: dict[str, Any]) -> R:
    """The record that keeps these very fields: all of them, in order, and trusted."""
    made = object.__new__(model)
    _FIELDS(made, fields)
    _GIVEN(made, model._names)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - its own room
    _EXTRA(made, None)
    _PRIVATE(made, None)
    return made


def _holds_records(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return True
    return annotation is not None and any(
        _holds_records(part) or part is Ellipsis for part in get_args(annotation) if part is not bytes
    )
