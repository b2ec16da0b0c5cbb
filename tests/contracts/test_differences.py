"""What changes from one graph to another is said in sentences that name the node and both values."""

import pytest

from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.differences import differences
from engine.graphs import (
    COMPENSATE,
    PAUSE,
    action,
    call,
    cel,
    choose,
    each,
    graph,
    on,
    ref,
    repeat,
    sequence,
    sleep,
    step,
    wait,
)

A, B, C = step("a"), step("b"), step("c")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (graph(A), graph(A), []),
        (graph(A), graph(A, version="2"), []),
        (graph(A), graph(A, B), ["step b is new, after a"]),
        (graph(A), graph(B, A), ["step b is new, the first"]),
        (graph(A), graph(A, step("d", action="a")), ["step d is new, after a, and runs the action a"]),
        (graph(A, B), graph(A), ["step b is gone"]),
        (graph(A, B, C), graph(B, C, A), ["step a has moved, it is after c now"]),
        (
            graph(A, sequence("s", B)),
            graph(A, sequence("s"), B),
            ["step b has moved, it is after s now"],
        ),
        (
            graph(A, sequence("s", B)),
            graph(sequence("s", A, B)),
            ["step a has moved, it is the first in s now"],
        ),
        (graph(step("s", action="a")), graph(step("s", action="b")), ["step s: the action is b, before a"]),
        (
            graph(step("a", input={"x": ref("input")})),
            graph(step("a", input={"x": 1})),
            ['step a: the input is {"x":1}, before {"x":{"$ref":["input"]}}'],
        ),
        (
            graph(A),
            graph(step("a", undo=call("u", x=1))),
            ['step a: undo is {"action":"u","input":{"x":1}}, before none'],
        ),
        (
            graph(step("a", on("X", PAUSE))),
            graph(step("a", on("X", COMPENSATE))),
            [
                (
                    'step a: rules is [{"error_type":"X","then":{"kind":"compensate"}}], '
                    'before [{"error_type":"X","then":{"kind":"pause"}}]'
                )
            ],
        ),
        (graph(A), graph(step("a", start_to_close_ms=5)), ["step a: start_to_close_ms is 5, before none"]),
        (graph(sleep("s", 1)), graph(wait("s", "go")), ["wait s: it is a wait, before a sleep"]),
        (
            graph(choose("c", (cel("x > 1", x=ref("input")), A))),
            graph(choose("c", (cel("x > 2", x=ref("input")), A))),
            [
                (
                    'choose c: cases is [{"then":"a","when":{"$cel":"x > 2","with":{"x":{"$ref":["input"]}}}}], '
                    'before [{"then":"a","when":{"$cel":"x > 1","with":{"x":{"$ref":["input"]}}}}]'
                )
            ],
        ),
        (
            graph(repeat("r", A, until=ref("steps", "a"))),
            graph(repeat("r", A, **{"while": ref("steps", "a")})),
            [
                'repeat r: while is {"$ref":["steps","a"]}, before none',
                'repeat r: until is none, before {"$ref":["steps","a"]}',
            ],
        ),
        (
            graph(each("m", ref("input"), A)),
            graph(each("m", ref("input"), B)),
            ["map m: body is b, before a", "step b is new, the first in m", "step a is gone"],
        ),
        (
            graph(A, actions=[action("a", retry=RetryPolicy(attempts=1))]),
            graph(A, actions=[action("a", retry=RetryPolicy(attempts=2))]),
            ['action a: retry is {"attempts":2}, before {"attempts":1}'],
        ),
        (graph(A), graph(A, run_timeout_ms=9), ["the workflow: run_timeout_ms is 9, before none"]),
        (graph(A), graph(A, output="x" * 200), [f"the workflow: output is {'x' * 157}..., before none"]),
    ],
)
def test_a_difference_is_said_in_a_sentence(old, new, said):
    """Nodes that are new, gone, moved or changed, actions and the workflow itself: each is one sentence."""
    assert differences(old, new) == said
