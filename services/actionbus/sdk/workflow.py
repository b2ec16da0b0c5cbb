"""Workflows: a function that is read once, like a text, into a graph.

Nothing of it is run again, so it has no rules to obey about clocks, randomness or changes of its code.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final, Generic, Protocol, TypeVar, get_type_hints, overload

from actionbus.contracts import checks, identifiers
from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import ActionbusError, DefinitionRefused, PayloadRefused
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.nodes import SequenceNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.templates import INPUT
from actionbus.sdk import call, duration, place, schema, shape
from actionbus.sdk.action import Action
from actionbus.sdk.draft import Draft
from actionbus.sdk.duration import Duration
from actionbus.sdk.flow import Flow
from actionbus.sdk.limit import Limit
from actionbus.sdk.place import Place
from actionbus.sdk.reference import Origin, Reference
from actionbus.sdk.retry import Retry

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output
ROOT: Final = "root"


class Workflow(Generic[I, O]):
    """A declared workflow. Its graph is made when it is first asked for."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        id: str,  # noqa: A002 - the user's word
        version: str,
        description: str | None = None,
        timeout: Duration | None = None,
        undo_retry: Retry | None = None,
        limit: Limit | None = None,
        searchable: Mapping[str, str | None] | None = None,
        saga: bool = False,
        declared_at: Place | None = None,
    ) -> None:
        self.declared_at = place.here() if declared_at is None else declared_at
        self.function = function
        self.saga = saga
        try:
            self.id = identifiers.name("workflow id", id)
            self.version = identifiers.version(version)
            self.description = description or (inspect.getdoc(function) or "").split("\n", 1)[0]
            self.run_timeout_ms = None if timeout is None else duration.milliseconds(timeout, what="timeout")
            self.undo_retry = RetryPolicy(attempts=None) if undo_retry is None else undo_retry.policy
            self.limit = None if limit is None else limit.policy
            self.searchable = dict(searchable or {})
            self.input_type, self.output_type = _signature(function, f"workflow {id}")
        except (ActionbusError, ValueError) as error:
            raise DefinitionRefused(self.declared_at.says(str(error))) from error

    @property
    def graph(self) -> Graph:
        """The workflow as data; raise DefinitionRefused, naming the line, when it cannot be run as written."""
        return self._read[0]

    @property
    def actions(self) -> dict[str, Action[..., Any]]:
        """Every action that it uses, by id: in steps, undos and fallbacks."""
        return self._read[1]

    @property
    def children(self) -> "dict[str, Workflow[Any, Any]]":
        """Every workflow that it starts runs of, by id."""
        return self._read[2]

    def render_input(self, value: I) -> bytes:
        """The payload of a start request; raise PayloadRefused when the value does not fit the input's type."""
        return schema.render(self.input_type, value)

    def read_output(self, payload: bytes) -> O:
        """What a completed run gave, as the workflow's own type; raise PayloadRefused when it does not fit it."""
        try:
            return schema.adapter(self.output_type).validate_json(payload)
        except ValueError as error:
            raise PayloadRefused(f"the output of {self.id} does not fit: {schema.problems(error)}") from error

    def __repr__(self) -> str:
        """For debuggers."""
        return f"<workflow {self.id} version {self.version} declared at {self.declared_at}>"

    @cached_property
    def _read(self) -> "tuple[Graph, dict[str, Action[..., Any]], dict[str, Workflow[Any, Any]]]":
        draft = Draft()
        waiting: list[call.Call[Any]] = []
        token = call.unused.set(waiting)
        try:
            output = self._output(self._call_function(draft), draft)
        finally:
            call.unused.reset(token)
        if waiting:
            lost = waiting[0]
            raise DefinitionRefused(lost.place.says(f"{lost.action.id}(...) is never run: hand it to flow.run(...)"))
        graph = Graph(
            name=self.id,
            version=self.version,
            description=self.description,
            input_schema=schema.json_schema(self.input_type, "started"),
            output_schema=schema.json_schema(self.output_type, "given"),
            root=SequenceNode(id=ROOT, nodes=tuple(draft.root.nodes)),
            output=output,
            actions={name: draft.actions[name].spec for name in sorted(draft.actions)},
            run_timeout_ms=self.run_timeout_ms,
            undo_retry=self.undo_retry,
            limit=self.limit,
            searchable=self.searchable,
            saga=self.saga,
        )
        found = checks.mistakes(graph, DEFAULT_LIMITS)
        if found:
            raise DefinitionRefused(self.declared_at.says(checks.told(graph, found, draft.at)))
        return graph, draft.actions, draft.children

    def _call_function(self, draft: Draft) -> Any:
        given = Reference(Origin((INPUT,), self.input_type, shape.of(self.input_type, "started"), draft.root))
        arguments = (Flow(draft),) if _takes_only_flow(self.function) else (Flow(draft), given)
        try:
            return self.function(*arguments)
        except DefinitionRefused:
            raise
        except Exception as error:
            at = place.raised_in(error.__traceback__)
            raise DefinitionRefused(
                at.says(
                    f"workflow {self.id} cannot be read: {type(error).__name__}: {schema.problems(error)}{_hint(error)}"
                )
            ) from error

    def _output(self, returned: Any, draft: Draft) -> Json:
        if draft.fails:
            return None
        writing = draft.writing(place.of(self.function, self.declared_at))
        return writing.value(returned, self.output_type, f"what workflow {self.id} returns")


def _hint(error: Exception) -> str:
    if type(error).__name__ == "ValidationError":
        return (
            ". A model checks its values when it is made, and there are none yet: write flow.output(Model, field=...)"
        )
    return ""


def _takes_only_flow(function: Callable[..., Any]) -> bool:
    return len(inspect.signature(function).parameters) == 1


def _signature(function: Callable[..., Any], what: str) -> tuple[Any, Any]:
    if inspect.iscoroutinefunction(function):
        raise DefinitionRefused(f"{what} is async def: it is read, not run, so declare it with def")
    parameters = list(inspect.signature(function).parameters.values())
    if len(parameters) not in (1, 2):
        raise DefinitionRefused(f"{what} takes {len(parameters)} parameters: write def name(flow, value: Type) -> Type")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise DefinitionRefused(
            f"{what}: the type {error.name} is not known: declare it before the workflow"
        ) from error
    if len(parameters) == 2 and parameters[1].name not in hints:  # noqa: PLR2004 - the flow and the input
        raise DefinitionRefused(
            f"{what}: its input {parameters[1].name} has no type: annotate it, the type is its schema"
        )
    if "return" not in hints:
        raise DefinitionRefused(f"{what} does not say what it returns: annotate it, with -> None when nothing")
    return (hints[parameters[1].name] if len(parameters) > 1 else type(None)), hints["return"]


class Declaring(Protocol):
    """Turns a function into a workflow."""

    @overload
    def __call__(self, function: Callable[[Flow, I], O], /) -> Workflow[I, O]: ...
    @overload
    def __call__(self, function: Callable[[Flow], O], /) -> Workflow[None, O]: ...


def workflow(
    *,
    id: str,  # noqa: A002 - the user's word
    version: str,
    description: str | None = None,
    timeout: Duration | None = None,
    undo_retry: Retry | None = None,
    limit: Limit | None = None,
    searchable: Mapping[str, str | None] | None = None,
    saga: bool = False,
) -> Declaring:
    """Declare the function below as a workflow: ``def name(flow: Flow, value: Type) -> Type``.

    A deployed version never changes: give a changed workflow a new ``version``. ``timeout`` limits a whole run;
    ``undo_retry`` says how compensations are tried again, without limit when left out. ``limit`` says how many runs may
    be under way, and how often one may begin; other starts are accepted and wait. ``searchable`` says by what runs can
    be found: names with a CEL expression over ``input``, or with None for what only ``flow.show`` gives that name.
    ``saga`` refuses the workflow unless everything before its pivot can be undone and nothing after it can fail for
    good.
    """
    at = place.here()

    def declare(function: Callable[..., Any], /) -> Workflow[Any, Any]:
        return Workflow(
            function,
            id=id,
            version=version,
            description=description,
            timeout=timeout,
            undo_retry=undo_retry,
            limit=limit,
            searchable=searchable,
            saga=saga,
            declared_at=at,
        )

    return declare
