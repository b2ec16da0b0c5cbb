"""One node for each item of a list."""

import pytest

from actionbus.contracts.limits import Limits
from engine.graphs import (
    call,
    cel,
    each,
    emit,
    fallback,
    on,
    put,
    ref,
    sequence,
    sequence_giving,
    step,
    throw,
    workflow,
)
from engine.matchers import has_ended, live, sent, told
from engine.play import started


def pick(body, **fields):
    """A workflow that goes through its input and gives what it made of it."""
    return workflow(each("m", ref("input"), body, **fields), output=ref("steps", "m"))


def test_each_item_is_a_step_of_its_own():
    """The node reads its item and its place; the outputs stand in the order of the items."""
    play = started(pick(step("a", input=[ref("scope", "m", "item"), ref("scope", "m", "index")])), ["x", "y"])
    assert [command.input for command in play.sent] == [b'["x",0]', b'["y",1]']
    play.succeeds("m[1]", "Y")
    play.succeeds("m[0]", "X")
    assert play.run.output == b'["X","Y"]'


def test_only_so_many_at_a_time():
    """The next item begins when one is over."""
    play = started(pick(step("a"), concurrency=2), [1, 2, 3])
    assert sorted(live(play.run)) == ["m[0]", "m[1]"]
    play.succeeds("m[0]")
    assert sorted(live(play.run)) == ["m[1]", "m[2]"]


@pytest.mark.parametrize(("items", "why"), [(7, "a list, not 7"), ([1, 2, 3], "the limit is 2")])
def test_what_is_no_list_or_too_long_fails_it(items, why):
    """The list is looked at before the first item begins."""
    play = started(workflow(each("m", ref("input"), step("a")), limits=Limits(map_items=2)), items)
    has_ended(play, "FAILED")
    assert why in play.run.error.message


def test_no_items_are_done_at_once():
    """An empty list gives an empty list."""
    assert started(pick(step("a")), []).run.output == b"[]"


def test_a_failed_item_that_may_fail_is_undone():
    """What was done for it is undone, its output is null, and the next item waits for that."""
    body = sequence_giving("s", ref("steps", "b"), step("a", undo="u"), step("b", undo="u"))
    play = started(pick(body, concurrency=1, may_fail=1), [1, 2])
    play.succeeds("m[0].a")
    play.fails("m[0].b")
    assert live(play.run) == {"m[0].b": "COMPENSATING"}
    play.undoes("m[0].b")
    play.undoes("m[0].a")
    assert live(play.run) == {"m[1].a": "SCHEDULED"}
    play.succeeds("m[1].a")
    play.succeeds("m[1].b", 2)
    assert play.run.output == b"[null,2]"


def test_undos_of_several_items_lead_where_they_belong():
    """Items are undone side by side, and each is over by itself."""
    play = started(pick(step("a", undo="u"), may_fail=2), [1, 2])
    play.fails("m[0]")
    play.fails("m[1]")
    assert live(play.run) == {"m[0]": "COMPENSATING", "m[1]": "COMPENSATING"}
    play.undoes("m[1]")
    assert play.run.status == "RUNNING"
    play.undoes("m[0]")
    assert play.run.output == b"[null,null]"


@pytest.mark.parametrize(
    ("fields", "survives"), [({}, False), ({"may_fail": 1}, True), ({"may_fail_percent": 50}, True)]
)
def test_how_many_may_fail(fields, survives):
    """A number or a share of the items may fail; one more fails the whole."""
    play = started(pick(step("a"), **fields), [1, 2])
    play.fails("m[0]")
    assert (play.run.status == "RUNNING") is survives
    if survives:
        play.fails("m[1]")
    has_ended(play, "FAILED")


def test_a_failure_undoes_all_items():
    """What was done for the items that succeeded is undone with the rest, last first."""
    play = started(pick(step("a", undo="u"), concurrency=1), [1, 2])
    play.succeeds("m[0]")
    play.fails("m[1]")
    play.undoes("m[1]")
    play.undoes("m[0]")
    has_ended(play, "FAILED")


def test_an_undo_reads_its_item():
    """What an undo reads of its item is bound when the step goes out: the list is gone by then."""
    play = started(pick(step("a", undo=call("u", of=ref("scope", "m", "item"))), concurrency=1), ["x", "y"])
    play.succeeds("m[0]")
    play.fails("m[1]")
    play.undoes("m[1]")
    assert [command.input for command in play.compensated()] == [b'{"of":"y"}', b'{"of":"x"}']


def test_items_forget_what_they_read():
    """Inside an item an output is forgotten after its last reader, as everywhere."""
    body = sequence("s", step("a"), step("b", input=ref("steps", "a")), step("c"))
    play = started(pick(body), [1, 2])
    play.succeeds("m[0].a", "A")
    play.succeeds("m[1].a", "B")
    assert [command.input for command in play.sent[-2:]] == [b'"A"', b'"B"']
    play.succeeds("m[0].b")
    assert live(play.run) == {"m[1].a": "SUCCEEDED", "m[1].b": "SCHEDULED", "m[0].c": "SCHEDULED"}


def test_a_fallback_of_an_item():
    """A fallback inside an item reads the item and stands in for it."""
    play = started(pick(step("a", on(None, fallback("f", x=ref("scope", "m", "item"))))), [5])
    play.fails("m[0]")
    assert play.sent[-1].input == b'{"x":5}'
    play.succeeds("m[0].f", "ok")
    assert play.run.output == b'["ok"]'


def test_lists_inside_lists():
    """Each level has items and places of its own, and the outputs nest as the lists do."""
    inner = each(
        "k",
        ref("scope", "m", "item"),
        put("v", cel("a * 10 + b", a=ref("scope", "m", "index"), b=ref("scope", "k", "item"))),
    )
    play = started(pick(inner), [[1, 2], [], [3]])
    assert play.run.output == b"[[1,2],[],[23]]"


def test_many_items_that_need_nobody_take_turns_with_other_runs():
    """A list that is gone through without any worker is cut into transitions, a millisecond apart."""
    loop = each("m", ref("input"), put("v", 1), concurrency=2)
    play = started(workflow(loop, limits=Limits(moves_per_transition=10), output=ref("steps", "m")), list(range(20)))
    assert play.run.status == "RUNNING"
    play.passes(100)
    assert play.run.output == b"[" + b",".join([b"1"] * 20) + b"]"
    assert len(play.transitions) > 3


def test_outputs_that_grow_too_large_fail_it():
    """Outputs that cannot be one list any more fail the whole before the run's state grows without bound."""
    definition = workflow(each("m", ref("input"), step("a")), output=ref("steps", "m"), limits=Limits(payload_bytes=30))
    play = started(definition, [1, 2, 3])
    for number in range(3):
        if play.run.status == "RUNNING":
            play.succeeds(f"m[{number}]", "x" * 25)
    has_ended(play, "FAILED")
    assert play.run.error.type == "ResultTooLarge"


def test_outputs_that_nobody_reads_are_not_kept():
    """Items may give as much as they like when nothing reads it."""
    play = started(workflow(each("m", ref("input"), step("a")), step("z"), limits=Limits(payload_bytes=30)), [1, 2, 3])
    for number in range(3):
        play.succeeds(f"m[{number}]", "x" * 25)
    assert live(play.run) == {"z": "SCHEDULED"}


def test_an_item_that_fails_at_once():
    """Items that fail as soon as they begin are counted like all others."""
    play = started(pick(throw("t", "Refused"), may_fail=3), [1, 2, 3])
    assert play.run.output == b"[null,null,null]"
    assert sum("branch_given_up" in each for each in told(play.last.event)) == 3


def test_ten_thousand_items():
    """The longest list that is allowed keeps no more than the items under way, and nothing of those that are over."""
    play = started(workflow(each("m", ref("input"), step("a"), concurrency=50)), list(range(10_000)))
    size = len(play.run.model_dump_json())
    for number in range(2_000):
        play.succeeds(f"m[{number}]")
        assert len(play.run.steps) == 50
    assert len(play.run.model_dump_json()) < size + 500
    play.cancels()
    has_ended(play, "CANCELLED")
    assert sent(play)[-1] == "m[2049]/1"


def test_a_record_for_each_item():
    """Records are made of items as well."""
    play = started(pick(emit("e", "t", None, ref("scope", "m", "item"))), [1, 2])
    assert [record.value for record in play.emits] == [b"1", b"2"]
