"""Turns under limits: a step waits for one when its action has a limit, and a run when its workflow has one.

Whose turn it is, the shard says (``admit``): only it sees all its runs.
"""

from typing import TYPE_CHECKING, Final

from actionbus.contracts import payloads, templates
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.model import trusted
from actionbus.contracts.run import Pace, StepState, Turn, WorkflowRun

if TYPE_CHECKING:  # the draft belongs to the shapes, which ask here
    from actionbus.engine.draft import Draft

PACES_KEPT: Final = 100  # of one run, under all its rates and keys

_turn = trusted(Turn)


def of_step(policy: LimitPolicy, data: bytes) -> Turn:
    """A place under the limit of an action, by the input of a step; raises PayloadRefused without a key."""
    return _turn(key="" if policy.key is None else policy.key_of(payloads.decode(data)))


def of_undo(policy: LimitPolicy, step: StepState) -> Turn:
    """The same for an undo that was never sent. One whose key cannot be told waits with all others of that kind."""
    if policy.key is None:
        return _turn()
    made = payloads.decode(step.output) if step.output is not None else None
    try:
        return _turn(key=policy.key_of(templates.fill(payloads.decode(step.input or b"null"), {templates.MADE: made})))
    except PayloadRefused:
        return _turn()


def wait(draft: "Draft", step: StepState, turn: Turn) -> None:
    """Let a step, or its undo, wait for its turn."""
    step = step.replace(turn=turn.replace(queued_at=draft.now, taken_at=0))
    draft.keep(step)
    draft.tell(EntryKind.QUEUED, step, reason=_words(draft.definition.action(step.action).limit, turn.key))


def use(draft: "Draft", step: StepState, turn: Turn) -> StepState:
    """The step with its turn come."""
    limit = draft.definition.action(step.action).limit
    if limit is not None and limit.rate is not None:
        draft.paces = _with(draft.paces, Pace(action=step.action, key=turn.key, at=draft.now))
    return step.replace(turn=turn.replace(taken_at=draft.now))


def left(before: WorkflowRun | None, workflow: str) -> tuple[Pace, ...]:
    """The turns of a run whose place another one takes: a rate has to count them for as long as it is remembered."""
    if before is None:
        return ()
    turn = before.turn
    if turn is None or not turn.taken_at or before.workflow != workflow:
        return before.paces
    return _with(before.paces, Pace(action="", key=turn.key, at=turn.taken_at))


def wait_to_begin(draft: "Draft", turn: Turn) -> None:
    """Let the whole run wait for its turn."""
    draft.turn = turn.replace(queued_at=draft.now)
    draft.note(EntryKind.QUEUED, reason=_words(draft.definition.graph.limit, turn.key))


def _with(paces: tuple[Pace, ...], latest: Pace) -> tuple[Pace, ...]:
    """The turns that are remembered, with the latest one of its line in the place of the one before."""
    others = (each for each in paces if (each.action, each.key) != (latest.action, latest.key))
    return (*others, latest)[-PACES_KEPT:]


def _words(limit: LimitPolicy | None, key: str) -> str:
    said = "its limit" if limit is None else f"the limit is {limit.words}"
    return f"{said}, here {key}" if key else said
