"""A second success of a step that is over: it changes nothing, but one that says something else is told.

Two attempts of one step ask for the same thing, so their outputs have to be the same. Where they are not, its code
depends on more than its input, or its effect happened twice. Only of steps that took more than one attempt is it kept
what was accepted, and of the latest of them.
"""

from hashlib import sha256
from typing import Final

from actionbus.contracts.events import EntryKind
from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.results import ActionResult
from actionbus.contracts.run import AnsweredStep, StepState
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.step import plan_of
from actionbus.engine.transition import Outcome

DIGEST_CHARACTERS: Final = 16  # of SHA-256, hexadecimal: nobody forges his own outputs


def accepted(draft: Draft, step: StepState, attempt: int, output: bytes) -> None:
    """Keep what was accepted of a step, if another attempt of it may still answer."""
    kept = draft.definition.limits.answers_kept
    if step.attempt > 1 and not step.incarnation and kept:
        known = AnsweredStep(step=step.path, attempt=attempt, digest=_digest(output))
        draft.answered = (*(each for each in draft.answered if each.step != step.path), known)[-kept:]


def late(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """A success that nobody waits for: told once where it differs from the one that was accepted."""
    known = next((each for each in draft.answered if each.step == command.path), None)
    output = b"null" if result.output is None else result.output
    if known is None or known.attempt == command.attempt or result.by_token or _digest(output) == known.digest:
        return Outcome.STALE
    if len(output) > draft.definition.limits.payload_bytes:
        return Outcome.STALE
    draft.answered = tuple(each for each in draft.answered if each is not known)
    draft.note(
        EntryKind.RESULTS_DIFFER,
        step=command.path,
        action=plan_of(draft, command.path).action.id,
        attempt=command.attempt,
        data=output,
        reason=f"the output of attempt {known.attempt} was accepted, and is another one",
    )
    return Outcome.APPLIED


def _digest(output: bytes) -> str:
    return sha256(output).hexdigest()[:DIGEST_CHARACTERS]
