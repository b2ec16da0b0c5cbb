"""One question to a gateway over HTTP, asked until it is answered: again after a cut, and what a problem means."""

import asyncio
import json
import math
import uuid
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast

import httpx

from actionbus.client.interface import Asked
from actionbus.contracts.errors import (
    AccessRefused,
    ActionbusError,
    Conflict,
    NoVerdict,
    PayloadRefused,
    PayloadTooLarge,
    Refused,
    RunMissing,
    Unavailable,
)

WAIT_SECONDS: Final = 30.0  # of one long poll; a gateway allows 60, proxies in between often less
SLACK_SECONDS: Final = 15.0  # that an answer may be late, beyond what it was told to wait
CONNECT_SECONDS: Final = 5.0
FIRST_PAUSE_SECONDS: Final = 0.1  # before it is asked again; doubled each time
LONGEST_PAUSE_SECONDS: Final = 2.0
_AGAIN: Final = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,  # these three come from proxies and gateways that end or begin
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_MEANINGS: Final[Mapping[int, type[ActionbusError]]] = {
    HTTPStatus.UNAUTHORIZED: AccessRefused,
    HTTPStatus.FORBIDDEN: AccessRefused,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: PayloadTooLarge,
    HTTPStatus.UNPROCESSABLE_ENTITY: PayloadRefused,
}
Query = Mapping[str, Any]


class Exchange:
    """Asks a gateway. Whatever it asks may be asked twice: it changes nothing, or carries the id of its request."""

    def __init__(self, url: str, http: httpx.AsyncClient, seconds: float) -> None:
        self.url = url.rstrip("/")
        self.http = http
        self.seconds = seconds
        """How long an answer, and a verdict, is waited for when the caller does not say."""

    async def get(self, path: str, query: Query | None = None, *, within: float | None = None) -> tuple[int, Any]:
        """Status and body of an answer; raises what a problem means, and Unavailable when none came in time."""
        return await self._asked("GET", path, query=query or {}, within=within)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Hand something in, which has one effect however often it is sent."""
        return (await self._asked("POST", path, body=body))[1]

    async def ask(
        self, path: str, body: Mapping[str, Any], asked: Asked, *, trace: str | None = None
    ) -> dict[str, Any]:
        """Ask the orchestrator for something, and wait for the verdict.

        The request has one id, made here when the caller gave none, however often it has to be sent: it has one effect.
        Raises NoVerdict when it is in the log and no verdict came in time.
        """
        said = {**body, "requested_by": asked.get("requested_by") or ""}
        request_id = asked.get("request_id") or uuid.uuid4().hex
        given = asked.get("within")
        within = 0.0 if not asked.get("wait", True) else self.seconds if given is None else given
        until = _now() + within
        left = within
        while True:
            status, answer = await self._asked(
                "POST",
                path,
                query={"wait": round(min(max(left, 0.0), WAIT_SECONDS), 3)},
                body=said,
                headers={"Idempotency-Key": request_id} | ({} if trace is None else {"traceparent": trace}),
                within=max(left, self.seconds if within == 0 else 1.0),
            )
            left = until - _now()
            if status != HTTPStatus.ACCEPTED or not asked.get("wait", True):
                return answer
            if left <= 0:
                raise NoVerdict(f"the request {request_id} is in the log, and no verdict came within {within:g} s")

    async def _asked(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        within: float | None = None,
    ) -> tuple[int, Any]:
        seconds = self.seconds if within is None else within
        until, pause = _now() + seconds, FIRST_PAUSE_SECONDS
        waits = float((query or {}).get("wait", 0))
        timeout = httpx.Timeout(waits + SLACK_SECONDS, connect=CONNECT_SECONDS)
        while True:
            again = pause
            try:
                answer = await self.http.request(
                    method, self.url + path, params=query, json=body, headers=headers, timeout=timeout
                )
            except httpx.TransportError as error:
                why = f"{self.url} does not answer: {type(error).__name__}{f': {error}' if str(error) else ''}"
            else:
                if answer.status_code not in _AGAIN:
                    return answer.status_code, read(answer, path)
                why = _detail(answer)
                again = max(pause, _seconds(answer.headers.get("Retry-After")))
            if _now() + again >= until:
                raise Unavailable(f"{why} (asked for {seconds:g} s)")
            await asyncio.sleep(again)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def read(answer: httpx.Response, path: str) -> Any:
    """The body of an answer; raises the error that a problem stands for."""
    if answer.is_success:
        try:
            return answer.json()
        except ValueError as error:
            raise Unavailable(f"{answer.url} is no gateway of actionbus: it answers no JSON") from error
    raise problem(answer.status_code, _detail(answer), path)


def problem(status: int, detail: str, path: str) -> ActionbusError:
    """The error that a status stands for; the same that the client over Kafka raises."""
    if status == HTTPStatus.NOT_FOUND and path.startswith(("/v1/runs/", "/v1/schedules/", "/v1/workflows/")):
        return RunMissing(detail)
    usual = Refused if status < HTTPStatus.INTERNAL_SERVER_ERROR else Unavailable
    return _MEANINGS.get(status, usual)(detail)


def _detail(answer: httpx.Response) -> str:
    """What a problem says; of an answer that is none, its status."""
    try:
        found: Any = json.loads(answer.content)
    except (ValueError, httpx.ResponseNotRead):
        found = None
    if isinstance(found, dict) and "detail" in found:
        return str(cast("dict[str, Any]", found)["detail"])
    return f"{answer.url} answered {answer.status_code} {answer.reason_phrase}"


def _seconds(retry_after: str | None) -> float:
    try:
        found = float(retry_after or 0)
    except ValueError:
        return 0.0  # a date, which says nothing about our clock
    return found if math.isfinite(found) else 0.0


def _now() -> float:
    return asyncio.get_running_loop().time()
