"""What makes a graph one that can be run."""

import pytest

from actionbus.contracts import schedules
from actionbus.contracts.checks import check
from actionbus.contracts.decisions import Call, RetryPolicy
from actionbus.contracts.definitions import Effect, Graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.nodes import ScheduleNode, SequenceNode
from engine.graphs import (
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
    sequence_giving,
    show,
    sleep,
    step,
    throw,
    wait,
)

IN_A = {"effect": Effect.TRANSACTIONAL, "store": "a"}
IN_B = {"effect": Effect.TRANSACTIONAL, "store": "b"}


def mistakes(made: Graph, limits: Limits = DEFAULT_LIMITS) -> list[str]:
    """What a graph is refused for, each mistake alone."""
    try:
        check(made, limits)
    except DefinitionRefused as refused:
        head, *listed = str(refused).split("\n- ")
        assert head == f"the workflow {made.name} cannot be run as it is written:"
        return listed
    return []


def test_a_sound_graph_passes():
    """Earlier steps, the input, what was made, and the error that led to a fallback may be read where they are known."""
    seen = [ref("input", "n"), ref("steps", "a", "id")]
    made = graph(
        step("a", input=ref("input")),
        sequence("s", step("b", on("Full", fallback("f", why=ref("error", "type"), x=seen)), input=seen)),
        emit("told", "some.topic_1", ref("input"), [ref("steps", "b"), {"$literal": {"$ref": "no path"}}]),
        step("c", undo=call("undo-c", made=ref("made", "id"), x=seen), input=ref("steps", "b", 0)),
        output=[ref("steps", "c"), ref("steps", "b")],
    )
    assert mistakes(made) == []


def test_a_condition_can_be_true_or_false():
    """A text, a number or a list as a condition is a mistake, and so is a case without one."""
    for wrong in ("yes", 1, [True]):
        made = graph(choose("c", (wrong, step("a"))))
        assert (
            f"a condition is an expression or a reference that gives true or false, not {wrong!r}" in mistakes(made)[0]
        )
    assert "case 1: it has no condition" in mistakes(graph(choose("c", (None, step("a")))))[0]
    assert mistakes(graph(choose("c", (True, step("a"))), choose("d", (ref("input", "ok"), step("b"))))) == []


def test_every_mistake_is_named_at_once():
    """Whoever writes a workflow hears of all that is wrong with it, not of one thing after another."""
    made = graph(step("A", input=ref("steps", "zz")), step("A"), name="Order", version="")
    assert len(mistakes(made)) == 7


@pytest.mark.parametrize(
    ("nodes", "fields", "mistake"),
    [
        (
            [step("a"), sequence("s", step("a"))],
            {},
            "step s.a: the id a is there twice: give one of them an id of its own",
        ),
        ([step("a.b", action="a")], {}, "step id 'a.b' is not valid: use 1 to 100 of a-z 0-9 -"),
        ([emit("e/f", "t")], {}, "emit id 'e/f' is not valid: use 1 to 100 of a-z 0-9 -"),
        ([], {"name": "My Flow"}, "workflow id 'My Flow' is not valid: use 1 to 100 of a-z 0-9 -"),
        ([], {"version": "a@b"}, "workflow version 'a@b' is not valid"),
        (
            [step("a", input=ref("steps", "b")), step("b")],
            {},
            "step a: steps.b reads a step that is not finished by then",
        ),
        ([step("a", input=ref("steps", "a"))], {}, "step a: steps.a reads a step that is not finished by then"),
        ([step("a", input=ref("steps", "zz"))], {}, "step a: steps.zz reads the step zz, which is not there"),
        ([step("a", input=ref("steps"))], {}, "step a: steps names no step"),
        (
            [step("a", input=ref("made"))],
            {},
            "step a: nothing is known here by the name made (in made): use input, steps",
        ),
        ([step("a", input=ref("error"))], {}, "step a: nothing is known here by the name error (in error)"),
        ([step("a", input=ref("inptu"))], {}, "step a: nothing is known here by the name inptu (in inptu)"),
        (
            [emit("e", "t"), step("a", input=ref("steps", "e"))],
            {},
            "steps.e reads e, but a node of the kind emit gives no",
        ),
        ([sleep("s", 1), step("a", input=ref("steps", "s"))], {}, "reads s, but a node of the kind sleep gives no"),
        ([step("a", undo=call("u", x=ref("steps", "a")))], {}, "an undo reads its own step as made"),
        ([step("a", undo=call("u", x=ref("error")))], {}, "step a, undo: nothing is known here by the name error"),
        (
            [step("a", on("X", fallback("f", x=ref("made"))))],
            {},
            "step a, rule 1: nothing is known here by the name made",
        ),
        ([emit("e", "t", ref("steps", "zz"))], {}, "emit e: steps.zz reads the step zz, which is not there"),
        ([emit("e", "t", None, ref("steps", "zz"))], {}, "emit e: steps.zz reads the step zz, which is not there"),
        ([step("a")], {"output": ref("steps", "zz")}, "the output: steps.zz reads the step zz, which is not there"),
        ([step("a", input={"x": [{"$ref": "steps.b"}]})], {}, '{"$ref":"steps.b"} is no reference'),
        ([step("a", input={"$ref": []})], {}, "its value has to be a list of keys"),
        ([step("a", input={"$ref": ["steps", None]})], {}, "its value has to be a list of keys"),
        ([emit("e", "no topic")], {}, "emit e: 'no topic' is no topic name: use 1 to 249 of A-Z a-z 0-9 . _ -"),
        ([emit("e", "..")], {}, "emit e: '..' is no topic name"),
        ([], {"input_schema": {"type": "nonsense"}}, "the workflow's input: this is no JSON Schema"),
        ([], {"output_schema": 7}, "the workflow's output: this is no JSON Schema"),
        ([], {"input_schema": {"$ref": "http://127.0.0.1:9/other"}}, "the workflow's input: this is no JSON Schema"),
        ([], {"input_schema": {"pattern": "(a)\\1"}}, "the workflow's input: this is no JSON Schema"),
        ([], {"actions": [action("a", input_schema={"type": 1})]}, "the input of action a: this is no JSON Schema"),
        ([], {"actions": [action("a", output_schema={"type": 1})]}, "the output of action a: this is no JSON Schema"),
        ([], {"actions": [action("a", emits=("t t",))]}, "action a: 't t' is no topic name"),
        ([], {"actions": [action("a_b")]}, "action id 'a_b' is not valid"),
        (
            [step("a", on(None, retry(delays_ms=(5, -1))))],
            {},
            "step a, rule 1: a delay before the next attempt cannot be",
        ),
        (
            [step("a", retry=RetryPolicy(delays_ms=(-1,)))],
            {},
            "step a: a delay before the next attempt cannot be negative",
        ),
        ([], {"undo_retry": RetryPolicy(delays_ms=(-1,))}, "undo_retry: a delay before the next attempt cannot be"),
        (
            [],
            {"actions": [action("a", retry=RetryPolicy(delays_ms=(-1,)))]},
            "action a: a delay before the next attempt",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(nodes, fields, mistake):
    """Each mistake is one sentence that says where it is, and alone when it is the only one."""
    found = mistakes(graph(*nodes, **fields))
    assert len(found) == 1
    assert mistake in found[0]


def test_unknown_actions():
    """A step, an undo and a fallback may only use actions that the definition holds."""
    nodes = (step("a", on(None, fallback("f")), undo="u"),)
    made = Graph(name="w", version="1", root=SequenceNode(id="r", nodes=nodes), actions={"z": action("z")})
    assert mistakes(made) == [
        "step a: there is no action a in this definition; it holds z",
        "step a, undo: there is no action u in this definition; it holds z",
        "step a, rule 1: there is no action f in this definition; it holds z",
    ]


def test_the_workflow_of_schedules_is_nobodys():
    """Its name is taken, and so is the one kind of node that it has."""
    made = graph(ScheduleNode(id="s"), name=schedules.WORKFLOW, actions=[])
    assert mistakes(made) == [
        "actionbus-schedule is built in: give the workflow another id",
        "schedule s: only actionbus itself has such a node: start a run of actionbus-schedule instead",
    ]


def test_an_action_stands_under_its_id():
    """The name that a graph looks an action up by is the action's own."""
    made = Graph(name="w", version="1", root=SequenceNode(id="r", nodes=()), actions={"z": action("a")})
    assert mistakes(made) == ["the action a stands under the name z"]


@pytest.mark.parametrize(
    ("made", "undone_by", "mistake"),
    [
        (IN_A, IN_A, None),
        ({}, IN_A, None),
        ({}, {}, None),
        (IN_A, IN_B, "a writes to the store a, but u, which undoes it, to b: both have to use one store"),
        (IN_A, {"effect": Effect.TRANSACTIONAL}, "a writes to the store a, but u, which undoes it, to default"),
        (IN_A, {}, "a is transactional, so the action that undoes it has to be transactional too; u is idempotent"),
    ],
)
def test_an_undo_uses_the_store_of_its_step(made, undone_by, mistake):
    """The row that closes a transactional step stands in the step's own database: its undo has to write there."""
    found = mistakes(
        graph(step("a", undo=Call(action="u", input={})), actions=[action("a", **made), action("u", **undone_by)])
    )
    assert len(found) == (mistake is not None)
    assert mistake is None or mistake in found[0]


def test_a_graph_beyond_the_limits_is_refused():
    """Size, depth and length are bounded; what is beyond is not even walked through."""
    deep = step("a")
    for number in range(5):
        deep = sequence(f"s{number}", deep)
    assert mistakes(graph(step("a"), step("b"), step("c")), Limits(graph_nodes=2)) == [
        "it has more than 2 nodes: split it into several workflows"
    ]
    assert mistakes(graph(deep), Limits(graph_depth=5)) == ["its nodes are nested deeper than 5"]
    assert mistakes(graph(deep), Limits(graph_depth=6)) == []
    (said,) = mistakes(graph(step("a", input="x" * 2_000)), Limits(graph_bytes=2_000))
    assert "the limit is 2000: keep data out of it" in said


READS_A = ref("steps", "a")


@pytest.mark.parametrize(
    ("nodes", "mistake"),
    [
        ([parallel("p", step("a"), step("b")), put("v", [READS_A, ref("steps", "p")])], None),
        ([sequence("s", step("a")), put("v", READS_A)], None),
        ([step("a"), parallel("p", put("v", READS_A), put("w", READS_A))], None),
        ([step("a"), each("m", READS_A, put("v", READS_A))], None),
        ([each("m", [], sequence("s", step("a"), put("v", READS_A)))], None),
        ([sequence_giving("s", READS_A, step("a"))], None),
        ([step("a"), choose("c", (cel("a", a=READS_A), put("v", READS_A)))], None),
        ([step("a"), block("t", step("b"), caught(None, handle(put("h", READS_A))), always=put("x", READS_A))], None),
        ([parallel("p", step("a"), put("v", READS_A))], "not finished by then"),
        ([parallel("p", step("a"), step("b"), enough=1), put("v", READS_A)], "inside p, which may pass it by"),
        ([choose("c", (True, step("a"))), put("v", READS_A)], "inside c, which may pass it by or repeat it"),
        ([choose("c", (True, step("a")), otherwise=put("v", READS_A))], "not finished by then"),
        ([each("m", [], step("a")), put("v", READS_A)], "inside m, which may pass it by or repeat it"),
        ([each("m", [], step("a")), put("v", READS_A)], "let the map give the value, and read steps.m"),
        ([repeat("r", step("a"), limit=1), put("v", READS_A)], "inside r"),
        ([repeat("r", step("a"), until=cel("a", a=READS_A))], "not finished by then"),
        ([block("t", step("a")), put("v", READS_A)], "inside t"),
        ([block("t", step("a"), caught(None, handle(put("h", READS_A))))], "not finished by then"),
        ([wait("w", "go", timeout_ms=1, on_timeout=step("a")), put("v", READS_A)], "inside w"),
        ([throw("a", "X"), put("v", READS_A)], "a node of the kind raise gives no output"),
        ([put("v", READS_A), put("a", 1)], "not finished by then"),
    ],
)
def test_what_can_be_read_of_other_nodes(nodes, mistake):
    """Only what is certain to be there once, and finished, can be read by its id."""
    found = mistakes(graph(*nodes))
    assert len(found) == (mistake is not None)
    assert mistake is None or mistake in found[0]


@pytest.mark.parametrize(
    ("node", "mistake"),
    [
        (each("m", [1], put("v", [ref("scope", "m", "item"), ref("scope", "m", "index")])), None),
        (each("m", [1], step("a", undo=call("u", x=ref("scope", "m", "item")))), None),
        (each("m", [1], each("k", ref("scope", "m", "item"), put("v", ref("scope", "m", "index")))), None),
        (repeat("r", put("v", ref("scope", "r", "last")), until=cel("t > 1", t=ref("scope", "r", "turn"))), None),
        (block("t", put("v", ref("scope", "t", "attempt")), always=put("x", ref("scope", "t", "error"))), None),
        (block("t", step("a"), caught(None, go_on_with(1), when=cel("n > 1", n=ref("scope", "t", "attempt")))), None),
        (each("m", ref("scope", "m", "item"), step("a")), "gives to the nodes inside it, and this is not inside"),
        (each("m", [ref("scope", "m", "index")], step("a")), "this is not inside"),
        (sequence("s", each("m", [1], step("a")), put("v", ref("scope", "m", "item"))), "this is not inside"),
        (each("m", [1], put("v", ref("scope", "m", "turn"))), "a map gives item and index"),
        (each("m", [1], put("v", ref("scope", "m"))), "a map gives item and index"),
        (repeat("r", put("v", ref("scope", "r", "item")), limit=1), "a repeat gives turn and last"),
        (block("t", put("v", ref("scope", "t", "item"))), "a try gives error and attempt"),
        (sequence("s", put("v", ref("scope", "s", "item"))), "this is not inside"),
        (put("v", ref("scope", "zz", "item")), "which is not there"),
        (put("v", ref("scope")), "scope names no step"),
    ],
)
def test_what_the_nodes_around_give(node, mistake):
    """Items, turns and errors are known inside, and a condition of a loop or block may read its own."""
    found = mistakes(graph(node))
    assert len(found) == (mistake is not None)
    assert mistake is None or mistake in found[0]


@pytest.mark.parametrize(
    ("node", "mistake"),
    [
        (choose("c"), "choose c: it has no case to choose"),
        (choose("c", (ref("steps", "zz"), step("a"))), "choose c, case 1: steps.zz reads the step zz"),
        (parallel("p", step("a"), enough=2), "parallel p: 2 of 1 branches can never succeed"),
        (each("m", ref("steps", "zz"), step("a")), "map m, items: steps.zz reads the step zz"),
        (each("m", [], step("a"), concurrency=5_000), "map m: 5000 items at a time are more than 1000"),
        (repeat("r", step("a"), until=ref("steps", "zz")), "repeat r: steps.zz reads the step zz"),
        (wait("w", "no signal"), "signal 'no signal' is not valid"),
        (wait("w", "go", payload_schema=7), "wait w, the payload: this is no JSON Schema"),
        (wait("w", "go", on_timeout=step("a")), "wait w: on_timeout never follows without a timeout"),
        (wait("w", "go", accept=7), "wait w, accept: a condition is an expression"),
        (wait("w", "go", accept=cel("x.y", x=ref("made"))), "nothing is known here by the name made"),
        (put("v", ref("payload")), "nothing is known here by the name payload"),
        (person("p", ref("steps", "zz")), "person p, title: steps.zz reads the step zz"),
        (person("p", assignee=ref("steps", "zz")), "person p, assignee: steps.zz reads the step zz"),
        (person("p", on_reminder=step("a")), "person p: on_reminder never follows without remind_after_ms or due_ms"),
        (person("p", due_ms=5, timeout_ms=5), "a reminder and the due date come before the timeout, or never"),
        (
            person("p", due_ms=5, on_reminder=sequence("s", step("a", undo="u"))),
            "person p: what reminds is not taken back: leave out the undos of its steps",
        ),
        (child("c", "no workflow"), "workflow 'no workflow' is not valid"),
        (child("c", version="no version"), "workflow version 'no version' is not valid"),
        (child("c", input=ref("steps", "zz")), "child c, input: steps.zz reads the step zz"),
        (child("c", run_id=ref("steps", "zz")), "child c, run_id: steps.zz reads the step zz"),
        (child("c", wait=False, undo=call("u")), "child c: a run that is not waited for cannot be undone"),
        (show("v", "no name", 1), "name 'no name' is not valid"),
        (sleep("s"), "sleep s: say either how long (for_ms) or until when (until)"),
        (sleep("s", 1, 2), "sleep s: say either how long"),
        (sleep("s", ref("steps", "zz")), "sleep s: steps.zz reads the step zz"),
        (throw("t", "no type"), "raise t: 'no type' is no error type: use a name such as CardRefused"),
        (throw("t", "X", ref("made")), "raise t: nothing is known here by the name made"),
        (throw("t", "X", details=ref("made")), "raise t: nothing is known here by the name made"),
        (put("v", ref("error")), "set v: nothing is known here by the name error"),
        (put("v", cel("a +")), "set v: 'a +' is no CEL expression"),
        (put("v", cel("a")), "set v: 'a' reads a, which is not bound"),
        (put("v", {"$cel": 1}), "$cel takes a text, and with an object of templates"),
        (put("v", {"$cel": "a", "with": [1]}), "$cel takes a text, and with an object of templates"),
        (put("v", {"$cel": "a", "wiht": {"a": 1}}), "set v: beside $cel stands only with, not wiht"),
        (put("v", {"$ref": ["input"], "x": 1}), "set v: beside $ref stands nothing, not x"),
        (sleep("s", "1s"), "sleep s: a time to wait is a number of milliseconds, not '1s'"),
        (sleep("s", -1), "sleep s: a time to wait is a number of milliseconds, not -1"),
        (sleep("s", None, "tomorrow"), "sleep s: 'tomorrow' is no time"),
        (put("v", cel("a", a=ref("steps", "zz"))), "set v: steps.zz reads the step zz"),
        (sequence_giving("s", ref("steps", "zz")), "sequence s, output: steps.zz reads the step zz"),
        (block("t", step("a"), caught(None, retry(delays_ms=(-1,)))), "try t, rule 1: a delay before the next attempt"),
        (block("t", step("a"), caught(None, go_on_with(1), when=ref("made"))), "try t, rule 1: nothing is known here"),
        (
            step("a", on(None, go_on_with(1), when=ref("made"))),
            "step a, rule 1: nothing is known here by the name made",
        ),
        (block("t", step("a"), caught(None, handle(step("a")))), "step t.a: the id a is there twice"),
    ],
)
def test_a_mistake_of_a_node(node, mistake):
    """Every kind of node is checked for what it cannot do."""
    found = mistakes(graph(node))
    assert len(found) == 1
    assert mistake in found[0]


def test_a_condition_reads_the_failure():
    """Rules know the error, the attempt and the time, and nothing else does."""
    when = cel("e.type == 'X' && a < ms", e=ref("error"), a=ref("attempt"), ms=ref("elapsed_ms"))
    assert mistakes(graph(step("a", on(None, go_on_with(1), when=when)))) == []
    assert len(mistakes(graph(put("v", when)))) == 3


@pytest.mark.parametrize(
    "node",
    [
        wait("w", "go", accept=cel("x > 0", x=ref("payload")), answer=[ref("payload"), ref("input")]),
        child("c", undo=call("u", x=ref("made"))),
        person("p", due_ms=4, timeout_ms=5, on_reminder=step("a", input=ref("scope", "p", "assignee"))),
    ],
)
def test_what_nodes_may_read_and_hold(node):
    """What the sender said, what the run made, whom a person's task is for."""
    assert mistakes(graph(node)) == []


def test_a_signal_has_one_schema():
    """Whoever sends a signal cannot know which node takes it."""
    one, other = wait("v", "go", payload_schema={"type": "string"}), wait("w", "go")
    assert "the signal go is waited for with another schema" in mistakes(graph(one, other))[0]
    assert mistakes(graph(one, wait("w", "go", payload_schema={"type": "string"}))) == []


def test_the_root_gives_no_output():
    """The output of a run has one place to stand in."""
    root = SequenceNode(id="r", nodes=(), output=1)
    assert mistakes(Graph(name="w", version="1", root=root, actions={})) == [
        "the root gives no output of its own: use the output of the graph"
    ]
