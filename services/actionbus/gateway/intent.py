"""What every request that asks the orchestrator for something has in common: its id, its patience, its two answers."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request, Response

from actionbus.contracts import identifiers
from actionbus.contracts.errors import NoVerdict
from actionbus.gateway.answers import Asked
from actionbus.gateway.bodies import Body
from actionbus.gateway.problems import REQUEST_ID, documented

LONGEST_WAIT: int = 60  # seconds: proxies in between tend to give up on a silent connection soon after


@dataclass(frozen=True, slots=True)
class Intent:
    """One thing that somebody wants, however often the request for it is sent."""

    request_id: str
    """What the sender calls it, and what it is called in answers: the idempotency key, or an id made here."""
    content: bytes
    """What is asked, byte for byte."""
    wait: float | None
    """Seconds; None: as long as the gateway usually does, 0: not at all."""
    response: Response

    def put_off(self) -> None:
        """Answer with 202: it is in the log, and its verdict is not in yet."""
        self.response.status_code = HTTPStatus.ACCEPTED

    def asked(self, body: Body) -> dict[str, Any]:
        """What a client's verb wants to know of it."""
        said: dict[str, Any] = {
            "reason": body.reason,
            "requested_by": body.requested_by,
            "request_id": identifiers.fingerprinted(self.request_id, self.content),
            "wait": self.wait != 0,
        }
        return said if self.wait is None else said | {"within": self.wait}


async def intent(
    request: Request,
    response: Response,
    wait: Annotated[
        float | None,
        Query(ge=0, le=LONGEST_WAIT, description="Seconds that the verdict is waited for; 202 when it is not in then."),
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            pattern="^[!-~]+$",
            description="The same key sent again has one effect, and the same answer; for another body it is refused.",
        ),
    ] = None,
) -> Intent:
    """The intent of a request."""
    content = b"%s %s\n%s" % (request.method.encode(), request.url.path.encode(), await request.body())
    wanted = Intent(idempotency_key or uuid.uuid4().hex, content, wait, response)
    setattr(request.state, REQUEST_ID, wanted.request_id)
    return wanted


Intended = Annotated[Intent, Depends(intent)]


async def carried_out(
    intended: Intent, run_id: str, body: Body, verb: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any
) -> Asked:
    """Ask, and say that it was carried out, or with 202 that it is in the log and will be."""
    try:
        await verb(*arguments, **named, **intended.asked(body))
    except NoVerdict:
        intended.put_off()
    if intended.wait == 0:
        intended.put_off()
    return Asked(request_id=intended.request_id, run_id=run_id)


def answers(*problems: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """How the document of the API describes what an operation that asks something may answer with, beside success."""
    accepted = {"description": "In the log, its verdict is not in yet.", "model": Asked}
    usual = (
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    )
    return {HTTPStatus.ACCEPTED.value: accepted, **documented(*usual, *problems)}
