"""Actions: a user's function with an id, and everything that the worker and the workflow must know of it."""

import inspect
import os
from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Literal, ParamSpec, TypedDict, TypeVar, Unpack

from actionbus.contracts import identifiers
from actionbus.contracts.definitions import ActionSpec, Effect, Encoding, KeyPolicy
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

EffectName = Literal["idempotent", "transactional", "http", "at_most_once"]
KeyName = Literal["step", "attempt"]
EncodingName = Literal["avro", "json"]
DEFAULT_STORE: Final = "default"
DEFAULT_TIMEOUT: Final = "1m"
DEFAULT_CONCURRENCY: Final = 100
DEFAULT_WINDOW: Final = "24h"  # after which Stripe may forget a key


class Options(TypedDict, total=False):
    """What may be said of an action beside its id and its function."""

    description: str | None
    """A sentence for people; the first line of the function's docstring when left out."""
    effect: EffectName | Effect
    """``idempotent`` (it may run again, with the same ``ctx.step_key``), ``transactional`` (its writes through
    ``ctx.db`` and its completion are one commit), ``http`` (it calls through ``ctx.http``, and what was answered is
    not asked again) or ``at_most_once`` (what may have happened is not done again)."""
    store: str | None
    """The name of the database of a transactional action, or of the journal of one that calls over HTTP or runs at
    most once; ``default`` when left out."""
    key: KeyName | KeyPolicy
    """http: whether all attempts ask under the same idempotency keys (``step``, when left out), or each under keys of
    its own (``attempt``), for peers that answer a key with the failure that it had first."""
    window: Duration
    """http: for how long after the first request the peer surely knows its key; 24 hours when left out."""
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
    """Attempts that one worker process runs at a time; 100 when left out, or as many as there are processors."""
    cpu_bound: bool
    """Whether it computes for long: a plain function, whose attempts run in processes of their own, one on each
    processor unless ``max_concurrency`` says otherwise. One whose time is over is killed."""
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
            self.key = KeyPolicy(options.get("key", "step"))
            self.window_ms = duration.milliseconds(options.get("window", DEFAULT_WINDOW), what="window")
            self._check_http(options)
            self.encoding = Encoding(options.get("encoding", "avro"))
            self.retry = (options.get("retry") or Retry()).policy
            self.start_to_close_ms = duration.milliseconds(options.get("timeout", DEFAULT_TIMEOUT), what="timeout")
            self.heartbeat_ms = duration.silence(options.get("heartbeat"))
            self.emits = tuple(_topic(each) for each in options.get("emits", ()))
            self.safe_to_leave = options.get("safe_to_leave", False)
            self.cpu_bound = options.get("cpu_bound", False)
            usual = os.cpu_count() or 1 if self.cpu_bound else DEFAULT_CONCURRENCY
            self.max_concurrency = _positive("max_concurrency", options.get("max_concurrency", usual))
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

    def _check_http(self, options: Options) -> None:
        named = [name for name in ("key", "window") if name in options]
        if named and self.effect is not Effect.HTTP:
            raise DefinitionRefused(f'action {self.id}: {named[0]} is for calls over HTTP: add effect="http"')
        if self.window_ms == 0:
            raise DefinitionRefused(f"action {self.id}: with a window of nothing no request could be sent again")

    def _check(self) -> None:
        if self.effect is Effect.HTTP and not self.is_async:
            raise DefinitionRefused(
                f"action {self.id} calls over HTTP but is a plain def: its client is asynchronous, "
                "declare it with async def"
            )
        if self.effect is Effect.TRANSACTIONAL and not self.is_async:
            raise DefinitionRefused(
                f"action {self.id} is transactional but a plain def: its database session is asynchronous, "
                "declare it with async def"
            )
        if self.cpu_bound and (self.is_async or self.effect is Effect.TRANSACTIONAL):
            raise DefinitionRefused(
                f"action {self.id} is cpu_bound, so it has to be a plain def without a database session: "
                "let it only compute, and write in an action of its own"
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
            key=self.key,
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
    return Effect(effect)


def _store(effect: Effect, store: str | None) -> str | None:
    if effect is not Effect.IDEMPOTENT:
        return identifiers.name("store", store if store is not None else DEFAULT_STORE)
    if store is not None:
        raise DefinitionRefused(
            f'an idempotent action has no store {store!r}: add effect="transactional" to write there'
        )
    return None


def _topic(topic: str) -> str:
    if identifiers.TOPIC.fullmatch(topic) is None:
        raise DefinitionRefused(f"emits: {topic!r} is no topic name: use 1 to 249 of A-Z a-z 0-9 . _ -")
    return topic


def _positive(what: str, value: int) -> int:
    if value < 1:
        raise DefinitionRefused(f"{what} is {value}: use 1 or more")
    return value
