"""The kinds of nodes, alone and inside one another."""

import pytest

from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.limits import Limits
from actionbus.engine.shapes import SHAPES
from engine.graphs import attempt, emit, fallback, go_on_with, on, parallel, policy, ref, sequence, step, workflow
from engine.matchers import has_ended, is_ignored, live, sent, told
from engine.play import started


def test_sequences_inside_sequences():
    """A nested sequence is one node of the outer one; its steps carry its path."""
    play = started(
        workflow(
            sequence("first", step("a"), sequence("inner", step("b"))),
            sequence("empty"),
            step("c", input=ref("steps", "b")),
            output=ref("steps", "c"),
        )
    )
    assert live(play.run) == {"first.a": "SCHEDULED"}
    assert [scope.path for scope in play.run.scopes] == ["", "first"]
    play.succeeds("first.a")
    assert [scope.path for scope in play.run.scopes] == ["", "first", "first.inner"]
    play.succeeds("first.inner.b", 7)
    assert [scope.path for scope in play.run.scopes] == [""]
    assert play.sent[-1].input == b"7"
    play.succeeds("c", 8)
    has_ended(play, "COMPLETED")
    assert sent(play) == ["first.a/1", "first.inner.b/1", "c/1"]


def test_a_failure_leaves_nested_sequences():
    """A step that fails for good fails the run through every sequence around it."""
    play = started(workflow(step("a", undo="undo-a"), sequence("s", sequence("t", step("b"), step("c")))))
    play.succeeds("a")
    play.fails("s.t.b")
    assert play.run.scopes == ()
    play.undoes("a")
    has_ended(play, "FAILED")


def test_a_run_publishes_records():
    """An emit node is done in the transition that reaches it, and so are those after it."""
    play = started(
        workflow(
            step("a"),
            emit("told", "orders", ref("steps", "a", "id"), {"id": ref("steps", "a", "id"), "n": ref("input")}),
            emit("gone", "orders", {"k": 1}),
            step("b"),
        ),
        5,
    )
    play.succeeds("a", {"id": "o-1"})
    first, second = play.last.emits
    assert (first.topic, first.key, first.value) == ("orders", b"o-1", b'{"id":"o-1","n":5}')
    assert first.headers == {"content-type": b"application/json"}
    assert (second.key, second.value) == (b'{"k":1}', None)
    assert told(play.last.event)[1:] == [
        'told record_emitted {"topic":"orders"}',
        'gone record_emitted {"topic":"orders"}',
        "b#1 scheduled {}",
    ]


def test_a_record_without_a_value_carries_no_content_type():
    """A tombstone says nothing about a content it does not have."""
    play = started(workflow(emit("gone", "orders", "k")))
    assert play.emits[0].headers == {}


@pytest.mark.parametrize(
    "node", [emit("e", "t", ref("steps", "a", "id")), emit("e", "t", "k", ref("steps", "a", "id"))]
)
def test_a_record_that_cannot_be_made_fails_the_run(node):
    """A record that reads what is not there is not published, and what the run did is undone."""
    play = started(workflow(step("a", undo="undo-a"), node))
    play.succeeds("a", {})
    assert play.emits == []
    assert play.run.ending == "FAILED"
    assert play.run.error.type == "InputRefused"
    assert play.run.error.message.startswith("e: the reference steps.a.id")


def test_a_record_beyond_the_limit_fails_the_run():
    """A record's value is bound by the same limit as every payload."""
    play = started(workflow(emit("e", "t", None, [ref("input")] * 3), limits=Limits(payload_bytes=20)), "12345678")
    assert play.emits == []
    has_ended(play, "FAILED")


def test_many_nodes_in_a_row_need_no_deep_stack():
    """Ten thousand nodes may follow one another within one transition."""
    play = started(workflow(*(emit(f"e{number}", "t") for number in range(10_000))))
    assert len(play.emits) == 10_000
    has_ended(play, "COMPLETED")


def test_a_leaf_holds_nothing():
    """A result that pretends to be inside a node that holds nothing is a mistake of the program, and loud."""
    shape = SHAPES["emit"]
    with pytest.raises(InvariantBroken, match="which holds nothing"):
        shape.finished(None, None, "e", "e.x", None)


def test_branches_at_the_same_time():
    """Branches are live at once, are answered in any order, nest, and hand their outputs on when all are done."""
    play = started(
        workflow(
            step("a"),
            parallel("p", sequence("left", step("b"), step("c")), step("d", input=ref("steps", "a"))),
            step("e", input=[ref("steps", "p"), ref("steps", "d")]),
        )
    )
    play.succeeds("a", 1)
    assert live(play.run) == {"a": "SUCCEEDED", "p.left.b": "SCHEDULED", "p.d": "SCHEDULED"}
    assert sorted(sent(play)) == ["a/1", "p.d/1", "p.left.b/1"]
    play.succeeds("p.d", 4)
    play.succeeds("p.left.b")
    play.succeeds("p.left.c")
    assert live(play.run) == {"p.d": "SUCCEEDED", "p": "SUCCEEDED", "e": "SCHEDULED"}
    assert play.sent[-1].input == b"[[null,4],4]"
    play.succeeds("e")
    has_ended(play, "COMPLETED")


def test_a_failed_branch_gives_up_the_other():
    """The failure leaves the node with all its branches; every step that was dispatched is undone, last first."""
    play = started(
        workflow(
            step("a", undo="u"),
            parallel("p", sequence("left", step("b", undo="u"), step("c", undo="u")), step("d", undo="u")),
        )
    )
    play.succeeds("a")
    play.succeeds("p.left.b")
    play.fails("p.d")
    assert "p.left.c#1 cancelled" in told(play.last.event)
    is_ignored(play, play.succeeds("p.left.c", attempt=1))
    for name in ("p.left.c", "p.left.b", "p.d", "a"):
        assert live(play.run) == {name: "COMPENSATING"}
        play.undoes(name)
    has_ended(play, "FAILED")


def test_an_undo_in_a_branch_that_is_given_up_leads_nowhere():
    """An undo that a fallback waited for goes on, and the fallback never begins."""
    play = started(workflow(parallel("p", step("b", on(None, fallback("f")), undo="u"), step("c"))))
    play.fails("p.b")
    play.fails("p.c")
    assert live(play.run) == {"p.b": "COMPENSATING"}
    play.undoes("p.b")
    has_ended(play, "FAILED")
    assert sent(play) == ["p.b/1", "p.c/1", "p.b/undo/1"]


def test_a_branch_may_end_as_soon_as_it_begins():
    """Branches that need nobody are done in the transition that enters them, whatever becomes of their neighbours."""
    play = started(
        workflow(parallel("p", emit("x", "t"), step("b", on(None, go_on_with(1)), input=ref("input", "no")))), {}
    )
    has_ended(play, "COMPLETED")
    for rest in ([emit("x", "t"), sequence("s")], [sequence("s", emit("x", "t"), emit("y", "t"), emit("z", "t"))]):
        play = started(workflow(parallel("p", step("b", input=ref("input", "no")), *rest), step("c")), {})
        has_ended(play, "FAILED")


def test_branches_back_off_on_their_own():
    """Timers belong to their step: one branch waits while another goes on."""
    play = started(workflow(parallel("p", step("b", retry=policy(3)), step("c", retry=policy(3))), step("d")))
    play.fails("p.b")
    play.passes(500)
    play.fails("p.c")
    play.passes(500)
    assert live(play.run) == {"p.b": "SCHEDULED", "p.c": "BACKING_OFF"}
    play.succeeds("p.c", attempt=1)
    play.succeeds("p.b")
    assert live(play.run) == {"d": "SCHEDULED"}


def test_a_scope_may_catch_a_failure():
    """What was done inside is undone, last first, what was done outside stays, and the run goes on after it."""
    play = started(
        workflow(
            step("a", undo="u"),
            attempt("try", sequence("s", step("b", undo="u"), step("c", undo="u"), step("d"))),
            step("e", input=ref("steps", "try")),
        )
    )
    for name in ("a", "try[1].b", "try[1].c"):
        play.succeeds(name)
    play.fails("try[1].d", "Full")
    assert play.run.status == "RUNNING"
    assert live(play.run) == {"try[1].c": "COMPENSATING"}
    play.undoes("try[1].c")
    assert live(play.run) == {"try[1].b": "COMPENSATING"}
    play.undoes("try[1].b")
    assert live(play.run) == {"try": "SUCCEEDED", "e": "SCHEDULED"}
    assert play.sent[-1].input == b'"Full"'
    assert [undo.step for undo in play.run.compensations] == ["a"]
    play.succeeds("e")
    has_ended(play, "COMPLETED")


def test_a_scope_with_nothing_to_undo_goes_on_at_once():
    """A failure that left nothing behind costs no transition of its own."""
    play = started(workflow(attempt("try", step("b")), step("c")))
    play.fails("try[1]")
    assert live(play.run) == {"c": "SCHEDULED"}


def test_a_scope_waits_for_an_undo_that_is_under_way():
    """An undo that a fallback waited for belongs to what is undone; the fallback never begins."""
    inside = parallel("p", step("b", on(None, fallback("f")), undo="u"), step("c"))
    play = started(workflow(attempt("try", inside), step("d")))
    play.fails("try[1].b")
    play.fails("try[1].c")
    assert live(play.run) == {"try[1].b": "COMPENSATING"}
    play.undoes("try[1].b")
    assert live(play.run) == {"d": "SCHEDULED"}
    assert sent(play) == ["try[1].b/1", "try[1].c/1", "try[1].b/undo/1", "d/1"]


def test_a_cancel_while_a_scope_is_undone():
    """The run heads for its ending: the undo that is under way counts, the others follow, the scope does not go on."""
    play = started(workflow(step("a", undo="u"), attempt("try", step("b", undo="u")), step("c")))
    play.succeeds("a")
    play.fails("try[1]")
    play.cancels()
    play.undoes("try[1]")
    assert live(play.run) == {"a": "COMPENSATING"}
    play.undoes("a")
    has_ended(play, "CANCELLED")
    assert sent(play) == ["a/1", "try[1]/1", "try[1]/undo/1", "a/undo/1"]


def test_unwinding_is_only_for_who_asked():
    """A node that never asked for an undo of what is inside cannot be told that it is done."""
    with pytest.raises(InvariantBroken, match="did not ask for it"):
        SHAPES["choose"].unwound(None, None, "s", "s.a")


def test_branches_are_undone_on_their_own():
    """A scope does not wait for an undo in another branch, nor does that one lead anywhere but where it belongs."""
    inside = (attempt("try", step("b", undo="u")), step("c", on(None, fallback("f")), undo="u"))
    play = started(workflow(parallel("p", *inside)))
    play.fails("p.c")
    play.fails("p.try[1]")
    assert live(play.run) == {"p.c": "COMPENSATING", "p.try[1]": "COMPENSATING"}
    play.undoes("p.c")
    assert live(play.run) == {"p.try[1]": "COMPENSATING", "p.c": "FAILED", "p.c.f": "SCHEDULED"}
    play.undoes("p.try[1]")
    play.succeeds("p.c.f")
    has_ended(play, "COMPLETED")
