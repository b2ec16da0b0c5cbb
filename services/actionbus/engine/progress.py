"""How nodes follow one another: the moves left with a draft, carried on until the run waits for the world again."""

from typing import assert_never

from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.model import trusted
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import HeldKind, RunStatus, StepState, StepStatus
from actionbus.engine import compensate, end, fail, resolve
from actionbus.engine.definition import Place
from actionbus.engine.draft import Draft
from actionbus.engine.liveness import RUN_INPUT
from actionbus.engine.moves import Broken, Enter, Failed, Finished, Move, Resolve, Undone, Unwind
from actionbus.engine.paths import ROOT, around, beside

_step = trusted(StepState)


def settle(draft: Draft) -> None:
    """Carry on every move, in the order they were left; what would schedule something in a paused run is held."""
    while draft.moves:
        move = draft.moves.popleft()
        draft.moved += 1
        if draft.paused and _held(draft, move):
            continue
        match move:
            case Enter(path=path):
                place = _place(draft, path)
                place.shape.enter(draft, place, path)
            case Finished(path=path, output=output):
                _finished(draft, path, output)
            case Broken(step=step, error=error):
                fail.broken(draft, step, error)
            case Failed(path=path, error=error):
                _failed(draft, path, error)
            case Resolve(path=path):
                resolve.begin(draft, path)
            case Undone(step=step):
                resolve.go_on(draft, step)
            case Unwind():
                _unwind(draft, move)
            case _:
                assert_never(move)


def _held(draft: Draft, move: Move) -> bool:
    match move:
        case Enter(path=path):
            draft.hold(HeldKind.ENTER, path)
        case Resolve(path=path):
            draft.hold(HeldKind.RESOLVE, path)
        case Unwind(path=path, below=below, begun=False):
            draft.hold(HeldKind.UNWIND, path, below)
        case _:
            return False
    return True


def _finished(draft: Draft, path: str, output: bytes | None) -> None:
    """Keep the output if it will be read, forget what nothing reads after this node, and tell the node around it."""
    place = _place(draft, path)
    liveness = draft.definition.liveness
    if place.path in liveness.read:
        draft.keep(_step(path=path, status=StepStatus.SUCCEEDED, output=output))
    else:
        draft.steps.pop(path, None)
    for source in liveness.forget.get(place.path, ()) if draft.definition.forgets else ():
        if source == RUN_INPUT:
            draft.input = None
        else:
            draft.steps.pop(beside(source, path), None)
    if path == ROOT:
        end.complete(draft)
    else:
        outer = around(path)
        outside = _place(draft, outer)
        outside.shape.finished(draft, outside, outer, path, output)


def _failed(draft: Draft, path: str, error: ActionError) -> None:
    """Tell the node around it; the root's failure is the run's."""
    if path == ROOT:
        end.head_for(draft, RunStatus.FAILED, error)
    else:
        outer = around(path)
        outside = _place(draft, outer)
        outside.shape.failed(draft, outside, outer, path, error)


def _unwind(draft: Draft, move: Unwind) -> None:
    """Begin the next compensation below a path; when none is left, the node that asked goes on, or the run ends."""
    if compensate.next_below(draft, move):
        return
    if move.below == ROOT:
        end.arrive(draft)
    else:
        place = _place(draft, move.path)
        place.shape.unwound(draft, place, move.path, move.below)


def _place(draft: Draft, path: str) -> Place:
    place = draft.definition.place(path)
    if place is None:
        raise InvariantBroken(f"{draft.definition.name} has no node at {path}")
    return place
