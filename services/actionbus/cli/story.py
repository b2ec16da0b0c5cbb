"""A run's events in sentences: what happened, what was decided, and why. How they are printed is decided elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

from actionbus.cli import output
from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.run import Decision, RunStatus

_SHOWN: Final = 160  # characters of a payload inside a sentence
_NO_REASON: Final = "no reason was given"
_DECIDED: Final = {
    "retry": "try again",
    "fallback": "do something else instead",
    "continue_with": "go on without it",
    "compensate": "undo the run",
    "fail": "end the run",
    "cancel": "cancel the run",
    "time_out": "end the run, its time is over",
}


def tell(events: Iterable[WorkflowEvent]) -> Iterator[str]:
    """The whole story of a run so far."""
    teller = Teller()
    for event in events:
        yield from teller.lines(event)


class Teller:
    """Tells one event after the other; times are seconds since the first one."""

    def __init__(self) -> None:
        self._began: int | None = None

    def lines(self, event: WorkflowEvent) -> list[str]:
        """What an event says, a line for each thing; the first event is introduced."""
        told: list[str] = []
        if self._began is None:
            self._began = event.at
            if event.version > 1:
                told.append(f"(The beginning of run {event.run_id} is older than what the log keeps.)")
            of = f" of {event.workflow}@{event.definition_version}" if event.workflow else ""
            told.append(f"Run {event.run_id}{of}, from {output.when(event.at)} on:")
        mark = f"{(event.at - self._began) / 1000:+10.3f} s  "
        for entry in event.entries:
            sentence = _sentence(event, entry)
            if sentence is not None:
                told.append(f"{mark}{sentence}")
                mark = " " * len(mark)
        return told


def _sentence(event: WorkflowEvent, entry: EventEntry) -> str | None:  # noqa: C901, PLR0911, PLR0912 - a table of cases
    """What an entry says; None when it only repeats what the next one tells."""
    step = entry.step or "the run"
    attempt = f" on attempt {entry.attempt}" if entry.attempt else ""
    why = (entry.reason or _NO_REASON).rstrip(".")
    match entry.kind:
        case EntryKind.REQUEST_ACCEPTED:
            return None if event.version else f"A request came again and had been carried out before: {why}."
        case EntryKind.REQUEST_REJECTED:
            return f"A request was refused: {why}."
        case EntryKind.RUN_STARTED:
            return f"It began with {_payload(entry)}." + (f" Reason given: {why}." if entry.reason else "")
        case EntryKind.STEP_SCHEDULED:
            return f"{step}: {_asked(entry)}, with {_payload(entry)}."
        case EntryKind.STEP_SUCCEEDED:
            return f"{step} succeeded{attempt} and gave {_payload(entry)}."
        case EntryKind.STEP_FAILED:
            return f"{step} failed{attempt}: {_error(entry)}."
        case EntryKind.STEP_TIMED_OUT:
            return f"{step} took too long{attempt}: {_error(entry)}."
        case EntryKind.STEP_SKIPPED:
            return f"The run goes on without {step}, as if it had given {_payload(entry)}."
        case EntryKind.STEP_CANCELLED:
            return f"{step} was given up."
        case EntryKind.DECISION:
            return _decision(entry.decision)
        case EntryKind.COMPENSATION_SCHEDULED:
            return f"{step} is to be undone: {_asked(entry)}."
        case EntryKind.COMPENSATION_FAILED:
            return f"Undoing {step} failed{attempt}: {_error(entry)}."
        case EntryKind.STEP_COMPENSATED:
            never = _fields(entry).get("outcome") == "never_happened"
            return f"{step} never happened, and now never will." if never else f"{step} is undone."
        case EntryKind.RECORD_EMITTED:
            return f"{step} published a record to {_fields(entry).get('topic', 'a topic')}."
        case EntryKind.CANCEL_REQUESTED:
            return f"Somebody cancelled the run: {why}."
        case EntryKind.RUN_TIMED_OUT:
            return f"The run took too long: {why}."
        case EntryKind.INCIDENT_OPENED:
            return f"{step} waits for an operator: {why}."
        case EntryKind.INCIDENT_CLOSED:
            return f"{step} no longer waits for an operator."
        case EntryKind.RUN_COMPENSATING:
            return f"What the run did is being undone, the last first: {why}."
        case EntryKind.RUN_ENDED:
            completed = event.status is RunStatus.COMPLETED
            return f"It is {event.status.value}" + (
                f" and gave {_payload(entry)}." if completed else f": {_error(entry)}."
            )
        case EntryKind.UNKNOWN:
            return f"Something happened to {step} that this version of actionbus has no words for."
        case _:
            assert_never(entry.kind)


def _decision(decision: Decision | None) -> str:
    if decision is None:
        return "Something was decided."
    said = _DECIDED.get(decision.decision, decision.decision)
    by = decision.rule or "no rule of the step said otherwise"
    return f"Decided to {said} ({by}): {decision.reason.rstrip('.') or _NO_REASON}."


def _asked(entry: EventEntry) -> str:
    again = f" again, attempt {entry.attempt}" if entry.attempt and entry.attempt > 1 else ""
    return f"{entry.action or 'its action'} is asked for{again}"


def _payload(entry: EventEntry) -> str:
    if entry.data is None:
        return "nothing"
    text = entry.data.decode("utf-8", "replace")
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _fields(entry: EventEntry) -> dict[str, Any]:
    try:
        value = payloads.decode(entry.data or b"null")
    except PayloadRefused:
        return {}
    return value if isinstance(value, dict) else {}


def _error(entry: EventEntry) -> str:
    fields = _fields(entry)
    said = ": ".join(str(part) for part in (fields.get("type"), fields.get("message")) if part)
    return (said or entry.reason or _NO_REASON).rstrip(".")
