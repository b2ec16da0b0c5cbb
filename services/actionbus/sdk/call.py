"""An action with its arguments, as a workflow writes it: values and references, nothing executed."""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NoReturn, TypeVar

from actionbus.contracts.errors import DefinitionRefused
from actionbus.sdk import place
from actionbus.sdk.place import Place

if TYPE_CHECKING:
    from actionbus.sdk.action import Action

R = TypeVar("R")

unused: Final[ContextVar["list[Call[Any]] | None"]] = ContextVar("unused", default=None)
"""While a workflow is read: the calls that were made and not yet handed to the flow."""


@dataclass(frozen=True, slots=True, eq=False)
class Call(Generic[R]):
    """What ``flow.run``, ``undo=`` and ``.fallback()`` take. Making one runs nothing."""

    action: "Action[..., R]"
    arguments: dict[str, Any]
    place: Place

    def __post_init__(self) -> None:
        """Remember the call until somebody takes it: a forgotten ``flow.run`` would be a step that never happens."""
        waiting = unused.get()
        if waiting is not None:
            waiting.append(self)

    def take(self) -> "Call[R]":
        """The call itself, now used."""
        waiting = unused.get()
        if waiting is not None and self in waiting:
            waiting.remove(self)
        return self

    def exactly(self, value: R) -> R:
        """The value unchanged. For a type checker it pins R: neither a wider nor a narrower type will do."""
        return value

    def __await__(self) -> NoReturn:
        """A call is no coroutine; say what to do instead."""
        raise DefinitionRefused(
            place.here().says(
                f"{self.action.id}(...) only describes a call: hand it to flow.run(...) in a workflow, "
                f"or await {self.action.id.replace('-', '_')}.execute(...) in a test"
            )
        )
