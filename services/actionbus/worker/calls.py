"""The protocol of actions that call over HTTP: a request is written down before it is sent, and its answer afterwards.

Every request has an idempotency key that follows from its step and its place among the calls of the action. Whoever
runs the action again makes the same requests in the same order: what was answered is answered from the journal, what
was not is sent again under the same key, to the byte, for as long as the peer keeps its keys. A request that differs
from the one in the journal is refused: the peer would take it for the old one, or the effect would happen twice.
"""

import asyncio
import re
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import httpx
import structlog

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.definitions import KeyPolicy
from actionbus.contracts.errors import Doubt
from actionbus.process import crashing
from actionbus.sdk.errors import ActionFailed, NonRetryable, OutcomeUnknown
from actionbus.worker import journal_table, transactions
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.journal_table import Row, Status
from actionbus.worker.outcomes import ErrorType
from actionbus.worker.stores import Store
from actionbus.worker.transactions import answering

HEADER: Final = "Idempotency-Key"
KEY_CHARACTERS: Final = 255  # the longest key that Stripe takes; a longer one is sent as its SHA-256
ANSWER_BYTES: Final = 1_048_576  # of a body that is kept in the journal; a larger one is asked for again
RESEND_SECONDS: Final = 20.0  # for a peer that restarts: after it the attempt fails, and the next one goes on
BACKOFF_SECONDS: Final = 0.1
BACKOFF_CAP_SECONDS: Final = 2.0
TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)  # seconds, unless a request says otherwise
_KEPT: Final = re.compile(r"content-(?!length)|accept$|accept-language$")
# Made by the client, of one attempt only, or secret: neither kept nor compared.
_FRESH: Final = re.compile(
    r"(host|user-agent|accept-encoding|connection|content-length|transfer-encoding|traceparent|tracestate|baggage|"
    r"(proxy-)?authorization|cookie|.*(key|token|secret|signature))$"
)
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_OURS_TO_BLAME: Final = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
_ERROR, _CONFLICT, _SERVER_ERROR = 400, 409, 500

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Call:
    """One request: its key, whether it was sent before, since when, and the answer if that is known."""

    key: str
    first_sent: int
    sent: bool
    answer: str | None = None


class Calls(httpx.AsyncBaseTransport):
    """The calls of one attempt, as the transport of the client that its code is given.

    ``window_ms``: for how long after its first request the peer surely knows a key. ``trouble``: what the attempt ends
    with, whatever its code makes of the exception.
    """

    def __init__(
        self,
        store: Store,
        command: ActionCommand,
        network: httpx.AsyncBaseTransport,
        *,
        key: KeyPolicy,
        window_ms: int,
    ) -> None:
        self._store = store
        self._command = command
        self._network = network
        self._policy = key
        self._window_ms = window_ms
        self._number = 0
        self.trouble: ActionFailed | None = None

    def client(self) -> httpx.AsyncClient:
        """What user code gets. Proxies of the environment would go past the journal, so it does not look there."""
        return httpx.AsyncClient(transport=self, timeout=TIMEOUT, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer to a request, from the journal or from the peer; raises ActionFailed."""
        key = self._next_key()
        await request.aread()
        request.headers[HEADER] = key if len(key) <= KEY_CHARACTERS else sha256(key.encode()).hexdigest()
        try:
            call = await self._claim(key, _written(request))
            answer = call.answer or await self._send(request, call)
        except ActionFailed as error:
            self.trouble = error
            raise
        return _response(answer, request)

    def _next_key(self) -> str:
        command = self._command
        self._number += 1
        if self._policy is KeyPolicy.ATTEMPT:
            base = command.command_id
        elif command.kind is CommandKind.COMPENSATE:
            base = f"{command.step_key}/{identifiers.UNDO}"
        else:
            base = command.step_key
        return base if self._number == 1 else f"{base}#{self._number}"

    async def _claim(self, key: str, intent: str) -> _Call:
        try:
            return await transactions.patiently(self._store, lambda session: self._begin(session, key, intent))
        except Doubt as error:
            message = f"the journal in {self._store.name} does not answer: {error}"
            raise ActionFailed(ErrorType.STORE_UNAVAILABLE, message) from error

    async def _begin(self, session: GuardedSession, key: str, intent: str) -> _Call:
        """Write what is about to be sent, or read what was."""
        async with answering():
            if await journal_table.insert(session, key, self._command.command_id, intent):
                await session.settle()
                return _Call(key=key, first_sent=_now(), sent=False)
            row = await journal_table.find(session, key)
            if row is None:
                raise Doubt("the row that was in the way was removed meanwhile")
            if row.intent != intent:
                raise _changed(key, row.intent, intent)
            if row.outcome is not None and (_final(row) or row.command_id == self._command.command_id):
                return _Call(key=key, first_sent=row.created_at, sent=True, answer=row.outcome)
            first_sent = _now() if self._begins_anew(row) else row.created_at
            over = _now() - first_sent > self._window_ms
            status = Status.DOUBT if over else Status.INTENT
            await journal_table.change(
                session,
                key,
                status=status.value,
                command_id=self._command.command_id,
                outcome=None,
                created_at=first_sent,
            )
            await session.settle()
        if over:
            raise self._too_late(key)
        return _Call(key=key, first_sent=first_sent, sent=True)

    def _begins_anew(self, row: Row) -> bool:
        """Whether nothing can have happened under the key, or somebody looked and ordered another attempt."""
        ordered = row.status is Status.DOUBT and row.command_id != self._command.command_id
        refused = row.outcome is not None and _status(row.outcome) < _SERVER_ERROR
        return ordered or refused

    async def _send(self, request: httpx.Request, call: _Call) -> str:
        crashing.visit(crashing.Point.CALL_RECORDED)
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + RESEND_SECONDS, BACKOFF_SECONDS
        while True:
            try:
                answer = await self._ask(request)
            except _OURS_TO_BLAME:
                raise
            except httpx.TransportError as error:
                call.sent = call.sent or not isinstance(error, _NOT_SENT)
                trouble = ActionFailed("PeerUnavailable", f"{request.method} {request.url.host}: {_why(error)}")
            else:
                if not (call.sent and _status(answer) == _CONFLICT):  # the first request meets no other one
                    crashing.visit(crashing.Point.CALL_ANSWERED)
                    await self._keep(call, answer)
                    crashing.visit(crashing.Point.CALL_KEPT)
                    return answer
                trouble = ActionFailed("StillInProgress", f"{request.url.host} is still at work on the key {call.key}")
            if loop.time() + pause > until:
                raise self._gave_up(trouble, call)
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACKOFF_CAP_SECONDS)
            if call.sent and _now() - call.first_sent > self._window_ms:  # also when only the pause made it too late
                await self._doubted(call)
                raise self._too_late(call.key)

    async def _ask(self, request: httpx.Request) -> str:
        response = await self._network.handle_async_request(request)
        crashing.visit(crashing.Point.CALL_SENT)
        try:
            stream = response.stream
            body = b"".join([part async for part in stream]) if isinstance(stream, httpx.AsyncByteStream) else b""
        finally:
            await response.aclose()
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in response.headers.raw]
        said = {"status": response.status_code, "headers": headers, "body": b64encode(body).decode()}
        return payloads.encode(said).decode()

    async def _keep(self, call: _Call, answer: str) -> None:
        if len(answer) > ANSWER_BYTES * 4 // 3:  # base64; whoever runs the code again asks again, under the same key
            return
        await self._note(call, status=Status.DONE.value, outcome=answer)

    async def _doubted(self, call: _Call) -> None:
        await self._note(call, status=Status.DOUBT.value, command_id=self._command.command_id)

    async def _note(self, call: _Call, **values: Any) -> None:
        async def change(session: GuardedSession) -> None:
            async with answering():
                await journal_table.change(session, call.key, **values)
                await session.settle()

        try:
            await transactions.patiently(self._store, change)
        except Doubt as error:  # it is known here, and whoever comes after asks the peer again
            _log.warning("an answer is not in the journal", key=call.key, reason=str(error))

    def _gave_up(self, trouble: ActionFailed, call: _Call) -> ActionFailed:
        if call.sent and self._policy is KeyPolicy.ATTEMPT:
            return OutcomeUnknown(
                f"{trouble.message}; another attempt would ask under another key, and could do it twice"
            )
        return trouble

    def _too_late(self, key: str) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"the request of key {key} was sent more than {self._window_ms} ms ago without an answer, and the peer may "
            "have forgotten the key: look there whether it happened or is still under way; then complete, skip or retry it"
        )


def _written(request: httpx.Request) -> str:
    """What may not change when a request is made again, as JSON; headers that may be private only as a digest."""
    headers = sorted((name.lower(), value) for name, value in request.headers.items() if name.lower() != HEADER.lower())
    rest = [each for each in headers if not _KEPT.match(each[0]) and not _FRESH.match(each[0])]
    return payloads.encode(
        {
            "method": request.method,
            "url": str(request.url),
            "headers": [list(each) for each in headers if _KEPT.match(each[0])],
            "digest": sha256(repr(rest).encode()).hexdigest(),
            "body": b64encode(request.content).decode(),
        }
    ).decode()


def _changed(key: str, before: str, now: str) -> NonRetryable:
    old, new = payloads.decode(before.encode()), payloads.decode(now.encode())
    what = ", ".join("headers" if name == "digest" else name for name in old if old[name] != new.get(name))
    return NonRetryable(
        f"the request of key {key} is another one than before, in its {what}: make requests from the input and from "
        "earlier answers only, without times, random values or boundaries that differ in each attempt",
        type="RequestChanged",
    )


def _response(answer: str, request: httpx.Request) -> httpx.Response:
    said = payloads.decode(answer.encode())
    stream = _Body(b64decode(said["body"]))
    return httpx.Response(
        said["status"], headers=[tuple(each) for each in said["headers"]], stream=stream, request=request
    )


class _Body(httpx.AsyncByteStream):
    """A body as it came, in its encoding."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def _status(answer: str) -> int:
    return int(payloads.decode(answer.encode())["status"])


def _final(row: Row) -> bool:
    """Whether the answer is that of the step: what succeeded, succeeded for every attempt."""
    return row.outcome is not None and _status(row.outcome) < _ERROR


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _now() -> int:
    return time.time_ns() // 1_000_000
