"""The control flow of the CNCF Serverless Workflow language 1.0, carried by graphs: what a reader of it would write.

Each docstring names what a document says; the graph says the same. Such documents have no undo, so a block that fails
keeps what it did.
"""

import pytest

from actionbus.contracts.checks import mistakes
from actionbus.contracts.decisions import Retry, RetryPolicy
from actionbus.contracts.limits import DEFAULT_LIMITS
from engine.graphs import (
    block,
    caught,
    cel,
    child,
    choose,
    compiled,
    each,
    emit,
    go_on_with,
    graph,
    handle,
    parallel,
    put,
    ref,
    repeat,
    sequence,
    sequence_giving,
    sleep,
    step,
    throw,
    wait,
)
from engine.matchers import has_ended, live, sent, waiting
from engine.play import started


def document(*nodes, **fields):
    """A workflow that could be deployed."""
    made = graph(*nodes, **fields)
    assert mistakes(made, DEFAULT_LIMITS) == []
    return compiled(made)


def tasks(name, first, **listed):
    """A list of tasks with flow directives: each gives the name of the one that follows it; null ends the list."""
    last = ref("scope", name, "last")
    cases = [
        (
            cel(f"last == null ? '{first}' == '{task}' : last.next == '{task}'", last=last),
            sequence_giving(f"{task}-task", {"next": follows, "out": ref("steps", task)}, node),
        )
        for task, (node, follows) in listed.items()
    ]
    return repeat(name, choose(f"{name}-next", *cases), until=cel("last.next == null", last=last))


@pytest.mark.parametrize(
    ("kind", "done"),
    [("electronic", ["bill"]), ("physical", ["ship"]), ("other", ["ask", "ask", "bill"])],
)
def test_do_with_switch(kind, done):
    """``switch`` names the task that follows; ``then: exit`` leaves the list, a name goes back to an earlier task."""
    chosen = cel("k == 'electronic' ? 'bill' : k == 'physical' ? 'ship' : 'ask'", k=ref("input"))
    flow = tasks(
        "do",
        "pick",
        pick=(put("pick", ref("input")), chosen),
        bill=(step("bill"), None),
        ship=(step("ship"), None),
        ask=(step("ask"), cel("again ? 'ask' : 'bill'", again=ref("steps", "ask", "again"))),
    )
    play = started(document(flow, step("after"), output=ref("steps", "do", "out")), kind)
    for number, each_done in enumerate(done):
        path = next(iter(live(play.run)))
        assert path.endswith(f".{each_done}")
        play.succeeds(path, {"again": number == 0})
    assert live(play.run)["after"] == "SCHEDULED"


def ending(*nodes):
    """A document in which ``then: end`` may stand anywhere: it leaves everything around it, and is no failure."""
    last = handle(put("end-with", ref("scope", "document", "error", "details")))
    return document(
        block("document", sequence("all", *nodes), caught("End", last, undo=False)), output=ref("steps", "document")
    )


def test_end_from_anywhere():
    """``then: end`` inside a ``fork`` inside a ``try``: other branches are given up, and no ``catch`` hears of it."""
    tried = block(
        "try",
        parallel("fork", sequence("b", step("a"), throw("end", "End", details=7)), step("slow")),
        caught("End", {"kind": "compensate"}, undo=False),
        caught(None, go_on_with("caught"), undo=False),
    )
    play = started(ending(tried, step("never")))
    play.succeeds("document[1].try[1].b.a")
    has_ended(play, "COMPLETED")
    assert play.run.output == b"7"


def test_a_task_with_a_condition():
    """``if`` before a task: it is passed by when it does not hold."""
    definition = document(choose("maybe", (cel("n > 1", n=ref("input")), step("a"))), step("z"))
    assert live(started(definition, 1).run) == {"z": "SCHEDULED"}
    assert live(started(definition, 2).run) == {"maybe.a": "SCHEDULED"}


def test_for_each_in_turn():
    """``for`` with ``each``, ``in`` and ``at``: one item after the other."""
    body = step("a", input={"pet": ref("scope", "for", "item"), "at": ref("scope", "for", "index")})
    play = started(document(each("for", ref("input"), body, concurrency=1), output=ref("steps", "for")), ["cat", "dog"])
    assert [each_.input for each_ in play.sent] == [b'{"at":0,"pet":"cat"}']
    play.succeeds("for[0]", "fed")
    play.succeeds("for[1]", "fed")
    assert play.run.output == b'["fed","fed"]'


def test_for_while():
    """``for`` with ``while``: it ends before the first item for which that does not hold, and hands its data on."""
    turn, last, items = ref("scope", "for", "turn"), ref("scope", "for", "last"), ref("input")
    body = put("sum", cel("(last == null ? 0 : last) + items[turn]", last=last, items=items, turn=turn))
    more = cel("turn < size(items) && items[turn] > 0", turn=turn, items=items)
    play = started(document(repeat("for", body, while_=more), output=ref("steps", "for")), [1, 2, -1, 5])
    assert play.run.output == b"3"


def test_fork_and_its_race():
    """``fork`` waits for all branches and lists what they gave; with ``compete`` the first one is enough."""
    both = started(document(parallel("fork", step("a"), step("b")), output=ref("steps", "fork")))
    both.succeeds("fork.b", 2)
    both.succeeds("fork.a", 1)
    assert both.run.output == b"[1,2]"
    race = started(document(parallel("fork", step("a"), step("b"), enough=1), output=ref("steps", "fork")))
    race.succeeds("fork.b", 2)
    assert race.run.output == b"[null,2]"


def unavailable(*, seconds):
    """``catch`` of errors with the status 503, unless it is no use, with a back-off and a limit of attempts and time."""
    when = cel(
        "has(e.details) && e.details.status == 503 && !e.message.contains('never') && ms < limit",
        e=ref("error"),
        ms=ref("elapsed_ms"),
        limit=seconds * 1_000,
    )
    again = Retry(policy=RetryPolicy(attempts=3, initial_ms=1_000, factor=2, jitter=0))
    return caught("communication", again, when=when, undo=False)


def test_try_catch_and_retry():
    """``catch`` with ``errors.with``, ``when``, ``exceptWhen``, ``retry`` and then ``do``, which reads the error."""
    recover = handle(put("recover", ref("scope", "try", "error", "message")))
    rules = (unavailable(seconds=60), caught(None, recover, undo=False))
    definition = document(block("try", step("call"), *rules), output=ref("steps", "try"))
    play = started(definition)
    play.fails("try[1]", "communication", details=b'{"status":503}', message="busy")
    assert waiting(play.run) == {"wake of try": play.now + 1_000}
    play.passes(1_000)
    play.fails("try[2]", "communication", details=b'{"status":404}', message="gone")
    assert play.run.output == b'"gone"'
    useless = started(definition)
    useless.fails("try[1]", "communication", details=b'{"status":503}', message="never")
    assert useless.run.output == b'"never"'
    late = started(definition)
    late.passes(60_000)
    late.fails("try[1]", "communication", details=b'{"status":503}', message="late")
    assert late.run.output == b'"late"'


def test_raise():
    """``raise`` ends the run with its error where nothing catches it; status and title travel in the details."""
    details = {"status": 400, "title": cel("'bad ' + what", what=ref("input"))}
    play = started(document(throw("t", "validation", cel("'no ' + x", x=ref("input")), details=details)), "pet")
    has_ended(play, "FAILED")
    assert (play.run.error.type, play.run.error.message) == ("validation", "no pet")
    assert play.run.error.details == b'{"status":400,"title":"bad pet"}'


def test_emit_and_set():
    """``set`` makes data, ``emit`` publishes an event of it."""
    event = {"type": "com.example.ordered", "data": ref("steps", "data")}
    play = started(document(put("data", {"pet": ref("input")}), emit("e", "orders", value=event)), "cat")
    assert play.transitions[0].emits[0].value == b'{"data":{"pet":"cat"},"type":"com.example.ordered"}'


def test_listen_to_one_any_and_all():
    """``listen`` to one event that fits, to the first of several, and to every one of several, in any order."""
    one = started(document(wait("l", "temperature", accept=cel("d > 38", d=ref("payload"))), output=ref("steps", "l")))
    one.signals("temperature", 37)
    one.signals("temperature", 39)
    assert one.run.output == b"39"
    several = (wait("t", "temperature"), wait("b", "bpm"))
    first = started(document(parallel("l", *several, enough=1), output=ref("steps", "l")))
    first.signals("bpm", 61)
    assert first.run.output == b"[null,61]"
    every = started(document(parallel("l", *several), output=ref("steps", "l")))
    every.signals("bpm", 61)
    every.signals("temperature", 39)
    assert every.run.output == b"[39,61]"


def test_listen_until():
    """``listen`` to any of several ``until`` another event comes: what came before it is gathered in order."""
    last, came = ref("scope", "l", "last"), ref("steps", "one")
    more = cel("(last == null ? [] : last.heard) + one.filter(e, e != null)", last=last, one=came)
    turn = sequence_giving(
        "turn",
        {"heard": more, "over": cel("one[2] != null", one=came)},
        parallel("one", wait("t", "temperature"), wait("b", "bpm"), wait("x", "discharged"), enough=1),
    )
    heard = repeat("l", turn, until=ref("scope", "l", "last", "over"))
    play = started(document(heard, output=ref("steps", "l", "heard")))
    play.signals("bpm", 61)
    play.signals("temperature", 39)
    play.signals("discharged", "bye")
    assert play.run.output == b'[61,39,"bye"]'


def test_wait_and_run():
    """``wait`` lets time pass; ``run`` of a workflow waits for it, or with ``await: false`` only starts it."""
    play = started(document(sleep("w", 500), child("c"), child("d", wait=False), output=ref("steps", "c")))
    play.passes(500)
    assert [scope.path for scope in play.run.scopes] == ["", "c"]
    assert play.transitions[-1].requests[0].workflow == "other"


def test_timeouts():
    """``timeout`` of a task fails it with an error that is caught; that of the document ends the run."""
    late = caught("Timeout", handle(put("late", "late")), undo=False)
    task = block("try", block("task", sequence("do", step("a"), step("b")), timeout_ms=1_000), late)
    play = started(document(task, step("z"), output=ref("steps", "try"), run_timeout_ms=5_000))
    play.succeeds("try[1][1].a")
    play.passes(1_000)
    assert sent(play) == ["try[1][1].a/1", "try[1][1].b/1", "z/1"]
    play.passes(4_000)
    has_ended(play, "TIMED_OUT")
