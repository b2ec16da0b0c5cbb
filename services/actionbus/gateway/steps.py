"""Answering for an attempt by its token, in the place of the worker that left it."""

from http import HTTPStatus

from fastapi import APIRouter, Request

from actionbus.gateway import backing
from actionbus.gateway.answers import View
from actionbus.gateway.bodies import StepBeat, StepDone, StepFailed
from actionbus.gateway.problems import documented

router = APIRouter(
    prefix="/steps",
    tags=["answering steps"],
    responses=documented(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY),
)


class Taken(View):
    """The answer is safely in the log; whether it still counts is seen in the run."""

    taken: bool = True


@router.post("/complete", status_code=HTTPStatus.ACCEPTED)
async def complete_by_token(request: Request, body: StepDone) -> Taken:
    """Say that the step is done, and what it gave."""
    await backing.of(request).kafka.client.complete_step(body.token, body.output)
    return Taken()


@router.post("/fail", status_code=HTTPStatus.ACCEPTED)
async def fail_by_token(request: Request, body: StepFailed) -> Taken:
    """Say that the attempt failed, by a name that the rules of the workflow match on."""
    await backing.of(request).kafka.client.fail_step(
        body.token, body.error_type, body.message, retryable=body.retryable, details=body.details
    )
    return Taken()


@router.post("/heartbeat", status_code=HTTPStatus.ACCEPTED)
async def heartbeat_by_token(request: Request, body: StepBeat) -> Taken:
    """Say that the step is still worked on."""
    await backing.of(request).kafka.client.heartbeat_step(body.token, body.details)
    return Taken()
