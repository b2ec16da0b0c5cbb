"""A workflow that asks for it can be undone before its pivot and does not fail after it, or is refused with the reason."""

import pytest

from actionbus.contracts import saga
from actionbus.contracts.checks import mistakes
from actionbus.contracts.documents import Unreadable, read
from actionbus.contracts.limits import DEFAULT_LIMITS
from engine.graphs import (
    COMPENSATE,
    FAIL,
    ONCE,
    PAUSE,
    action,
    block,
    call,
    caught,
    cel,
    child,
    choose,
    each,
    emit,
    fallback,
    go_on_with,
    graph,
    handle,
    on,
    parallel,
    person,
    put,
    ref,
    repeat,
    retry,
    sequence,
    show,
    sleep,
    step,
    throw,
    wait,
)

SAFE = action("look", safe_to_leave=True)
UNDONE = step("a", undo="u")
PIVOT = step("pay", pivot=True)
SURE = step("z", on(None, PAUSE))


def said(*nodes, actions=(SAFE,), **fields) -> list[str]:
    """What is wrong with a workflow that asks for it."""
    return [message for _, message in saga.mistakes(graph(*nodes, actions=actions, saga=True, **fields))]


@pytest.mark.parametrize(
    "nodes",
    [
        (),
        (UNDONE, step("b", undo="u")),
        (step("look"), PIVOT),
        (PIVOT,),
        (UNDONE, put("x", 1), sleep("s", 1), emit("e", "t"), PIVOT, SURE),
        (sequence("s", UNDONE, PIVOT), SURE),
        (step("a", on("X", fallback("look")), undo="u"),),
        (UNDONE, repeat("r", step("b", undo="u"), limit=3)),
        (UNDONE, repeat("r", step("look"), until=ref("steps", "look"))),
        (PIVOT, step("z", on("X", retry(2)), on("Y", go_on_with(1)), on(None, go_on_with(2)))),
        (PIVOT, block("t", step("b"), caught(None, go_on_with(1)))),
        (PIVOT, block("t", throw("x", "X"), caught("X", retry(2)), caught(None, handle(SURE)))),
        (PIVOT, block("t", block("in", step("b")), caught(None, go_on_with(1)))),
        (PIVOT, wait("w", "go"), wait("v", "go", timeout_ms=1, on_timeout=put("late", 1))),
        (PIVOT, repeat("r", SURE, limit=3), repeat("q", step("y", on(None, PAUSE)), until=cel("true"))),
        (PIVOT, parallel("p", SURE, sleep("s", 1)), choose("c", (True, put("x", 1)))),
        (child("c", undo=call("u")), person("ok", timeout_ms=1), show("v", "stage", 1), PIVOT, show("w", "stage", 2)),
        (person("ok", remind_after_ms=[1], on_reminder=step("look")), PIVOT),
        (PIVOT, person("ok", remind_after_ms=[1], on_reminder=step("b")), person("no", timeout_ms=1, on_timeout=SURE)),
        (PIVOT, block("t", child("c", wait=False), caught(None, go_on_with(1)))),
    ],
)
def test_what_keeps_the_promise_is_accepted(nodes):
    """Undos or actions that may stay before the pivot; after it steps that go on whatever happens."""
    assert said(*nodes) == []


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ((step("b"),), "step b: it has no undo, and its action b is not safe_to_leave"),
        ((step("b"), PIVOT), "step b: it has no undo"),
        ((each("m", ref("input"), step("b")), PIVOT), "step m[]: it has no undo"),
        ((block("t", UNDONE, caught(None, handle(step("b")))), PIVOT), "step t.b: it has no undo"),
        ((step("a", on("X", FAIL), undo="u"), PIVOT), "step a: its rule 1 ends the run and undoes nothing before it"),
        ((UNDONE, step("pay", on("X", FAIL), pivot=True)), "step pay: its rule 1 ends the run"),
        ((step("a", on("X", fallback("f")), undo="u"),), "step a: its rule 1 falls back to f, which has no undo"),
        (
            (repeat("r", UNDONE, until=cel("true")), PIVOT),
            "repeat r: without a limit its finished turns are not undone",
        ),
        ((child("c"), PIVOT), "child c: it has no undo, and a run that completed does not undo itself"),
        ((child("c", wait=False),), "child c: its run is not waited for, so nothing takes it back"),
        ((child("c", undo=call("u"), give_up="leave"),), "child c: it would leave its run, which then stays as it is"),
        ((child("c", undo=call("u"), give_up="terminate"), PIVOT), "child c: it would terminate its run"),
        (
            (repeat("r", child("c", undo=call("u"))), PIVOT),
            "repeat r: without a limit its finished turns are not undone",
        ),
        ((person("ok", remind_after_ms=[1], on_reminder=step("b")), PIVOT), "step ok[]: it has no undo"),
        ((PIVOT, child("c", undo=call("u"))), "child c: its run may be refused or not complete"),
        ((PIVOT, child("c", wait=False)), "child c: its run may be refused or not complete"),
        ((PIVOT, block("t", sleep("s", 9), timeout_ms=1)), "try t: it fails when its block takes too long"),
        ((PIVOT, person("ok", timeout_ms=1)), "person ok: it fails when no signal comes in time"),
        (
            (PIVOT, block("t", step("b", on("X", FAIL)), caught(None, go_on_with(1)))),
            "step t[]: its rule 1 ends the run",
        ),
        ((PIVOT, step("b")), "step b: it can fail for good"),
        ((PIVOT, step("b", undo="u")), "step b: it can fail for good"),
        ((PIVOT, step("b", on("X", PAUSE))), "step b: it can fail for good"),
        ((PIVOT, step("b", on(None, PAUSE, when=cel("true")))), "step b: it can fail for good"),
        ((PIVOT, step("b", on("X", COMPENSATE), on(None, PAUSE))), "step b: it can fail for good"),
        ((PIVOT, step("b", on(None, retry(9)))), "step b: it can fail for good"),
        ((PIVOT, step("b", on(None, fallback("look")))), "step b: it can fail for good"),
        ((PIVOT, throw("x", "X")), "raise x: it fails, which would undo what was done before the pivot"),
        ((PIVOT, wait("w", "go", timeout_ms=1)), "wait w: it fails when no signal comes in time"),
        ((PIVOT, repeat("r", SURE, limit=3, until=cel("true"))), "repeat r: it fails when its turns are not enough"),
        ((PIVOT, block("t", step("b"), caught("X", go_on_with(1)))), "step t[]: it can fail for good"),
        ((PIVOT, block("t", SURE, caught(None, handle(step("b"))))), "step t.b: it can fail for good"),
        ((PIVOT, block("t", SURE, caught(None, go_on_with(1)), always=step("b"))), "step t.b: it can fail for good"),
        ((PIVOT, step("q", on(None, PAUSE), pivot=True)), "step q: there is a pivot before it"),
        ((choose("c", (True, PIVOT)),), "step c.pay: a pivot stands in the workflow itself or in a sequence"),
        ((parallel("p", PIVOT, UNDONE),), "step p.pay: a pivot stands in"),
        ((each("m", ref("input"), PIVOT),), "step m[]: a pivot stands in"),
        ((block("t", PIVOT),), "step t[]: a pivot stands in"),
        ((sequence("s", repeat("r", PIVOT)),), "step s.r[]: a pivot stands in"),
    ],
)
def test_what_breaks_the_promise_is_named(nodes, why):
    """Each node that could leave a run half done is one mistake, with its path and a way out."""
    (found,) = said(*nodes)
    assert found.startswith(why), found


def test_the_time_of_a_run_must_not_end_it_after_the_pivot():
    """A timeout of the whole run undoes it, wherever it is."""
    assert "the time of the whole run may be over after its pivot" in said(PIVOT, run_timeout_ms=1)[0]
    assert said(UNDONE, run_timeout_ms=1) == []


def test_an_action_that_is_not_there_is_one_mistake():
    """What the other checks say is not said twice."""
    broken = graph(step("b"), saga=True)
    broken = broken.model_copy(update={"actions": {}})
    assert list(saga.mistakes(broken)) == []


def test_without_the_promise_nothing_is_refused():
    """A workflow that does not ask for it may mark a pivot and do as it likes."""
    assert mistakes(graph(step("b"), PIVOT, step("c"), run_timeout_ms=1), DEFAULT_LIMITS) == []


def test_the_mark_changes_no_graph_that_does_not_have_it():
    """Graphs of before have the hash they had."""
    plain = graph(step("a"), actions=[action("a", retry=ONCE)])
    assert b"pivot" not in plain.canonical()
    assert b"saga" not in plain.canonical()
    assert b"safe_to_leave" not in plain.canonical()


def test_a_document_is_refused_with_line_and_column():
    """In YAML the mistake stands at its node."""
    document = b"""\
name: order
version: "1"
saga: true
root:
  id: root
  kind: sequence
  nodes:
    - {id: book, kind: step, call: {action: book, input: {}}}
    - {id: pay, kind: step, pivot: true, call: {action: pay, input: {}}}
    - id: mail
      kind: step
      call: {action: mail, input: {}}
actions:
  book: {id: book}
  pay: {id: pay}
  mail: {id: mail}
"""
    with pytest.raises(Unreadable) as refused:
        read(document, name="order.yaml")
    first, second = str(refused.value).splitlines()
    assert first.startswith("order.yaml:8:7: saga: step book: it has no undo")
    assert second.startswith("order.yaml:10:7: saga: step mail: it can fail for good")
    mended = document.replace(b"book: {id: book}", b"book: {id: book, safe_to_leave: true}").replace(
        b"call: {action: mail, input: {}}", b"call: {action: mail, input: {}}\n      rules: [{then: {kind: pause}}]"
    )
    assert read(mended, name="order.yaml").saga
