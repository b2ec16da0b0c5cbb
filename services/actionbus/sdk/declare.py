"""How a user declares an action: ``@action(...)`` above a function, or ``action.create(execute=...)``.

The overloads tell a type checker the same thing four times: the context is no parameter of the action, and a
coroutine's value is what the action gives.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, Final, ParamSpec, Protocol, TypeVar, Unpack, overload

from actionbus.sdk import place
from actionbus.sdk.action import Action, Options
from actionbus.sdk.context import ActionContext

P = ParamSpec("P")
R = TypeVar("R")


class Declaring(Protocol):
    """Turns a function into an action."""

    @overload
    def __call__(self, execute: Callable[Concatenate[ActionContext, P], Coroutine[Any, Any, R]], /) -> Action[P, R]: ...
    @overload
    def __call__(self, execute: Callable[P, Coroutine[Any, Any, R]], /) -> Action[P, R]: ...
    @overload
    def __call__(self, execute: Callable[Concatenate[ActionContext, P], R], /) -> Action[P, R]: ...
    @overload
    def __call__(self, execute: Callable[P, R], /) -> Action[P, R]: ...


class Declare:
    """Declares actions. Raises DefinitionRefused with the line of what cannot be declared so."""

    def __call__(self, *, id: str, **options: Unpack[Options]) -> Declaring:  # noqa: A002 - the user's word
        """Declare the function below as an action; its parameters and its return type are its schemas."""
        at = place.here()

        def declare(execute: Callable[..., Any], /) -> Action[..., Any]:
            return Action(id=id, execute=execute, declared_at=at, **options)

        return declare  # pyright: ignore[reportReturnType] - the overloads say more than one function can

    @overload
    def create(
        self,
        *,
        id: str,
        execute: Callable[Concatenate[ActionContext, P], Coroutine[Any, Any, R]],
        **options: Unpack[Options],
    ) -> Action[P, R]: ...
    @overload
    def create(
        self, *, id: str, execute: Callable[P, Coroutine[Any, Any, R]], **options: Unpack[Options]
    ) -> Action[P, R]: ...
    @overload
    def create(
        self, *, id: str, execute: Callable[Concatenate[ActionContext, P], R], **options: Unpack[Options]
    ) -> Action[P, R]: ...
    @overload
    def create(self, *, id: str, execute: Callable[P, R], **options: Unpack[Options]) -> Action[P, R]: ...
    def create(self, *, id: str, execute: Callable[..., Any], **options: Unpack[Options]) -> Action[..., Any]:  # noqa: A002 - the user's word
        """Declare a function that exists as an action; what ``@action`` does for the function below it."""
        return Action(id=id, execute=execute, declared_at=place.here(), **options)


action: Final = Declare()
