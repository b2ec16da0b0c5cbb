"""Graphs as pictures."""

from actionbus.contracts import diagrams
from actionbus.contracts.decisions import ContinueWith
from engine.graphs import block, caught, cel, choose, each, graph, handle, parallel, put, repeat, sequence, step, wait


def arrows(*nodes):
    """What leads where, by path, with what stands on the arrow."""
    picture = diagrams.draw(graph(*nodes))
    return [f"{source} -> {target}" + (f" ({label})" if label else "") for source, target, label in picture.arrows]


def test_nodes_follow_one_another():
    """A sequence is a chain, an empty one leaves no trace, and a sequence inside is no box of its own."""
    assert arrows(step("a"), sequence("none"), sequence("s", step("b"))) == [
        "!begin -> a",
        "a -> s.b",
        "s.b -> !end",
    ]


def test_a_choice_shows_its_conditions():
    """Each branch hangs on its condition; without another branch the way leads past them."""
    over = cel("total > 100", total=1)
    assert arrows(choose("c", (over, step("a"))), step("b")) == [
        "!begin -> c",
        "c -> c.a (total > 100)",
        "c -> b (otherwise)",
        "c.a -> b",
        "b -> !end",
    ]
    assert "c -> c.x (otherwise)" in arrows(choose("c", (over, step("a")), otherwise=step("x")))


def test_branches_meet_again():
    """Parallel branches begin at one box and end in the next node."""
    assert arrows(parallel("p", step("a"), step("b")), step("c")) == [
        "!begin -> p",
        "p -> p.a",
        "p -> p.b",
        "p.a -> c",
        "p.b -> c",
        "c -> !end",
    ]


def test_loops_and_blocks_are_frames():
    """What may happen several times stands in a frame with its kind; a handler follows a failure, always both."""
    tried = block("t", step("a"), caught("X", handle(step("h"))), caught(None, ContinueWith(value=1)), always=step("z"))
    picture = diagrams.draw(graph(each("m", [], step("i")), repeat("r", put("v", 1), limit=2), tried))
    assert {name: title for name, (title, _) in picture.frames.items()} == {
        "m": "m: map",
        "r": "r: repeat",
        "t": "t: try",
    }
    assert ("t[]", "t.h", "failed") in picture.arrows
    assert ("t[]", "t.z", "") in picture.arrows
    assert ("t.h", "t.z", "") in picture.arrows


def test_a_wait_shows_what_follows_its_time():
    """The way of a signal and the way of a time that ran out lead on from the same box."""
    late = wait("w", "paid", timeout_ms=5, on_timeout=step("remind"))
    assert arrows(late) == ["!begin -> w", "w -> w.remind (too late)", "w -> !end", "w.remind -> !end"]


def test_texts_are_escaped():
    """Whatever a condition holds, the picture stays one; names that are words of the language are no matter."""
    made = graph(choose("end", (cel('name == "<a&b>"', name=1), step("subgraph"))))
    assert "name == &quot;&lt;a&amp;b&gt;&quot;" in diagrams.mermaid(made)
    assert r'[label="name == \"<a&b>\""]' in diagrams.dot(made)
    assert "\n  end" not in diagrams.mermaid(made)
