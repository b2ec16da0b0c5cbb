"""What a user's function takes and gives: its parameters and its return, each with the type it travels by."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NotRequired, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from actionbus.contracts.errors import DefinitionRefused, PayloadRefused
from actionbus.sdk import schema
from actionbus.sdk.context import ActionContext

CONTEXT: Final = "ctx"
_MISSING: Final = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an action."""

    name: str
    annotation: Any
    required: bool


class Signature:
    """The parameters of a function, without its context, and its return type."""

    def __init__(self, function: Callable[..., Any], what: str) -> None:
        plain = inspect.unwrap(function)
        plain = plain if inspect.isroutine(plain) or inspect.isclass(plain) else type(plain).__call__
        hints = _hints(plain, what)
        found = list(inspect.signature(function).parameters.values())
        self.takes_context = bool(found) and _is_context(found[0], hints)
        self.parameters: dict[str, Parameter] = {}
        for each in found[1:] if self.takes_context else found:
            self.parameters[each.name] = _parameter(each, hints, what)
        if "return" not in hints:
            raise DefinitionRefused(f"{what} does not say what it returns: annotate it, with -> None when nothing")
        self.returns: Any = hints["return"]
        self._input = _input_adapter(self.parameters, what)
        self._output = schema.adapter(self.returns)

    def read(self, payload: bytes) -> dict[str, Any]:
        """The keyword arguments in a JSON object; raise PayloadRefused when they do not fit the parameters."""
        try:
            return self._input.validate_json(payload)
        except ValidationError as error:
            raise PayloadRefused(schema.problems(error)) from error

    def input_schema(self) -> dict[str, Any]:
        """The JSON Schema of the parameters, as one object."""
        return self._input.json_schema()

    def output_schema(self) -> dict[str, Any]:
        """The JSON Schema of what is returned."""
        return schema.json_schema(self.returns, "given")

    def __str__(self) -> str:
        """The parameters as they were written, for messages."""
        shown = (f"{each.name}: {schema.shown(each.annotation)}" for each in self.parameters.values())
        return ", ".join(shown) or "nothing"


def _hints(function: Callable[..., Any], what: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DefinitionRefused(
            f"{what}: the type {error.name} of a parameter is not known where the function is declared: "
            "declare it at the top of the module, before the function"
        ) from error


def _is_context(first: inspect.Parameter, hints: dict[str, Any]) -> bool:
    return first.name == CONTEXT or hints.get(first.name) is ActionContext


def _parameter(found: inspect.Parameter, hints: dict[str, Any], what: str) -> Parameter:
    if found.kind in (found.VAR_POSITIONAL, found.VAR_KEYWORD, found.POSITIONAL_ONLY):
        raise DefinitionRefused(f"{what}: parameter {found} has no name to send it by: use plain named parameters")
    if found.name not in hints:
        raise DefinitionRefused(f"{what}: parameter {found.name} has no type: annotate it, the type is its schema")
    try:
        schema.adapter(hints[found.name])
    except DefinitionRefused as error:
        raise DefinitionRefused(f"{what}, parameter {found.name}: {error}") from error
    return Parameter(found.name, hints[found.name], required=found.default is _MISSING)


def _input_adapter(parameters: dict[str, Parameter], what: str) -> TypeAdapter[dict[str, Any]]:
    fields = {
        each.name: each.annotation if each.required else NotRequired[each.annotation] for each in parameters.values()
    }
    shape: Any = TypedDict("input", fields)  # type: ignore[misc] - the fields are known only here
    shape.__pydantic_config__ = ConfigDict(extra="forbid", title=what)
    return schema.adapter(shape)
