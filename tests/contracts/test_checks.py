"""What makes a graph one that can be run."""

import pytest

from actionbus.contracts.checks import check
from actionbus.contracts.decisions import Call, RetryPolicy
from actionbus.contracts.definitions import Effect, Graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.nodes import SequenceNode
from engine.graphs import action, call, emit, fallback, graph, on, ref, retry, sequence, sleep, step

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
