"""Actions: a user's function with an id, and everything that the worker and the workflow must know of it."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack

from actionbus.contracts import identifiers
from actionbus.contracts.definitions import ActionSpec, Effect, Encoding
from actionbus.contracts.errors import ActionbusError, DefinitionRefused
from actionbus.sdk import duration, place, schema
from actionbus.sdk.call import Call
from actionbus.sdk.duration import Duration
from actionbus.sdk.limit import Limit
from actionbus.sdk.place import Place
from actionbus.sdk.retry import Retry
from actionbus.sdk.signature import Signature

P = ParamSpec("P")
R = TypeVar("R")

EffectName = Literal["idempotent", "transactional"]
EncodingName = Literal["avro", "json"]
DEFAULT_STORE: Final = "default"
DEFAULT_TIMEOUT: Final = "1m"
DEFAULT_CONCURRENCY: Final = 100


class Options(TypedDict, total=False):
    """What may be said of an action beside its id and its function."""

    description: str | None
    """A sentence for people; the first line of the function's docstring when left out."""
    effect: EffectName | Effect
    """``idempotent`` (it may run again, with the same ``ctx.step_key``) or ``transactional`` (its writes through
    ``ctx.db`` and its completion are one commit)."""
    store: str | None
    """transactional: the name of the database; ``default`` when left out."""
    retry: Retry | None
    """When a failed attempt is tried again, unless a workflow says otherwise; five attempts when left out."""
    timeout: Duration
    """Limit of one attempt; one minute when left out."""
    heartbeat: Duration | None
    """How long an attempt that began may say nothing (``ctx.heartbeat()``); as long as it likes when left out."""
    emits: Sequence[str]
    """The topics that ``ctx.emit`` may name."""
    encoding: EncodingName | Encoding
    """How its commands are written: ``avro``, or ``json`` for workers without Avro."""
    safe_to_leave: bool
    """Whether what it did may stay when a run is undone, because it only reads for example; see ``saga``."""
    max_concurrency: int
    """Attempts that one worker process runs at a time; 100 when left out."""
    limit: Limit | None
    """How many attempts all workers together run at a time, and how often one begins; no limit when left out."""


class Action(Generic[P, R]):
    """A declared action. Calling it inside a workflow gives a ``Call``; ``execute`` is the user's own function."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the user's word
        execute: Callable[..., Any],
        declared_at: Place | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.declared_at = place.here() if declared_at is None else declared_at
        try:
            self.id = identifiers.name("action id", id)
            self.execute = execute
            self.description = options.get("description") or _first_line(execute)
            self.effect = _effect(options.get("effect", "idempotent"))
            self.store = _store(self.effect, options.get("store"))
            self.encoding = Encoding(options.get("encoding", "avro"))
            self.retry = (options.get("retry") or Retry()).policy
            self.start_to_close_ms = duration.milliseconds(options.get("timeout", DEFAULT_TIMEOUT), what="timeout")
            self.heartbeat_ms = duration.silence(options.get("heartbeat"))
            self.emits = tuple(_topic(each) for each in options.get("emits", ()))
            self.safe_to_leave = options.get("safe_to_leave", False)
            self.max_concurrency = _positive("max_concurrency", options.get("max_concurrency", DEFAULT_CONCURRENCY))
            given = options.get("limit")
            self.limit = None if given is None else given.policy
            self.is_async = inspect.iscoroutinefunction(execute) or inspect.iscoroutinefunction(
                getattr(execute, "__call__", None)  # noqa: B004 - the method itself is looked at, not whether it is there
            )
            self.signature = Signature(execute, f"action {id}")
            self.takes_context = self.signature.takes_context
            self._check()
            self.spec = self._spec()
        except (ActionbusError, ValueError) as error:
            raise DefinitionRefused(self.declared_at.says(str(error))) from error

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Call[R]:
        """The action with these arguments, for ``flow.run``; each may be a value or a reference."""
        at = place.here()
        names = list(self.signature.parameters)
        if len(args) > len(names):
            raise DefinitionRefused(
                at.says(f"{self.id} takes {len(names)} arguments, not {len(args)}: {self.signature}")
            )
        arguments: dict[str, Any] = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.signature.parameters:
                raise DefinitionRefused(at.says(f"{self.id} has no parameter {name}; it takes {self.signature}"))
            if name in arguments:
                raise DefinitionRefused(at.says(f"{self.id} is given {name} twice"))
            arguments[name] = value
        missing = [
            each.name for each in self.signature.parameters.values() if each.required and each.name not in arguments
        ]
        if missing:
            raise DefinitionRefused(at.says(f"{self.id} is not given {', '.join(missing)}; it takes {self.signature}"))
        return Call(self, arguments, at)

    def parse(self, payload: bytes) -> dict[str, Any]:
        """The keyword arguments in a command's input, without the context; raise PayloadRefused if they do not fit."""
        return self.signature.read(payload)

    def render(self, value: Any) -> bytes:
        """What the function returned, as canonical JSON; raise PayloadRefused when it is not of the declared type."""
        return schema.render(self.signature.returns, value)

    def __repr__(self) -> str:
        """For debuggers."""
        return f"<action {self.id} declared at {self.declared_at}>"

    def _check(self) -> None:
        if self.effect is Effect.TRANSACTIONAL and not self.is_async:
            raise DefinitionRefused(
                f"action {self.id} is transactional but a plain def: its database session is asynchronous, "
                "declare it with async def"
            )
        if self.start_to_close_ms == 0:
            raise DefinitionRefused(f"action {self.id}: a timeout of nothing would fail every attempt")

    def _spec(self) -> ActionSpec:
        return ActionSpec(
            id=self.id,
            description=self.description,
            effect=self.effect,
            store=self.store,
            encoding=self.encoding,
            input_schema=self.signature.input_schema(),
            output_schema=self.signature.output_schema(),
            retry=self.retry,
            start_to_close_ms=self.start_to_close_ms,
            heartbeat_ms=self.heartbeat_ms,
            emits=self.emits,
            limit=self.limit,
            safe_to_leave=self.safe_to_leave,
        )


def _first_line(function: Callable[..., Any]) -> str:
    return (inspect.getdoc(function) or "").split("\n", 1)[0]


def _effect(effect: EffectName | Effect) -> Effect:
    known = Effect(effect)
    if known not in (Effect.IDEMPOTENT, Effect.TRANSACTIONAL):
        raise DefinitionRefused(f"effect {known.value} is not there yet: use idempotent or transactional")
    return known


def _store(effect: Effect, store: str | None) -> str | None:
    if effect is Effect.TRANSACTIONAL:
        return identifiers.name("store", store if store is not None else DEFAULT_STORE)
    if store is not None:
        raise DefinitionRefused(f'store {store!r} is for transactional actions only: add effect="transactional"')
    return None


def _topic(topic: str) -> str:
    if identifiers.TOPIC.fullmatch(topic) is None:
        raise DefinitionRefused(f"emits: {topic!r} is no topic name: use 1 to 249 of A-Z a-z 0-9 . _ -")
    return topic


def _positive(what: str, value: int) -> int:
    if value < 1:
        raise DefinitionRefused(f"{what} is {value}: use 1 or more")
    return value
