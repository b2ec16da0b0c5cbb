"""What an event makes of a run's rows, entry by entry. Pure: no database, no clock.

What entries do not say of a node (a wait that is given up with its branch), the entry about what is around it does.
"""

from collections.abc import Callable, Mapping
from typing import Final

from actionbus.contracts import searching
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.run import ROOT, RunStatus, StepStatus
from actionbus.visibility import telling, waits
from actionbus.visibility.insights import WindowKind
from actionbus.visibility.standing import Standing
from actionbus.visibility.tally import Tally

_UNDONE_ONLY: Final = (StepStatus.SUCCEEDED, StepStatus.CANCELLED, StepStatus.COMPENSATING)
"""What a step is that waits for a turn to be undone, and for no other."""
RETRY: Final = "retry"  # the decision that lets another attempt follow


def begun(event: WorkflowEvent) -> Standing:
    """The run of an event that is the first one seen of it."""
    return Standing(
        run_id=event.run_id,
        incarnation=event.incarnation,
        workflow=event.workflow,
        definition_version=event.definition_version,
        status=event.status.value,
        version=event.version - 1,
        first_version=event.version,
        created_at=event.at,
        updated_at=event.at,
    )


def apply(run: Standing, event: WorkflowEvent, tally: Tally) -> None:
    """Let an event change its run, and count it."""
    run.status = event.status.value
    run.version = event.version
    run.definition_version = event.definition_version or run.definition_version
    run.updated_at = event.at
    for entry in event.entries:
        done = _BY_KIND.get(entry.kind)
        if done is not None:
            done(run, entry, event, tally)
    if event.version == 1:
        _tell_parent(run, event)


def _tell_parent(run: Standing, event: WorkflowEvent) -> None:
    first = event.entries[0] if event.entries else None
    if first is not None and first.kind is EntryKind.REQUEST_ACCEPTED and first.data is not None:
        told = telling.opened(first.data)
        run.parent_run_id, run.parent_path = told.get("run_id"), told.get("path")
        run.parent_incarnation = told.get("incarnation")


def _run_started(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del entry
    tally.add(WindowKind.WORKFLOW, run.workflow, event.at, "started")


def _run_ended(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    run.sweep(ROOT, event.at, all_=True)
    run.ended_at = event.at
    run.waits_for = None
    run.tell_incident()
    if event.status is RunStatus.COMPLETED:
        since = run.created_at if run.first_version == 1 else None
        tally.completed(WindowKind.WORKFLOW, run.workflow, event.at, since)
        return
    run.error_type, run.error_message = telling.error(entry)
    if event.status is not RunStatus.UNKNOWN:
        tally.add(WindowKind.WORKFLOW, run.workflow, event.at, event.status.value.lower())


def _attributes_set(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del event, tally
    told = telling.opened(entry.data)
    run.attributes.update({name: telling.cut(searching.text_of(value)) or "" for name, value in told.items()})


def _step_scheduled(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    node = waits.node_of(run, entry)
    run.revive(node)
    node.status, node.action, node.scheduled_at = StepStatus.SCHEDULED.value, entry.action, event.at
    node.waits_for = None
    if node.first_scheduled_at is None or entry.attempt == 1:
        node.first_scheduled_at = event.at
        node.error_type = node.error_message = None
    tally.add(WindowKind.ACTION, entry.action, event.at, "started")


def _queued(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del event, tally
    if entry.step is None:
        run.waits_for = entry.reason
        return
    node = waits.node_of(run, entry)
    undo = node.action not in (None, entry.action) or node.status in _UNDONE_ONLY
    run.revive(node)
    node.waits_for = entry.reason
    node.status = StepStatus.COMPENSATING.value if undo else StepStatus.QUEUED.value
    node.action = node.action or entry.action


def _step_succeeded(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    node = waits.node_of(run, entry)
    node.action = node.action or entry.action
    node.error_type = node.error_message = None
    run.end(node, StepStatus.SUCCEEDED.value, event.at)
    if entry.kind is EntryKind.STEP_SUCCEEDED:  # one that a person completed says nothing of its action
        tally.completed(WindowKind.ACTION, entry.action, event.at, node.first_scheduled_at)


def _step_failed(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    node = waits.node_of(run, entry)
    node.action = node.action or entry.action
    node.error_type, node.error_message = telling.error(entry)
    if entry.kind is EntryKind.STEP_IN_DOUBT:  # an undo goes on to be one
        undoing = node.status == StepStatus.COMPENSATING.value
        node.status = StepStatus.COMPENSATING.value if undoing else StepStatus.UNKNOWN.value
        return
    run.end(node, StepStatus.FAILED.value, event.at)
    what = "failed" if entry.kind is EntryKind.STEP_FAILED else "timed_out"
    tally.add(WindowKind.ACTION, entry.action, event.at, what)


def _decision(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    if entry.step is None or entry.decision is None:
        return
    if entry.action is None:  # a block of steps failed, and what waited in it is given up
        run.sweep(entry.step, event.at)
        return
    if entry.decision.decision == RETRY:
        node = waits.node_of(run, entry)
        run.revive(node)
        node.waits_for = entry.decision.reason
        if node.status != StepStatus.COMPENSATING.value:
            node.status = StepStatus.BACKING_OFF.value
        tally.add(WindowKind.ACTION, entry.action, event.at, "retries")


def _step_deferred(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del event, tally
    waits.node_of(run, entry).waits_for = "whoever holds its token"


def _step_given_up(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del tally
    skipped = entry.kind is EntryKind.STEP_SKIPPED
    run.end(waits.node_of(run, entry), (StepStatus.SKIPPED if skipped else StepStatus.CANCELLED).value, event.at)


def _compensation_scheduled(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    node = waits.node_of(run, entry)
    run.revive(node)
    node.status, node.scheduled_at, node.waits_for = StepStatus.COMPENSATING.value, event.at, None
    tally.add(WindowKind.ACTION, entry.action, event.at, "started")


def _compensation_failed(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    node = waits.node_of(run, entry)
    run.revive(node)
    node.error_type, node.error_message = telling.error(entry)
    node.status, node.waits_for = StepStatus.COMPENSATING.value, "the next attempt to undo it"
    tally.add(WindowKind.ACTION, entry.action, event.at, "failed")


def _step_compensated(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    run.end(waits.node_of(run, entry), StepStatus.COMPENSATED.value, event.at)
    tally.add(WindowKind.ACTION, entry.action, event.at, "compensated")


def _branch_given_up(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del tally
    run.sweep(entry.step or ROOT, event.at)


def _run_migrated(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del event, tally
    names = telling.opened(entry.data).get("map")
    if isinstance(names, dict):
        run.rename({str(old): str(new) for old, new in names.items()})


def _incident_opened(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    node = waits.node_of(run, entry)
    run.revive(node)
    node.stuck, node.stuck_since = telling.cut(entry.reason) or "", event.at
    node.waits_for = "an operator"
    run.tell_incident()
    tally.add(WindowKind.WORKFLOW, run.workflow, event.at, "incidents")
    tally.add(WindowKind.ACTION, entry.action, event.at, "incidents")


def _incident_closed(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    del tally
    known = run.nodes.get(entry.step or ROOT)
    if known is None:
        return
    run.changed.add(known.path)
    known.stuck = known.stuck_since = known.waits_for = None
    if known.status in (StepStatus.FAILED.value, StepStatus.UNKNOWN.value):  # what follows is told next
        run.end(known, known.status, event.at)
    run.tell_incident()


_BY_KIND: Final[Mapping[EntryKind, Callable[[Standing, EventEntry, WorkflowEvent, Tally], None]]] = {
    EntryKind.RUN_STARTED: _run_started,
    EntryKind.RUN_ENDED: _run_ended,
    EntryKind.ATTRIBUTES_SET: _attributes_set,
    EntryKind.STEP_SCHEDULED: _step_scheduled,
    EntryKind.QUEUED: _queued,
    EntryKind.STEP_SUCCEEDED: _step_succeeded,
    EntryKind.STEP_COMPLETED: _step_succeeded,
    EntryKind.STEP_FAILED: _step_failed,
    EntryKind.STEP_TIMED_OUT: _step_failed,
    EntryKind.DECISION: _decision,
    EntryKind.STEP_DEFERRED: _step_deferred,
    EntryKind.STEP_IN_DOUBT: _step_failed,
    EntryKind.STEP_SKIPPED: _step_given_up,
    EntryKind.STEP_CANCELLED: _step_given_up,
    EntryKind.COMPENSATION_SCHEDULED: _compensation_scheduled,
    EntryKind.COMPENSATION_FAILED: _compensation_failed,
    EntryKind.STEP_COMPENSATED: _step_compensated,
    EntryKind.WAIT_BEGAN: waits.wait_began,
    EntryKind.WAIT_ENDED: waits.wait_ended,
    EntryKind.TASK_OPENED: waits.task_opened,
    EntryKind.TASK_ASSIGNED: waits.task_assigned,
    EntryKind.TASK_OVERDUE: waits.task_overdue,
    EntryKind.TIMER_CHANGED: waits.timer_changed,
    EntryKind.CHILD_STARTED: waits.child_started,
    EntryKind.CHILD_ENDED: waits.child_ended,
    EntryKind.CHILD_GIVEN_UP: waits.child_given_up,
    EntryKind.BRANCH_GIVEN_UP: _branch_given_up,
    EntryKind.RUN_COMPENSATING: _branch_given_up,
    EntryKind.RUN_MIGRATED: _run_migrated,
    EntryKind.INCIDENT_OPENED: _incident_opened,
    EntryKind.INCIDENT_CLOSED: _incident_closed,
}
