"""Runs of their own: another workflow, started by this one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actionbus.contracts.nodes import ChildNode, GiveUp
from actionbus.sdk import shape
from actionbus.sdk.draft import Draft
from actionbus.sdk.duration import Duration
from actionbus.sdk.step import undo_of

if TYPE_CHECKING:  # a workflow is written with a flow
    from actionbus.sdk.workflow import Workflow


def child(
    draft: Draft,
    workflow: "Workflow[Any, Any]",
    value: Any,
    name: str | None,
    *,
    wait: bool,
    run_id: Any,
    version: str | None,
    undo: Callable[[Any], Any] | None = None,
    give_up: str = "leave",
    timeout: Duration | None = None,
) -> Any:
    """Write down that a run is started, and whether it is waited for; a reference to what it gives."""
    method = "flow.child" if wait else "flow.start"
    writing = draft.writing()
    if not hasattr(workflow, "input_type"):
        raise writing.refusal(f"{method} takes a workflow, as in {method}(ship_order, order), not {workflow!r}")
    if give_up not in list(GiveUp):
        raise writing.refusal(f"give_up is one of {', '.join(GiveUp)}, not {give_up!r}")
    node = draft.claim(name, workflow.id, writing, f'{method}({workflow.id}, ..., id="...")')
    draft.children[workflow.id] = workflow
    returns = workflow.output_type
    draft.add(
        ChildNode,
        writing,
        id=node,
        workflow=workflow.id,
        version=version,
        input=writing.value(value, workflow.input_type, f"the input of {workflow.id}"),
        run_id=None if run_id is None else writing.value(run_id, str, "run_id"),
        wait=wait,
        give_up=give_up,
        timeout_ms=writing.limit(timeout, "timeout"),
        undo=None if undo is None else undo_of(draft, node, returns, undo, writing),
    )
    if wait:
        return draft.result(node, returns, shape.of(returns, "given"))
    return draft.result(node, str, shape.of(str, "given"), "run_id")
