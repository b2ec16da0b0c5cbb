"""A run's events in sentences: what happened, what was decided, and why. How they are printed is decided elsewhere."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from actionbus.cli import output
from actionbus.contracts import payloads
from actionbus.contracts.errors import InvariantBroken, PayloadRefused
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
    "handle": "do something else instead of the block",
    "pause": "wait for an operator",
    "terminate": "end the run at once and undo nothing",
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


_TOLD: Final = {
    EntryKind.REQUEST_REJECTED: "A request was refused: {why}.",
    EntryKind.START_CHANGED: "A later start changed the run before it began: its input is {payload} now.",
    EntryKind.ATTRIBUTES_SET: "It can be found by {payload} from here on.",
    EntryKind.QUEUED: "{step} waits for its turn: {why}.",
    EntryKind.STEP_SCHEDULED: "{step}: {asked}, with {payload}.",
    EntryKind.STEP_SUCCEEDED: "{step} succeeded{attempt} and gave {payload}.",
    EntryKind.STEP_FAILED: "{step} failed{attempt}: {error}.",
    EntryKind.STEP_TIMED_OUT: "{step} took too long{attempt}: {error}.",
    EntryKind.STEP_DEFERRED: "{step} left its answer{attempt} to whoever has its token.",
    EntryKind.STEP_IN_DOUBT: "Nobody knows whether {step} had its effect{attempt}: {error}.",
    EntryKind.RESULTS_DIFFER: "{step} gave another output late{attempt}, {payload}: {why}.",
    EntryKind.STEP_SKIPPED: "The run goes on without {step}, as if it had given {payload}.",
    EntryKind.STEP_CANCELLED: "{step} was given up.",
    EntryKind.STEP_COMPLETED: "{step} was completed by hand and gave {payload}: {why}.",
    EntryKind.RETRY_REQUESTED: "Somebody wants {step} to be tried again at once: {why}.",
    EntryKind.RUN_REWOUND: "Somebody wants everything from {step} on to be undone and to run again: {why}.",
    EntryKind.COMPENSATION_SCHEDULED: "{step} is to be undone: {asked}.",
    EntryKind.COMPENSATION_FAILED: "Undoing {step} failed{attempt}: {error}.",
    EntryKind.BRANCH_GIVEN_UP: "{step} was given up: {error}.",
    EntryKind.WAIT_ENDED: "{step} waits no longer: {why}.",
    EntryKind.FIRING_SKIPPED: "{step}: a firing started nothing: {why}.",
    EntryKind.CANCEL_REQUESTED: "Somebody cancelled the run: {why}.",
    EntryKind.TERMINATE_REQUESTED: "Somebody terminated the run: {why}.",
    EntryKind.RUN_PAUSED: "The run was paused: {why}.",
    EntryKind.RUN_RESUMED: "The run was resumed: {why}.",
    EntryKind.RUN_MIGRATED: "The run goes on under another version, {payload}: {why}.",
    EntryKind.RUN_TIMED_OUT: "The run took too long: {why}.",
    EntryKind.INCIDENT_OPENED: "{step} waits for an operator: {why}.",
    EntryKind.INCIDENT_CLOSED: "{step} no longer waits for an operator.",
    EntryKind.RUN_COMPENSATING: "What the run did is being undone, the last first: {why}.",
    EntryKind.UNKNOWN: "Something happened to {step} that this version of actionbus has no words for.",
}


def _sentence(event: WorkflowEvent, entry: EventEntry) -> str | None:
    """What an entry says; None when it only repeats what the next one tells."""
    why = (entry.reason or _NO_REASON).rstrip(".")
    match entry.kind:
        case EntryKind.REQUEST_ACCEPTED:
            return None if event.version else f"A request came again and had been carried out before: {why}."
        case EntryKind.RUN_STARTED:
            return f"It began with {_payload(entry)}." + (f" Reason given: {why}." if entry.reason else "")
        case EntryKind.DECISION:
            return _decision(entry.decision)
        case EntryKind.RUN_ENDED:
            gave = f" and gave {_payload(entry)}" if event.status is RunStatus.COMPLETED else f": {_error(entry)}"
            return f"It is {event.status.value}{gave}."
        case _:
            return (
                _TOLD[entry.kind].format(
                    step=entry.step or "the run",
                    attempt=f" on attempt {entry.attempt}" if entry.attempt else "",
                    why=why,
                    asked=_asked(entry),
                    payload=_payload(entry),
                    error=_error(entry),
                )
                if entry.kind in _TOLD
                else _about_data(entry, why)
            )


def _about_data(entry: EventEntry, why: str) -> str:  # noqa: C901, PLR0911 - a table of cases
    """An entry whose data says what it is about."""
    step, fields = entry.step or "the run", _fields(entry)
    match entry.kind:
        case EntryKind.STEP_COMPENSATED:
            never = fields.get("outcome") == "never_happened"
            return f"{step} never happened, and now never will." if never else f"{step} is undone."
        case EntryKind.RECORD_EMITTED:
            return f"{step} published a record to {fields.get('topic', 'a topic')}."
        case EntryKind.BRANCH_CHOSEN:
            return f"{step}: {fields.get('chosen') or 'nothing'} was chosen."
        case EntryKind.VIEW_CHANGED:
            return f"{step} shows {fields.get('name', 'something')}: {payloads.encode(fields.get('value')).decode()}."
        case EntryKind.LOOP_BEGAN:
            return f"{step} goes through {fields.get('items', 'its')} items."
        case EntryKind.WAIT_BEGAN:
            signal = f" for the signal {fields['signal']}" if "signal" in fields else ""
            return f"{step} waits{signal}{_moment(fields.get('until'))}."
        case EntryKind.SIGNAL_RECEIVED:
            kept = "" if entry.step else ", before anything waited for it"
            return f"The signal {fields.get('signal', 'of some name')} came{kept}."
        case EntryKind.CHILD_STARTED | EntryKind.CHILD_ENDED | EntryKind.CHILD_GIVEN_UP:
            return f"{step}: {_about_child(entry, fields)}."
        case EntryKind.TASK_OPENED | EntryKind.TASK_ASSIGNED | EntryKind.TASK_REMINDED | EntryKind.TASK_OVERDUE:
            return f"{step}: {_about_task(entry, fields)}."
        case EntryKind.FIRINGS_MISSED:
            least = "at least " if fields.get("at_least") else ""
            return f"{step}: {least}{fields.get('number', 'some')} firings were too late and started nothing."
        case EntryKind.TIMER_CHANGED:
            return f"{step} waits{_moment(fields.get('to'))} now: {why}."
        case _:
            raise InvariantBroken(f"there are no words for {entry.kind}")


def _about_child(entry: EventEntry, fields: dict[str, Any]) -> str:
    run = f"the run {fields.get('run_id', '')}"
    match entry.kind:
        case EntryKind.CHILD_STARTED:
            return f"{run} of {fields.get('workflow', 'a workflow')} is started"
        case EntryKind.CHILD_GIVEN_UP:
            return f"{run} is not needed any more and is asked to {fields.get('asked', 'end')}"
        case _:
            because = f": {entry.reason.rstrip('.')}" if entry.reason else ""
            refused = fields.get("status") == RunStatus.UNKNOWN  # it never began, so it stands nowhere
            how = "was refused" if refused else f"is {fields.get('status', 'over')}"
            return f"{run} {how}{because}"


def _about_task(entry: EventEntry, fields: dict[str, Any]) -> str:
    who = fields.get("assignee") or "anybody"
    match entry.kind:
        case EntryKind.TASK_OPENED:
            due = _moment(fields.get("due_at")).replace("until", "by", 1)
            return f"{who} is asked for {fields.get('title', 'something')!r}{due}"
        case EntryKind.TASK_ASSIGNED:
            return f"{_payload(entry)} is asked now: {(entry.reason or _NO_REASON).rstrip('.')}"
        case EntryKind.TASK_OVERDUE:
            return f"it is overdue; {who} was asked"
        case _:
            return f"{who} is reminded"


def _decision(decision: Decision | None) -> str:
    if decision is None:
        return "Something was decided."
    said = _DECIDED.get(decision.decision, decision.decision)
    by = decision.rule or "no rule of the step said otherwise"
    return f"Decided to {said} ({by}): {decision.reason.rstrip('.') or _NO_REASON}."


def _moment(at: Any) -> str:
    return f" until {output.when(at)}" if isinstance(at, int) else ""


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
