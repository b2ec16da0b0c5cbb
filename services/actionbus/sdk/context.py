"""What an action is told about the attempt it is, and what it may ask for. The worker makes one for each attempt."""

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from pydantic_core import PydanticSerializationError, to_jsonable_python

from actionbus.contracts import payloads, tokens
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import Emit
from actionbus.sdk.errors import AnswerLater, NonRetryable

if TYPE_CHECKING:
    import httpx
    from sqlalchemy.ext.asyncio import AsyncSession


class ActionContext:
    """One attempt of one step, as its action sees it. Used by one attempt only, in one task or thread."""

    __slots__ = (
        "_allowed",
        "_beats",
        "_cancelled",
        "_details",
        "_emitted",
        "_heartbeat_bytes",
        "_http",
        "_log",
        "_session",
        "attempt",
        "command_id",
        "deadline",
        "heartbeat_details",
        "run_id",
        "step",
        "step_key",
        "token",
        "workflow",
    )

    def __init__(
        self,
        *,
        run_id: str,
        workflow: str,
        step: str,
        step_key: str,
        command_id: str,
        attempt: int,
        deadline: int | None = None,
        token: str = "",
        heartbeat_details: Json = None,
        heartbeat_bytes: int = DEFAULT_LIMITS.heartbeat_bytes,
        beats: deque[bytes | None] | None = None,
        emits: tuple[str, ...] = (),
        session: "AsyncSession | None" = None,
        http: "httpx.AsyncClient | None" = None,
    ) -> None:
        self.run_id = run_id
        self.workflow = workflow
        self.step = step
        self.step_key = step_key
        """The idempotency key: the same for all attempts of the step, different for every other step."""
        self.command_id = command_id
        self.attempt = attempt
        """1 for the first attempt."""
        self.deadline = deadline
        """Epoch milliseconds after which nobody waits for the result; None: no end."""
        self.token = token
        """What somebody needs who answers for this attempt in its place; as secret as a password."""
        self.heartbeat_details = heartbeat_details
        """What the last heartbeat of an attempt before this one said; None when there was none."""
        self._heartbeat_bytes = heartbeat_bytes
        self._beats: deque[bytes | None] = deque(maxlen=1) if beats is None else beats
        self._details: bytes | None = None
        self._allowed = emits
        self._session = session
        self._http = http
        self._emitted: list[Emit] = []
        self._cancelled = False
        self._log: Any = None

    @classmethod
    def of(
        cls,
        command: ActionCommand,
        *,
        emits: tuple[str, ...] = (),
        session: "AsyncSession | None" = None,
        http: "httpx.AsyncClient | None" = None,
        beats: deque[bytes | None] | None = None,
        heartbeat_bytes: int = DEFAULT_LIMITS.heartbeat_bytes,
    ) -> "ActionContext":
        """The context of the attempt that a command orders; ``emits`` are the topics the action declares.

        What heartbeats say is put into ``beats``, as JSON, for the worker to take from.
        """
        said = command.heartbeat_details
        return cls(
            run_id=command.run_id,
            workflow=command.workflow,
            step=command.step,
            step_key=command.step_key,
            command_id=command.command_id,
            attempt=command.attempt,
            deadline=command.deadline,
            token=tokens.write(command.command_id, command.nonce),
            heartbeat_details=None if said is None else payloads.decode(said),
            heartbeat_bytes=heartbeat_bytes,
            beats=beats,
            emits=emits,
            session=session,
            http=http,
        )

    @property
    def log(self) -> Any:
        """A structlog logger that says in every line which attempt of which step of which run it is about."""
        if self._log is None:
            self._log = structlog.get_logger("action").bind(
                run_id=self.run_id, workflow=self.workflow, step=self.step, attempt=self.attempt
            )
        return self._log

    @property
    def db(self) -> "AsyncSession":
        """The database session whose commit is also the completion of the step: a transactional action's only."""
        if self._session is None:
            raise NonRetryable(
                f"step {self.step}: ctx.db is there for transactional actions only: declare the action with "
                'effect="transactional"',
                type="NoSession",
            )
        return self._session

    @property
    def http(self) -> "httpx.AsyncClient":
        """A client whose requests carry an idempotency key and are kept in the journal: of an http action only.

        Beside what httpx raises, a request raises ActionFailed: NonRetryable of type RequestChanged where the journal
        holds another request in its place, OutcomeUnknown where it may not be sent again, and failures of the types
        PeerUnavailable, StillInProgress and StoreUnavailable, after which another attempt goes on.
        """
        if self._http is None:
            raise NonRetryable(
                f'step {self.step}: ctx.http is there for http actions only: declare the action with effect="http"',
                type="NoHttp",
            )
        return self._http

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more. A long sync function may look here and stop."""
        return self._cancelled

    def cancel(self) -> None:
        """Say that nobody waits for the result any more; the worker calls it."""
        self._cancelled = True

    def heartbeat(self, details: Any = None) -> None:
        """Say that the work goes on and, with ``details``, how far it is. Call it as often as you like.

        The latest details are given to the next attempt as ``ctx.heartbeat_details``; without any, those before stay.
        May be called from a thread. Raises NonRetryable of type HeartbeatRefused for details that are no JSON, or more
        of it than is kept.
        """
        if details is not None:
            self._details = self._written(details)
        self._beats.append(self._details)

    def answer_later(self) -> NoReturn:
        """End the attempt without an answer: whoever is given ``ctx.token`` answers instead.

        The step waits on, within the time that its attempt has, and no worker is kept busy. Nothing after this call is
        reached; what was written to ``ctx.db`` is committed, and what was emitted is published.
        """
        raise AnswerLater

    def _written(self, details: Any) -> bytes:
        try:
            data = payloads.encode(to_jsonable_python(details))
        except (PydanticSerializationError, PayloadRefused) as error:
            raise NonRetryable(f"the details cannot be written as JSON: {error}", type="HeartbeatRefused") from error
        if len(data) > self._heartbeat_bytes:
            raise NonRetryable(
                f"the details have {len(data)} bytes, {self._heartbeat_bytes} are allowed: say where to go on, "
                "and keep what was made elsewhere",
                type="HeartbeatRefused",
            )
        return data

    def emit(
        self, topic: str, key: Any = None, value: Any = None, headers: Mapping[str, str | bytes] | None = None
    ) -> None:
        """Ask for a record to be published when this attempt's result is accepted: exactly once, or never.

        The topic must stand in the action's ``emits``. Text and bytes go out as they are, anything else as JSON; no
        value is a tombstone. Raises NonRetryable of type EmitRefused.
        """
        if topic not in self._allowed:
            known = f"it declares {', '.join(self._allowed)}" if self._allowed else "it declares none"
            raise NonRetryable(
                f"the action may not emit to {topic}: name it in emits=[...]; {known}", type="EmitRefused"
            )
        self._emitted.append(
            Emit(
                topic=topic,
                key=_bytes(topic, key),
                value=_bytes(topic, value),
                headers={
                    name: each.encode() if isinstance(each, str) else each for name, each in (headers or {}).items()
                },
            )
        )

    @property
    def emitted(self) -> tuple[Emit, ...]:
        """The records asked for so far; they travel with the result."""
        return tuple(self._emitted)


def _bytes(topic: str, value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    try:
        return payloads.encode(to_jsonable_python(value))
    except (PydanticSerializationError, PayloadRefused) as error:
        raise NonRetryable(f"the record for {topic} cannot be written as JSON: {error}", type="EmitRefused") from error
