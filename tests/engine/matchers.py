"""What tests say of runs and events: sentences instead of fields."""

from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.run import WorkflowRun
from actionbus.engine.transition import Outcome

_ERRORS = (EntryKind.STEP_FAILED, EntryKind.STEP_TIMED_OUT, EntryKind.STEP_IN_DOUBT, EntryKind.COMPENSATION_FAILED)


def told(event: WorkflowEvent | None) -> list[str]:
    """An event as sentences, one for each entry; nothing when there is none."""
    return [] if event is None else [_sentence(entry) for entry in event.entries]


def story(play) -> list[str]:
    """Everything that happened in a play, in order."""
    return [sentence for event in play.events for sentence in told(event)]


def live(run: WorkflowRun | None) -> dict[str, str]:
    """Where the steps of a run stand."""
    return {} if run is None else {step.path: step.status.value for step in run.steps}


def waiting(run: WorkflowRun) -> dict[str, int]:
    """The timers of a run: what each is for, and when it is due."""
    named = {f"{timer.kind}{f' of {timer.step}' if timer.step else ''}": timer.due_at for timer in run.timers}
    assert len(named) == len(run.timers), f"a timer is there twice: {run.timers}"
    return named


def sent(play) -> list[str]:
    """The commands of a play by the ends of their ids, in the order they were sent."""
    return [command.command_id.partition("/")[2] for command in play.sent]


def has_ended(play, status: str) -> None:
    """The run has reached its ending, and nothing of it is left but its retention."""
    run = play.run
    assert run is not None
    assert run.status == status, f"the run is {run.status}, not {status}: {story(play)[-3:]}"
    assert (run.steps, run.scopes, run.compensations, run.input, run.ending) == ((), (), (), None, None)
    assert [timer.kind for timer in run.timers] == ["retention"]


def is_refused(transition, why: str) -> None:
    """The request changed nothing, and the answer says why."""
    assert transition.outcome is Outcome.REJECTED, f"{transition.outcome}: {told(transition.event)}"
    assert why in transition.event.entries[0].reason


def is_ignored(play, transition, outcome: Outcome = Outcome.STALE) -> None:
    """The input changed nothing: the very same run, no event, no record, no command."""
    before = play.transitions[-2].run if len(play.transitions) > 1 else None
    assert transition.outcome is outcome, f"{transition.outcome}: {told(transition.event)}"
    assert transition.run is before
    assert transition.event is None
    assert (transition.emits, transition.requests) == ((), ())


def _sentence(entry: EventEntry) -> str:
    about = f"{entry.step}" if entry.step else ""
    if entry.attempt is not None:
        about += f"#{entry.attempt}"
    if entry.kind is EntryKind.DECISION:
        made = entry.decision
        by = f" by {made.rule}" if made.rule else ""
        return " ".join(part for part in (about, f"decided {made.decision}{by}: {made.reason}") if part)
    words = [about, entry.kind.value.removeprefix("step_")]
    if entry.kind in _ERRORS:
        words.append(payloads.decode(entry.data)["type"])
    elif entry.data is not None:
        words.append(entry.data.decode())
    if entry.reason is not None:
        words.append(f"({entry.reason})")
    return " ".join(word for word in words if word)
