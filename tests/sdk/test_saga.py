"""`saga=True` in Python: a step that breaks the promise is refused with its own line."""

import pytest

from actionbus import Flow, action, rule, workflow
from actionbus.contracts.errors import DefinitionRefused
from actionbus.testing import answers, run_workflow


@action(id="book")
def book(room: str) -> str:
    """A room."""
    return room


@action(id="cancel-booking")
def cancel_booking(room: str | None) -> None:
    """Takes it back."""


@action(id="look-up", safe_to_leave=True)
def look_up(room: str) -> int:
    """Only reads."""
    return len(room)


@action(id="pay")
def pay(price: int) -> int:
    """Cannot be taken back."""
    return price


@action(id="mail")
def mail(price: int) -> None:
    """Comes after."""


def test_the_line_of_the_step_is_named() -> None:
    """Both mistakes are told at once, each with the line of its step."""

    @workflow(id="stay", version="1", saga=True)
    def stay(flow: Flow, room: str) -> None:
        flow.run(book(room=room))
        price = flow.run(pay(price=1), pivot=True)
        flow.run(mail(price=price))

    with pytest.raises(DefinitionRefused) as refused:
        _ = stay.graph
    first = stay.function.__code__.co_firstlineno
    text = str(refused.value)
    assert f"test_saga.py:{first + 2}: saga: step book: it has no undo" in text
    assert f"test_saga.py:{first + 4}: saga: step mail: it can fail for good" in text


def test_a_workflow_that_keeps_the_promise_runs() -> None:
    """The marks are in the graph, and change nothing of how a run goes: what is before a failed pivot is undone."""

    @workflow(id="stay", version="1", saga=True)
    def stay(flow: Flow, room: str) -> int:
        flow.run(book(room=room), undo=lambda made: cancel_booking(room=made))
        price = flow.run(look_up(room=room))
        paid = flow.run(pay(price=price), pivot=True)
        flow.run(mail(price=paid), on_failure=[rule.any.pause()])
        return paid

    assert stay.graph.saga
    assert [node.pivot for node in stay.graph.root.nodes if node.kind == "step"] == [False, False, True, False]
    assert stay.graph.actions["look-up"].safe_to_leave
    assert run_workflow(stay, "blue").result == 4
    failed = run_workflow(stay, "blue", actions={pay: answers(*[ValueError("no")] * 5)})
    assert [call["room"] for call in failed.called("cancel-booking")] == ["blue"]
    stuck = run_workflow(stay, "blue", actions={mail: answers(*[ValueError("no")] * 5)})
    assert stuck.state.incident is not None
    assert stuck.called("cancel-booking") == []
