"""What an error is over HTTP: a status, and a problem as RFC 9457 describes it. Every error of the API is one."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from actionbus.contracts.errors import (
    AccessRefused,
    ActionbusError,
    Conflict,
    PayloadTooLarge,
    Refused,
    RunMissing,
    TopicMissing,
    Unavailable,
)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 2  # what is away is looked for again that soon; a shard changes hands in some seconds
REQUEST_ID: Final = "request_id"
"""Under which name the state of a request says by which id its effect is known."""
_STATUSES: Final[tuple[tuple[type[ActionbusError], HTTPStatus], ...]] = (
    (RunMissing, HTTPStatus.NOT_FOUND),
    (TopicMissing, HTTPStatus.SERVICE_UNAVAILABLE),  # the installation, or a part of it, is not there
    (AccessRefused, HTTPStatus.SERVICE_UNAVAILABLE),  # the gateway's own credentials, which no caller can mend
    (PayloadTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Refused, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Conflict, HTTPStatus.CONFLICT),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)

_TITLES: Final = {  # as RFC 9110 has them; Python has them since 3.13
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}

_log = structlog.get_logger(__name__)


class NotFound(Refused, LookupError):
    """What the path names does not exist."""


class Malformed(Refused, ValueError):
    """The request cannot be read."""


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(default="about:blank", description="The kind of problem: no page of its own, the status says it.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The status again.")
    detail: str = Field(description="What is wrong, and what to do about it.")
    retryable: bool = Field(description="Whether the same request may succeed later.")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="The places of a request that cannot be read, and what is wrong with each."
    )
    request_id: str | None = Field(
        default=None,
        description="With 503: nobody knows whether the request was taken. Sent again with this as its Idempotency-Key "
        "it has one effect.",
    )


MEANINGS: Final = {
    HTTPStatus.BAD_REQUEST: "The request cannot be read; `errors` names the places.",
    HTTPStatus.NOT_FOUND: "There is no such run, schedule, workflow, action or topic, or nothing at this path.",
    HTTPStatus.METHOD_NOT_ALLOWED: "The path answers other methods, which `Allow` names.",
    HTTPStatus.CONFLICT: "The run does not allow it as it stands, or its id is taken.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body, or a payload in it, has more bytes than are carried.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The request can be read, and what it asks cannot be: an input that does not fit "
    "its schema, an id outside its grammar, a cursor of another list.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "A mistake in actionbus.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Brokers or database are away, or all places are taken: send the same request "
    "again after `Retry-After` seconds, one that changes something with `request_id` as its `Idempotency-Key`.",
}
"""Every problem that the API answers with, by its status."""
_DETAILS: Final[dict[HTTPStatus, dict[str, Any]]] = {
    HTTPStatus.BAD_REQUEST: {
        "detail": "body.inputt: Extra inputs are not permitted",
        "errors": [{"at": "body.inputt", "message": "Extra inputs are not permitted"}],
    },
    HTTPStatus.NOT_FOUND: {"detail": "no workflow user-sing-up is deployed; there are user-signup"},
    HTTPStatus.METHOD_NOT_ALLOWED: {"detail": "this path answers GET, POST"},
    HTTPStatus.CONFLICT: {"detail": "run ann: the run has ended already: it is COMPLETED"},
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: {
        "detail": "the body has more than 1048576 bytes: store what is in it elsewhere"
    },
    HTTPStatus.UNPROCESSABLE_ENTITY: {"detail": 'email: "ada" is not a "email"'},
    HTTPStatus.INTERNAL_SERVER_ERROR: {"detail": "this is a mistake in actionbus, please report it: KeyError"},
    HTTPStatus.SERVICE_UNAVAILABLE: {
        "detail": "Kafka is away: no Kafka broker answers at broker:9092 any more",
        "request_id": "5f0c4a3e8b1d4f7c9a2e6d0b3c8f1a7e",
    },
}
_RETRY_AFTER: Final = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def components() -> dict[str, Any]:
    """How the document of the API describes each problem, by a name for it."""
    return {_name(status): _described(status) for status in MEANINGS}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """How the document of the API says which problems an operation may answer with."""
    always = (HTTPStatus.BAD_REQUEST, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
    return {status.value: _described(status) for status in sorted({*always, *statuses})}


def refer(responses: dict[str, Any]) -> None:
    """Let the responses of an operation refer to the problems, each of which is described once."""
    for status in MEANINGS:
        if responses.get(str(status.value)) == _described(status):
            responses[str(status.value)] = {"$ref": f"#/components/responses/{_name(status)}"}


def _described(status: HTTPStatus) -> dict[str, Any]:
    retryable = status is HTTPStatus.SERVICE_UNAVAILABLE
    example = Problem(title=title(status), status=status.value, retryable=retryable, **_DETAILS[status])
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example.model_dump(exclude_none=True)}
    described: dict[str, Any] = {"description": MEANINGS[status], "content": {MEDIA_TYPE: content}}
    return described | {"headers": _RETRY_AFTER} if retryable else described


def _name(status: HTTPStatus) -> str:
    return title(status).replace(" ", "")


def title(status: HTTPStatus) -> str:
    """A status in words."""
    return _TITLES.get(status, status.phrase)


def install(app: FastAPI) -> None:
    """Answer every error of the application as a problem."""
    app.add_exception_handler(ActionbusError, _ours)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _mistake)


def response(
    status: HTTPStatus, detail: str, *, retryable: bool = False, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """A problem."""
    problem = Problem(title=title(status), status=status.value, detail=detail, retryable=retryable, **more)
    said = dict(headers or {})
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        said["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return JSONResponse(problem.model_dump(exclude_none=True), status.value, said, media_type=MEDIA_TYPE)


def status_of(error: ActionbusError) -> HTTPStatus:
    """The status that an error of ours means."""
    if isinstance(error, NotFound):
        return HTTPStatus.NOT_FOUND
    if isinstance(error, Malformed):
        return HTTPStatus.BAD_REQUEST
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)


async def _ours(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, ActionbusError):
        return await _mistake(request, error)
    status = status_of(error)
    if status is HTTPStatus.INTERNAL_SERVER_ERROR:
        return await _mistake(request, error)
    if status is not HTTPStatus.SERVICE_UNAVAILABLE:
        return response(status, str(error))
    return response(status, str(error), retryable=True, request_id=getattr(request.state, REQUEST_ID, None))


async def _unreadable(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    places = [{"at": ".".join(map(str, each["loc"])), "message": each["msg"]} for each in found]
    detail = "; ".join(f"{each['at']}: {each['message']}" for each in places[:3]) or "the request cannot be read"
    return response(HTTPStatus.BAD_REQUEST, detail, errors=jsonable_encoder(places))


async def _http(_request: Request, error: Exception) -> JSONResponse:
    status, detail, headers = HTTPStatus.INTERNAL_SERVER_ERROR, str(error), None
    if isinstance(error, HTTPException):
        status, detail, headers = HTTPStatus(error.status_code), error.detail, error.headers
    if status is HTTPStatus.NOT_FOUND:
        detail = "there is nothing at this path: see /openapi.json"
    elif status is HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"this path answers {(headers or {}).get('allow', 'other methods')}"
    return response(status, detail, headers=headers)


async def _mistake(request: Request, error: Exception) -> JSONResponse:
    _log.error("a request met a mistake of ours", path=request.url.path, exc_info=error)
    return response(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"this is a mistake in actionbus, please report it: {type(error).__name__}",
    )
