"""Runs that another run starts: what is asked of them, and what their end means for it."""

import pytest

from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.requests import ChildReport, RequestKind
from actionbus.contracts.run import Parent, RunStatus
from actionbus.engine.inputs import ChildReported, RequestMade, StartRequested
from engine.graphs import block, call, caught, child, each, go_on_with, handle, parallel, put, ref, step, wait, workflow
from engine.matchers import has_ended, is_ignored, is_refused, live, waiting
from engine.play import Play, started

OTHER = workflow(step("b", undo="ub"), output=ref("steps", "b"))
CHILD = "r-1:0:c"


class Pair:
    """A run and the one that it starts: what one asks of the other is handed over when the test says so."""

    def __init__(self, *nodes, other=OTHER, **fields):
        self.parent = started(workflow(*nodes, **fields), {"n": 1})
        self.child = Play(other, run_id=self.asked[0].run_id if self.asked else CHILD, incarnation="7")
        self.taken = 0

    @property
    def asked(self):
        """Everything that the parent asked of others."""
        return [request for transition in self.parent.transitions for request in transition.requests]

    @property
    def reports(self):
        """Everything that the child told."""
        return [request for transition in self.child.transitions for request in transition.requests]

    def down(self):
        """What the parent asked arrives."""
        for request in self.asked[self.taken :]:
            start = request.kind is RequestKind.START
            self.child.give(StartRequested(request=request, incarnation="7") if start else RequestMade(request=request))
        self.taken = len(self.asked)
        return self

    def up(self):
        """The child's last word arrives."""
        last = self.reports[-1]
        self.parent.give(ChildReported(parent=last.parent, report=last.child))
        return self


def test_a_run_is_started_and_its_end_waited_for():
    """The child has the parent's input and a derived id; what it gives is what the node gives."""
    pair = Pair(step("a"), child("c", input={"n": ref("input", "n")}), step("z"), output=ref("steps", "c"))
    pair.parent.succeeds("a")
    (start,) = pair.asked
    assert (start.kind, start.run_id, start.workflow) == (RequestKind.START, CHILD, "other")
    assert start.payload == b'{"n":1}'
    pair.down().child.succeeds("b", "done")
    has_ended(pair.child, "COMPLETED")
    pair.up()
    assert live(pair.parent.run) == {"c": "SUCCEEDED", "z": "SCHEDULED"}
    pair.parent.succeeds("z")
    assert pair.parent.run.output == b'"done"'


def test_a_child_that_fails_fails_the_node_in_its_own_words():
    """The type of the error is the child's, so the rules around the node can tell failures apart."""
    rules = [caught("Oops", go_on_with("instead"))]
    pair = Pair(block("t", child("c"), *rules), output=ref("steps", "t"))
    pair.down().child.fails("b", "Oops", retryable=False)
    pair.child.undoes("b")
    has_ended(pair.child, "FAILED")
    pair.up()
    assert pair.parent.run.output == b'"instead"'


@pytest.mark.parametrize("why", ["taken", "not deployed"])
def test_a_start_that_is_refused_fails_the_node(why):
    """Whatever keeps the child from beginning, the parent hears it."""
    pair = Pair(child("c", run_id="their-own"))
    if why == "taken":
        pair.child.starts()
    else:
        pair.child.definition = workflow(step("b"), input_schema={"type": "string"})
    pair.down().up()
    has_ended(pair.parent, "FAILED")
    assert pair.parent.run.error.type == "ChildRefused"
    assert "their-own" in pair.parent.run.error.message


def test_a_run_that_is_not_waited_for():
    """The node is done once the run has begun, and gives its id; nothing of its end is heard."""
    pair = Pair(child("c", wait=False, run_id="r-2"), output=ref("steps", "c", "run_id"))
    pair.down()
    assert pair.reports[-1].child.status is RunStatus.RUNNING
    pair.up()
    assert pair.parent.run.output == b'"r-2"'
    pair.child.succeeds("b")
    assert len(pair.reports) == 1


def test_a_run_that_is_not_waited_for_outlives_the_cancelled_one():
    """Also when its beginning was not heard of yet."""
    pair = Pair(child("c", wait=False))
    pair.parent.cancels()
    assert [request.kind for request in pair.asked] == ["start"]
    has_ended(pair.parent, "CANCELLED")


def test_what_the_run_did_is_undone_once_the_child_has_ended():
    """Undoing goes backwards: the child, which began later, undoes itself first."""
    pair = Pair(step("a", undo="ua"), child("c"))
    pair.parent.succeeds("a")
    pair.down().parent.cancels()
    assert [request.kind for request in pair.asked] == ["start", "cancel"]
    assert live(pair.parent.run) == {"c": "COMPENSATING"}
    assert pair.parent.compensated() == []
    pair.down()
    assert live(pair.child.run) == {"b": "COMPENSATING"}
    pair.child.undoes("b")
    pair.up()
    assert live(pair.parent.run) == {"a": "COMPENSATING"}
    pair.parent.undoes("a")
    has_ended(pair.parent, "CANCELLED")


def test_a_child_that_completed_before_it_was_cancelled_is_undone():
    """Its end and the cancellation crossed: the undo of the node takes it back."""
    pair = Pair(child("c", undo=call("uc", made=ref("made"), n=ref("input", "n"))))
    pair.down().child.succeeds("b", "done")
    pair.parent.cancels()
    pair.up().down()
    (order,) = pair.parent.compensated()
    assert (order.action, order.input) == ("uc", b'{"made":"done","n":1}')
    pair.parent.undoes("c")
    has_ended(pair.parent, "CANCELLED")
    assert pair.reports[-1].child.status is RunStatus.UNKNOWN  # the cancellation found it ended


def test_a_completed_child_is_undone_in_its_turn():
    """As any step, last first."""
    pair = Pair(step("a", undo="ua"), child("c", undo=call("uc", made=ref("made"))), step("z"))
    pair.parent.succeeds("a")
    pair.down().child.succeeds("b", "done")
    pair.up().parent.fails("z", retryable=False)
    assert live(pair.parent.run) == {"c": "COMPENSATING"}
    pair.parent.undoes("c")
    assert live(pair.parent.run) == {"a": "COMPENSATING"}


def test_a_child_that_failed_needs_no_undo():
    """It has undone itself."""
    pair = Pair(child("c", undo=call("uc")))
    pair.down().child.fails("b", retryable=False)
    pair.child.undoes("b")
    pair.up()
    has_ended(pair.parent, "FAILED")


@pytest.mark.parametrize(("give_up", "asked"), [("terminate", ["start", "terminate"]), ("leave", ["start"])])
def test_a_child_may_be_terminated_or_left(give_up, asked):
    """Then nobody waits for it."""
    pair = Pair(child("c", give_up=give_up))
    pair.parent.cancels()
    assert [request.kind for request in pair.asked] == asked
    has_ended(pair.parent, "CANCELLED")


def test_a_terminated_run_cancels_its_child_and_does_not_wait():
    """What the child then tells finds an ended run."""
    pair = Pair(child("c"))
    pair.down().parent.terminates()
    has_ended(pair.parent, "TERMINATED")
    pair.down().child.undoes("b")
    has_ended(pair.child, "CANCELLED")
    before = pair.parent.run
    pair.up()
    assert pair.parent.run is before


def test_a_child_that_takes_too_long():
    """It is cancelled, the node fails with Timeout, and what follows waits until the child has undone itself."""
    instead = handle(put("instead", 0))
    pair = Pair(block("t", child("c", timeout_ms=50), caught("Timeout", instead)), output=ref("steps", "t"))
    pair.down().parent.passes(50)
    assert waiting(pair.parent.run) == {}
    assert list(live(pair.parent.run).values()) == ["COMPENSATING"]
    pair.down().child.undoes("b")
    pair.up()
    assert pair.parent.run.output == b"0"


def test_losing_children_are_cancelled():
    """The first branch was enough: the run goes on once the child of the other is undone."""
    pair = Pair(parallel("p", step("a"), child("c"), enough=1), step("z"))
    pair.down().parent.succeeds("p.a")
    assert live(pair.parent.run) == {"p.c": "COMPENSATING"}
    pair.down().child.undoes("b")
    pair.up()
    assert live(pair.parent.run) == {"z": "SCHEDULED"}


def test_each_item_of_a_list_has_a_run_of_its_own():
    """The ids tell them apart."""
    play = started(workflow(each("m", [1, 2], child("c", input=ref("scope", "m", "item")))))
    asked = play.transitions[-1].requests
    assert [request.run_id for request in asked] == ["r-1:0:m_0_", "r-1:0:m_1_"]
    assert [request.payload for request in asked] == [b"1", b"2"]


def test_a_run_that_somebody_else_started_is_left_alone():
    """The start was refused because the id is taken; a cancellation that is on its way must not hit that run."""
    pair = Pair(child("c", run_id="theirs"))
    pair.child.starts()
    pair.parent.cancels()
    pair.down()
    assert pair.child.run.status is RunStatus.RUNNING
    pair.up()
    has_ended(pair.parent, "CANCELLED")


def _report(pair, **changes):
    parent = Parent(run_id="r-1", incarnation="0", path="c", waits=True)
    report = ChildReport(run_id=CHILD, incarnation="7", status=RunStatus.COMPLETED, output=b"1")
    fields = {name: value for name, value in changes.items() if name in ("run_id", "status")}
    return pair.parent.give(
        ChildReported(
            parent=parent.replace(**{name: value for name, value in changes.items() if name not in fields}),
            report=report.replace(**fields),
        )
    )


def test_a_report_for_an_earlier_run_of_that_id_is_ignored():
    """The incarnation tells runs of one id apart."""
    pair = Pair(child("c"))
    is_ignored(pair.parent, _report(pair, incarnation="9"))


@pytest.mark.parametrize(
    "changes", [{"path": "nowhere"}, {"path": "w"}, {"run_id": "another"}, {"status": RunStatus.RUNNING}]
)
def test_a_report_that_nobody_waits_for_is_ignored(changes):
    """Another node, another run, or a child that has only begun."""
    pair = Pair(parallel("p", child("c"), wait("w", "go")))
    is_ignored(pair.parent, _report(pair, **{"path": "p.c", **changes}))


def test_the_same_report_twice_changes_nothing():
    """The first one ended the wait."""
    pair = Pair(child("c"), step("z"))
    pair.down().child.succeeds("b")
    pair.up()
    pair.up()
    is_ignored(pair.parent, pair.parent.last)


def test_a_paused_run_hears_of_its_child_and_goes_on_when_resumed():
    """The end of the child is kept, the next step held."""
    pair = Pair(child("c"), step("z"))
    pair.down().parent.pauses()
    pair.child.succeeds("b")
    pair.up()
    assert live(pair.parent.run) == {}
    pair.parent.resumes()
    assert live(pair.parent.run) == {"z": "SCHEDULED"}


def test_an_operator_may_stop_waiting_for_a_child_that_undoes_itself():
    """A retry has nothing to try; skipping it lets the run go on."""
    pair = Pair(step("a", undo="ua"), child("c"))
    pair.parent.succeeds("a")
    pair.parent.cancels()
    is_refused(pair.parent.retries("c"), "ask that one")
    pair.parent.skips("c")
    assert live(pair.parent.run) == {"a": "COMPENSATING"}


def test_runs_do_not_nest_without_end():
    """A workflow that starts itself, and waits, comes to a named limit."""
    limits = DEFAULT_LIMITS.model_copy(update={"child_depth": 2})
    play = Play(workflow(child("c"), limits=limits))
    play.starts(parent=Parent(run_id="r-0", incarnation="0", path="c", waits=True, depth=1))
    assert play.transitions[-1].requests[-1].parent.depth == 2
    deeper = Play(workflow(child("c"), limits=limits))
    deeper.starts(parent=Parent(run_id="r-0", incarnation="0", path="c", waits=True, depth=2))
    has_ended(deeper, "FAILED")
    assert "2 runs stand above" in deeper.run.error.message


@pytest.mark.parametrize("given", [7, "no run id!", ""])
def test_a_run_id_that_cannot_be_one_fails_the_node(given):
    """Before anything is asked of anybody."""
    play = started(workflow(child("c", run_id={"$literal": given})))
    has_ended(play, "FAILED")
    assert play.run.error.type == "InputRefused"
    assert play.transitions[-1].requests == ()


def test_a_long_path_still_gives_a_run_id():
    """It ends in a hash; two long ones do not meet."""
    play = Play(workflow(each("m", [1, 2], child("c"))), run_id="r" * 195)
    play.starts()
    first, second = (request.run_id for request in play.transitions[-1].requests)
    assert len(first) == len(second) == 200
    assert first != second


def test_a_childs_failure_without_words():
    """A report of another version may lack its error."""
    pair = Pair(child("c"))
    _report(pair, status=RunStatus.FAILED)
    has_ended(pair.parent, "FAILED")
    assert "gave no reason" in pair.parent.run.error.message
