"""What may be asked of one run: signals, updates, and every verb of operators."""

from typing import Any

from fastapi import APIRouter, Request

from actionbus.client import RunHandle
from actionbus.contracts.errors import NoVerdict
from actionbus.gateway import backing
from actionbus.gateway.answers import Answered, Asked
from actionbus.gateway.bodies import (
    Assignment,
    Body,
    Form,
    Migrate,
    OfStep,
    Restart,
    Signal,
    Timer,
    WithOutput,
)
from actionbus.gateway.grammar import Name, RunId
from actionbus.gateway.intent import Intended, answers, carried_out

router = APIRouter(prefix="/runs/{run_id}", tags=["operating runs"], responses=answers())


def handle(request: Request, run_id: str) -> RunHandle:
    """The run that a request is about; raises IdentifierRefused for what cannot be a run id."""
    return backing.of(request).kafka.client.handle(run_id)


@router.post("/signals/{name}")
async def signal(request: Request, run_id: RunId, name: Name, body: Signal, intended: Intended) -> Asked:
    """Hand the run a named value; it is kept until something waits for it."""
    return await carried_out(intended, run_id, body, handle(request, run_id).signal, name, body.payload)


@router.post("/updates/{name}")
async def update(request: Request, run_id: RunId, name: Name, body: Signal, intended: Intended) -> Answered:
    """Hand the run a named value that it answers."""
    answer: Any = None
    try:
        answer = await handle(request, run_id).update(name, body.payload, **intended.asked(body))
    except NoVerdict:
        intended.put_off()
    if intended.wait == 0:
        intended.put_off()
    return Answered(request_id=intended.request_id, run_id=run_id, answer=answer)


@router.post("/cancel")
async def cancel(request: Request, run_id: RunId, body: Body, intended: Intended) -> Asked:
    """Stop the run and undo what it did."""
    return await carried_out(intended, run_id, body, handle(request, run_id).cancel)


@router.post("/terminate")
async def terminate(request: Request, run_id: RunId, body: Body, intended: Intended) -> Asked:
    """End the run at once and undo nothing, not even what is being undone."""
    return await carried_out(intended, run_id, body, handle(request, run_id).terminate)


@router.post("/pause")
async def pause(request: Request, run_id: RunId, body: Body, intended: Intended) -> Asked:
    """Schedule nothing new until the run is resumed."""
    return await carried_out(intended, run_id, body, handle(request, run_id).pause)


@router.post("/resume")
async def resume(request: Request, run_id: RunId, body: Body, intended: Intended) -> Asked:
    """Go on after a pause, and try every step again that waits for an operator."""
    return await carried_out(intended, run_id, body, handle(request, run_id).resume)


@router.post("/restart")
async def restart(request: Request, run_id: RunId, body: Restart, intended: Intended) -> Asked:
    """Run it again from its beginning, with the input that it had; only a run that has ended."""
    return await carried_out(intended, run_id, body, handle(request, run_id).restart, body.version)


@router.post("/migrate")
async def migrate(request: Request, run_id: RunId, body: Migrate, intended: Intended) -> Asked:
    """Let the run go on under another deployed version of its workflow."""
    return await carried_out(intended, run_id, body, handle(request, run_id).migrate, body.version, body.names)


@router.post("/retry-step")
async def retry_step(request: Request, run_id: RunId, body: OfStep, intended: Intended) -> Asked:
    """Try a step, or its undo, again at once."""
    return await carried_out(intended, run_id, body, handle(request, run_id).retry_step, body.step)


@router.post("/retry-from")
async def retry_from(request: Request, run_id: RunId, body: OfStep, intended: Intended) -> Asked:
    """Undo what ran from a node on, last first, and run it from there again; only a run that lives."""
    return await carried_out(intended, run_id, body, handle(request, run_id).retry_from, body.step)


@router.post("/skip-step")
async def skip_step(request: Request, run_id: RunId, body: WithOutput, intended: Intended) -> Asked:
    """Go on as if the step had given this output."""
    return await carried_out(intended, run_id, body, handle(request, run_id).skip_step, body.step, body.output)


@router.post("/complete-step")
async def complete_step(request: Request, run_id: RunId, body: WithOutput, intended: Intended) -> Asked:
    """Say that somebody did by hand what the step, or its undo, was to do."""
    return await carried_out(intended, run_id, body, handle(request, run_id).complete_step, body.step, body.output)


@router.post("/change-timer")
async def change_timer(request: Request, run_id: RunId, body: Timer, intended: Intended) -> Asked:
    """Let what waits at a path wait until another time."""
    return await carried_out(intended, run_id, body, handle(request, run_id).change_timer, body.path, body.until)


@router.post("/complete-task")
async def complete_task(request: Request, run_id: RunId, body: Form, intended: Intended) -> Asked:
    """Hand in the form that a person was asked for at a path."""
    return await carried_out(intended, run_id, body, handle(request, run_id).complete_task, body.path, body.form)


@router.post("/assign-task")
async def assign_task(request: Request, run_id: RunId, body: Assignment, intended: Intended) -> Asked:
    """Ask somebody else for what a person was asked for at a path."""
    return await carried_out(intended, run_id, body, handle(request, run_id).assign_task, body.path, body.who)
