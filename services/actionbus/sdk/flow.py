"""What a workflow function is given: it writes down each node, in order, and what stands inside another one in a block.

A block is a function without a name of its own, often a lambda: it is called once, while the workflow is read, and what
it returns is what the block gives. How each kind of node is written stands in ``step``, ``branches``, ``loops``
and ``blocks``; waits for what is outside stand in ``outside``.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, ParamSpec, TypeVar, overload

from actionbus.contracts import identifiers
from actionbus.contracts.nodes import EmitNode, RaiseNode, SetNode, ShowNode
from actionbus.sdk import blocks, branches, loops, place, shape, step
from actionbus.sdk.call import Call
from actionbus.sdk.duration import Duration
from actionbus.sdk.expression import written
from actionbus.sdk.loops import Turn
from actionbus.sdk.outside import Outside
from actionbus.sdk.retry import Retry
from actionbus.sdk.rule import OnBlockFailure, OnFailure
from actionbus.sdk.template import Built, Writing

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")
Block = Callable[[], R]


class Flow(Outside):
    """Writes nodes down. It exists only while its workflow function is read; every refusal names the line.

    Every node has an id, made from what it does unless ``id`` is given.
    """

    def run(
        self,
        call: Call[R],
        *,
        id: str | None = None,  # noqa: A002 - the user's word
        undo: Callable[[R], Call[Any]] | None = None,
        on_failure: Sequence[OnFailure[R]] = (),
        retry: Retry | None = None,
        timeout: Duration | None = None,
        heartbeat: Duration | None = None,
        schedule_to_start: Duration | None = None,
        schedule_to_close: Duration | None = None,
        pivot: bool = False,
    ) -> R:
        """Add a step that runs an action, and give a reference to what it will give.

        ``undo`` writes the call that takes the step back, from what the step made. ``on_failure`` are the decisions,
        tried in order; without a match the step is retried, then the run is undone. ``retry`` and ``timeout`` (of one
        attempt) replace the action's own, as does ``heartbeat``, how long an attempt that began may say nothing;
        ``schedule_to_start`` limits how long an attempt waits for a worker, ``schedule_to_close`` all attempts
        together. ``pivot`` marks the point of no return of a workflow that is
        declared with ``saga=True``. The step's id is the action's id.
        """
        return step.run(
            self._draft,
            call,
            id,
            undo=undo,
            on_failure=on_failure,
            retry=retry,
            timeout=timeout,
            heartbeat=heartbeat,
            schedule_to_start=schedule_to_start,
            schedule_to_close=schedule_to_close,
            pivot=pivot,
        )

    def emit(self, topic: str, *, key: Any = None, value: Any = None, id: str | None = None) -> None:  # noqa: A002 - the user's word
        """Add a record that is published to a topic when the run gets here: exactly once."""
        writing = self._draft.writing()
        if identifiers.TOPIC.fullmatch(topic) is None:
            raise writing.refusal(f"{topic!r} is no topic name: use 1 to 249 of A-Z a-z 0-9 . _ -")
        default = re.sub(r"[^a-z0-9]+", "-", f"emit-{topic.lower()}").strip("-")
        node = self._draft.claim(id, default, writing, 'flow.emit(..., id="...")')
        record = {"key": writing.open(key, "key")[0], "value": writing.open(value, "value")[0]}
        self._draft.add(EmitNode, writing, id=node, topic=topic, **record)

    def output(self, model: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A model whose fields are values and references: to be returned, or passed to an action."""
        at = place.here()
        if args:
            raise Writing(at, ()).refusal("flow.output takes the model and its fields by name")
        return Built(model, dict(kwargs), at)  # type: ignore[return-value] - it stands for an R

    def compute(self, text: str, gives: type[R], /, *, id: str | None = None, **names: Any) -> R:  # noqa: A002 - the user's word
        """Add a value that is computed once, by an expression: ``flow.compute("a * b", int, a=order.price, b=2)``.

        ``gives`` is the type that the expression is said to give; nobody checks it in a run.
        """
        writing = self._draft.writing()
        node = self._draft.claim(id, self._draft.number("compute"), writing, 'flow.compute(..., id="...")')
        self._draft.add(SetNode, writing, id=node, value=writing.expression(written(text, names, ())))
        return self._draft.result(node, gives, shape.of(gives, "given"))

    def show(self, name: str, value: Any, *, id: str | None = None) -> None:  # noqa: A002 - the user's word
        """Show a value to whoever looks at the run, from here on and until another one of that name is shown."""
        writing = self._draft.writing()
        node = self._draft.claim(id, self._draft.number(f"show-{name}"), writing, 'flow.show(..., id="...")')
        self._draft.add(ShowNode, writing, id=node, name=name, value=writing.open(value, name)[0])

    def fail(
        self,
        error: str | type[Exception],
        message: str = "",
        *,
        details: Any = None,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> NoReturn:  # pyright: ignore[reportReturnType] - what follows is never reached in a run
        """Add a failure of this type: the rules of the blocks around it answer it, else the run is undone."""
        writing = self._draft.writing()
        name = error if isinstance(error, str) else error.__name__
        if identifiers.ERROR_TYPE.fullmatch(name) is None:
            raise writing.refusal(f"{name!r} is no error type: use a name such as CardRefused")
        node = self._draft.claim(id, self._draft.number("fail"), writing, 'flow.fail(..., id="...")')
        said = {"message": writing.value(message, str, "message"), "details": writing.open(details, "details")[0]}
        self._draft.add(RaiseNode, writing, id=node, error_type=name, **said)

    @overload
    def choose(self, *cases: tuple[bool, Block[R]], otherwise: Block[R], id: str | None = None) -> R: ...
    @overload
    def choose(self, *cases: tuple[bool, Block[R]], id: str | None = None) -> R | None: ...
    def choose(self, *cases: Any, otherwise: Any = None, id: str | None = None) -> Any:  # noqa: A002 - the user's word
        """Go on with the first case whose condition holds, else with ``otherwise``, and give what that one gives.

        ``flow.choose((cel("total > 100", total=order.total), lambda: flow.run(...)), otherwise=lambda: ...)``
        """
        return branches.choose(self._draft, cases, otherwise, id)

    @overload
    def parallel(self, a: Block[A], b: Block[B], /, *, id: str | None = None) -> tuple[A, B]: ...
    @overload
    def parallel(self, a: Block[A], b: Block[B], c: Block[C], /, *, id: str | None = None) -> tuple[A, B, C]: ...
    @overload
    def parallel(
        self, a: Block[A], b: Block[B], c: Block[C], d: Block[D], /, *, id: str | None = None
    ) -> tuple[A, B, C, D]: ...
    @overload
    def parallel(
        self, a: Block[A], b: Block[B], c: Block[C], d: Block[D], e: Block[E], /, *, id: str | None = None
    ) -> tuple[A, B, C, D, E]: ...
    @overload
    def parallel(self, *blocks: Block[R], id: str | None = None) -> tuple[R, ...]: ...
    @overload
    def parallel(self, *blocks: Block[R], enough: int, id: str | None = None) -> list[R | None]: ...
    def parallel(self, *blocks: Any, enough: int | None = None, id: str | None = None) -> Any:  # noqa: A002 - the user's word
        """Go on with all blocks at the same time, and give what each of them gives, in their order.

        ``enough``: as soon as so many have succeeded the others are given up and undone, and give None.
        """
        return branches.parallel(self._draft, blocks, enough, id)

    def first(self, *blocks: Block[R], id: str | None = None) -> R:  # noqa: A002 - the user's word
        """Go on with all blocks at the same time until one has succeeded, and give what that one gives."""
        return branches.first(self._draft, blocks, id)

    @overload
    def map(
        self,
        items: Sequence[T],
        body: Callable[[T], R] | Callable[[T, int], R],
        *,
        concurrency: int = 50,
        id: str | None = None,
    ) -> list[R]: ...
    @overload
    def map(
        self,
        items: Sequence[T],
        body: Callable[[T], R] | Callable[[T, int], R],
        *,
        concurrency: int = 50,
        may_fail: int = 0,
        may_fail_percent: float = 0,
        id: str | None = None,
    ) -> list[R | None]: ...
    def map(
        self,
        items: Any,
        body: Any,
        *,
        concurrency: int = 50,
        may_fail: int = 0,
        may_fail_percent: float = 0,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> Any:
        """Do the same for each item of a list, and give what each gave, in the order of the items.

        ``body`` may take the item's place, from 0, as well. So many items may fail, or that share of them: a failed one
        is undone and gives None.
        """
        limits = {"concurrency": concurrency, "may_fail": may_fail, "may_fail_percent": may_fail_percent}
        return loops.map_over(self._draft, items, body, id, may_give_none=bool(may_fail or may_fail_percent), **limits)

    @overload
    def repeat(
        self,
        body: Callable[[Turn], R],
        *,
        until: Callable[[R], bool] | None = None,
        limit: int | None = 10,
        id: str | None = None,
    ) -> R: ...
    @overload
    def repeat(
        self,
        body: Callable[[Turn], R],
        *,
        while_: Callable[[Turn], bool],
        until: Callable[[R], bool] | None = None,
        limit: int | None = 10,
        id: str | None = None,
    ) -> R | None: ...
    def repeat(
        self,
        body: Callable[[Turn], Any],
        *,
        while_: Callable[[Turn], bool] | None = None,
        until: Callable[[Any], bool] | None = None,
        limit: int | None = 10,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> Any:
        """Do the same again and again, and give what the last turn gave; None when there was no turn.

        A turn begins only if ``while_`` holds, and is the last one if ``until`` holds of what it gave. With a condition
        a turn more than ``limit`` is a failure of type TooManyTurns; without one there are ``limit`` turns. Without a
        limit (None) a turn that is over is never undone.
        """
        return loops.repeat(self._draft, body, id, while_=while_, until=until, limit=limit)

    def attempt(
        self,
        body: Block[R],
        *,
        on_failure: Sequence[OnBlockFailure[R]] = (),
        always: Block[object] | None = None,
        timeout: Duration | None = None,
        id: str | None = None,  # noqa: A002 - the user's word
    ) -> R:
        """Try a block, and give what it gives, or what its rules say instead; ``always`` follows in every case.

        A block that failed is undone before its rule is followed, unless that says ``undo=False``; where no rule
        matches, the failure goes on to what is around the block. ``timeout`` limits each attempt of the block, which
        then fails with ``Timeout``.
        """
        return blocks.attempt(self._draft, body, id, on_failure=on_failure, always=always, timeout=timeout)
