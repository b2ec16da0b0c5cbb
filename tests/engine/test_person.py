"""Tasks for people: a form that is waited for, with an assignee, reminders, a due date."""

import pytest

from actionbus.contracts.requests import RequestKind
from engine.graphs import each, person, put, ref, step, workflow
from engine.matchers import has_ended, is_refused, live, story, told, waiting
from engine.play import started

FORM = {"type": "object", "required": ["granted"], "properties": {"granted": {"type": "boolean"}}}


def task(**fields):
    """A workflow that asks somebody, and gives what was filled in."""
    return workflow(
        person("ok", **{"title": "approve it", "payload_schema": FORM, "assignee": "ann", **fields}),
        output=ref("steps", "ok"),
    )


def test_a_filled_form_ends_the_task():
    """The history says who was asked for what, and the form is what the node gives."""
    play = started(task(due_ms=100))
    assert '"assignee":"ann"' in story(play)[-1]
    assert f'"due_at":{play.now + 100}' in story(play)[-1]
    play.asks(RequestKind.SIGNAL, step="ok", value={"granted": True})
    assert play.run.output == b'{"granted":true}'
    has_ended(play, "COMPLETED")


def test_a_form_that_does_not_fit_is_refused():
    """The task stays open."""
    play = started(task())
    is_refused(play.asks(RequestKind.SIGNAL, step="ok", value={"granted": "yes"}), "does not fit")
    misled = play.asks(RequestKind.SIGNAL, step="nowhere", value={"granted": True})
    is_refused(misled, "nothing at 'nowhere' waits for it; what waits in this run: ok")
    assert [scope.path for scope in play.run.scopes] == ["", "ok"]


def test_a_task_may_be_handed_on():
    """To somebody, or to anybody; the history says why."""
    play = started(task())
    handed = play.asks(RequestKind.ASSIGN_TASK, step="ok", value="bob", reason="ann is ill")
    assert told(handed.event)[-1] == 'ok task_assigned "bob" (ann is ill)'
    play.asks(RequestKind.ASSIGN_TASK, step="ok", value=None)
    assert b'"assignee":null' in play.run.scopes[-1].data
    is_refused(play.asks(RequestKind.ASSIGN_TASK, step="ok", value=7), "a text")
    is_refused(play.asks(RequestKind.ASSIGN_TASK, step="elsewhere", value="bob"), "nobody is asked")


def test_reminders_the_due_date_and_the_timeout_come_in_order():
    """One timer goes from one to the next; what reminds runs beside the task."""
    play = started(
        task(
            remind_after_ms=[40, 10],
            due_ms=50,
            timeout_ms=70,
            on_timeout=put("late", 0),
            on_reminder=step("mail", input={"to": ref("scope", "ok", "assignee")}),
        )
    )
    play.passes(10)
    assert live(play.run) == {"ok[0]": "SCHEDULED"}
    assert play.step("ok[0]").input == b'{"to":"ann"}'
    play.succeeds("ok[0]")
    play.asks(RequestKind.ASSIGN_TASK, step="ok", value="bob")
    play.passes(30)
    assert play.step("ok[1]").input == b'{"to":"bob"}'
    play.fails("ok[1]", retryable=False)
    play.passes(10)
    assert live(play.run) == {"ok[2]": "SCHEDULED"}
    kinds = [each.split()[1] for each in story(play) if each.startswith("ok task")]
    assert kinds == ["task_opened", "task_reminded", "task_assigned", "task_reminded", "task_overdue"]
    play.passes(20)
    assert play.run.output == b"0"
    has_ended(play, "COMPLETED")


def test_a_form_gives_up_the_reminder_that_is_under_way():
    """Nobody has to be reminded any more."""
    play = started(task(remind_after_ms=[10], on_reminder=step("mail")))
    play.passes(10)
    play.asks(RequestKind.SIGNAL, step="ok", value={"granted": True})
    assert "ok[0]#1 cancelled" in story(play)
    has_ended(play, "COMPLETED")


def test_without_a_form_in_time_it_fails():
    """Like any wait."""
    play = started(task(timeout_ms=10))
    play.passes(10)
    has_ended(play, "FAILED")
    assert play.run.error.type == "Timeout"


def test_each_item_of_a_list_may_ask_somebody():
    """The path says which of the tasks is meant; without one it is the oldest."""
    ask = person("ok", ref("scope", "m", "item"), assignee=ref("scope", "m", "item"))
    play = started(workflow(each("m", ["ann", "bob"], ask), output=ref("steps", "m")))
    play.asks(RequestKind.SIGNAL, step="m[1]", value="second")
    play.signals("ok", "first")
    assert play.run.output == b'["first","second"]'


@pytest.mark.parametrize("field", ["title", "assignee"])
def test_what_is_no_text_cannot_be_asked(field):
    """The node fails before anybody is asked."""
    play = started(task(**{field: {"$literal": 7}}))
    has_ended(play, "FAILED")
    assert play.run.error.type == "InputRefused"


def test_a_paused_run_takes_the_form():
    """What follows is held."""
    play = started(workflow(person("ok"), step("a")))
    play.pauses()
    play.signals("ok", 1)
    assert live(play.run) == {}
    play.resumes()
    assert live(play.run) == {"a": "SCHEDULED"}


def test_a_cancelled_run_asks_nobody():
    """Its timers are gone."""
    play = started(task(due_ms=10))
    play.cancels()
    has_ended(play, "CANCELLED")
    assert list(waiting(play.run)) == ["retention"]
