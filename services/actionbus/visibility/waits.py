"""What entries about waiting make of a run's rows: for signals, times, people and other runs."""

from actionbus.contracts import schedules
from actionbus.contracts.events import EventEntry, WorkflowEvent
from actionbus.contracts.run import ROOT, RunStatus, StepStatus
from actionbus.visibility import telling
from actionbus.visibility.standing import Node, Standing
from actionbus.visibility.tally import Tally


def node_of(run: Standing, entry: EventEntry) -> Node:
    """The node that an entry is about, which changes now."""
    node = run.node(entry.step or ROOT)
    if entry.attempt is not None:
        node.attempt = entry.attempt
    return node


def wait_began(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """A signal or a time is waited for."""
    del tally
    told = telling.opened(entry.data)
    signal, until = told.get("signal"), told.get("until")
    words = " or ".join(([f"the signal {signal}"] if signal else []) + ([telling.time(until)] if until else []))
    if entry.step is None:
        run.waits_for = words
    else:
        _begins(run, entry, event.at, words)


def wait_ended(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """What was waited for came, or its time was over."""
    del tally
    if entry.step is None:
        run.waits_for = None
        return
    run.task(entry.step).closed = True
    run.end(node_of(run, entry), StepStatus.SUCCEEDED.value, event.at)


def task_opened(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """A person is asked for something."""
    del tally
    told = telling.opened(entry.data)
    task = run.task(entry.step or ROOT)
    task.opened, task.closed, task.opened_at = True, False, event.at
    task.form, task.title = str(told.get("signal")), told.get("title")
    task.assignee, task.due_at = told.get("assignee"), told.get("due_at")
    _begins(run, entry, event.at, f"a person: {task.title or task.form}")


def task_assigned(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """Somebody else is asked."""
    del event, tally
    task = run.task(entry.step or ROOT)
    task.assignee, task.reassigned = telling.value(entry.data), True


def task_overdue(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """The task is not done by its due date."""
    del event, tally
    run.task(entry.step or ROOT).overdue = True


def timer_changed(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """An operator let something wait for another time."""
    del event, tally
    until = telling.opened(entry.data).get("to")
    if until:
        node_of(run, entry).waits_for = telling.time(until)


def child_started(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """Another run is waited for."""
    del tally
    _begins(run, entry, event.at, f"the run {telling.opened(entry.data).get('run_id')}")


def child_ended(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """What was waited for of another run has come."""
    del tally
    told = telling.opened(entry.data)
    node = node_of(run, entry)
    undone = node.status == StepStatus.COMPENSATING.value
    if told.get("status") in (RunStatus.COMPLETED, RunStatus.RUNNING):
        run.end(node, StepStatus.SUCCEEDED.value, event.at)
        return
    error = told.get("error") or {}
    node.error_type, node.error_message = telling.cut(error.get("type")), telling.cut(error.get("message"))
    run.end(node, StepStatus.COMPENSATED.value if undone else StepStatus.FAILED.value, event.at)


def child_given_up(run: Standing, entry: EventEntry, event: WorkflowEvent, tally: Tally) -> None:
    """Another run is not needed any more."""
    del tally
    told = telling.opened(entry.data)
    node = node_of(run, entry)
    if told.get("asked") == "cancel":
        run.revive(node)
        undoing = run.workflow != schedules.WORKFLOW  # a schedule only waits for the end of what it cancelled
        node.status = StepStatus.COMPENSATING.value if undoing else StepStatus.PENDING.value
        node.waits_for = f"the end of the run {told.get('run_id')}"
    else:
        run.end(node, StepStatus.CANCELLED.value, event.at)


def _begins(run: Standing, entry: EventEntry, at: int, words: str) -> None:
    """A node that needs no worker begins to wait, or does so again in another turn of a loop."""
    node = node_of(run, entry)
    run.revive(node)
    node.status, node.waits_for = StepStatus.PENDING.value, words
    node.first_scheduled_at = node.scheduled_at = at
    node.action = node.error_type = node.error_message = None
    node.attempt = entry.attempt or 0
