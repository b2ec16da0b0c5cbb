"""Branches of which some are enough, or all."""

from actionbus.contracts.limits import Limits
from engine.graphs import (
    PAUSE,
    block,
    caught,
    choose,
    each,
    fallback,
    go_on_with,
    on,
    parallel,
    put,
    ref,
    sequence,
    step,
    throw,
    workflow,
)
from engine.matchers import has_ended, is_ignored, live, sent, story, told
from engine.play import started


def race(*branches, enough=1):
    """A workflow that gives what its branches gave."""
    return workflow(parallel("p", *branches, enough=enough), step("z"), output=ref("steps", "p"))


def test_no_branches_are_done_at_once():
    """Nothing to wait for is an empty list."""
    has_ended(started(workflow(parallel("p"))), "COMPLETED")


def test_the_outputs_stand_in_the_order_of_the_branches():
    """Who is first does not decide where its output stands; a loser's place is null."""
    play = started(race(step("a"), step("b"), step("c"), enough=2))
    play.succeeds("p.c", 3)
    play.succeeds("p.a", 1)
    play.succeeds("z")
    assert play.run.output == b"[1,null,3]"


def test_what_losers_did_is_undone_before_the_run_goes_on():
    """The steps of a branch that is not needed any more are given up and undone; the winner's stay."""
    play = started(race(step("a", undo="u"), sequence("s", step("b", undo="u"), step("c", undo="u"))))
    play.succeeds("p.s.b")
    play.succeeds("p.a")
    assert "p.s branch_given_up (enough others have succeeded)" in told(play.last.event)
    is_ignored(play, play.succeeds("p.s.c", attempt=1))
    play.undoes("p.s.c")
    assert live(play.run) == {"p.s.b": "COMPENSATING"}
    play.undoes("p.s.b")
    assert live(play.run) == {"p": "SUCCEEDED", "z": "SCHEDULED"}
    assert [undo.step for undo in play.run.compensations] == ["p.a"]


def test_losers_are_undone_one_branch_after_the_other():
    """Every branch that lost is undone before the node is done, whichever has something to undo."""
    play = started(race(step("a", undo="u"), step("b"), step("c", undo="u")))
    play.succeeds("p.b")
    play.undoes("p.a")
    play.undoes("p.c")
    assert live(play.run) == {"p": "SUCCEEDED", "z": "SCHEDULED"}


def test_a_branch_may_fail_while_enough_are_left():
    """What a failed branch did is undone while the others go on; the node waits for that undo at its end."""
    play = started(race(step("a", undo="u"), step("b")))
    play.fails("p.a")
    assert live(play.run) == {"p.b": "SCHEDULED", "p.a": "COMPENSATING"}
    play.succeeds("p.b")
    assert live(play.run) == {"p.a": "COMPENSATING"}
    play.undoes("p.a")
    assert live(play.run) == {"p": "SUCCEEDED", "z": "SCHEDULED"}


def test_too_many_failures_fail_it():
    """When too few branches are left, the whole fails with the last error, and all of it is undone."""
    play = started(race(step("a", undo="u"), step("b", undo="u")))
    play.fails("p.a", "First")
    play.fails("p.b", "Second")
    play.undoes("p.a")
    play.undoes("p.b")
    has_ended(play, "FAILED")
    assert play.run.error.type == "Second"


def test_a_failure_and_the_last_success_in_one_transition():
    """A branch that fails and one that suffices may come at once: the node is done once."""
    play = started(race(throw("a", "Refused"), put("b", 2)))
    play.succeeds("z")
    has_ended(play, "COMPLETED")
    assert play.run.output == b"[null,2]"


def test_an_undo_inside_a_loser_that_is_under_way_is_waited_for():
    """An undo that began for a fallback goes on when its branch has lost; the fallback never begins."""
    play = started(race(step("a", on(None, fallback("f")), undo="u"), step("b")))
    play.fails("p.a")
    play.succeeds("p.b")
    assert live(play.run) == {"p.a": "COMPENSATING"}
    play.undoes("p.a")
    assert live(play.run) == {"p": "SUCCEEDED", "z": "SCHEDULED"}
    assert "p.a.f/1" not in sent(play)


def test_a_stuck_step_of_a_loser_needs_nobody_any_more():
    """When its branch is given up, a step that waits for an operator does so no longer, and the history says so."""
    play = started(race(step("a", on(None, PAUSE), undo="u"), step("b")))
    play.fails("p.a")
    assert play.run.incident.step == "p.a"
    play.succeeds("p.b")
    assert play.run.incident is None
    assert "p.a incident_closed" in story(play)
    play.undoes("p.a")
    assert live(play.run) == {"p": "SUCCEEDED", "z": "SCHEDULED"}


def test_a_cancel_while_losers_are_undone():
    """The undo that is under way counts, what won is undone as well, and the node does not go on."""
    play = started(race(step("a", undo="u"), step("b", undo="u")))
    play.succeeds("p.b")
    play.cancels()
    play.undoes("p.a")
    assert live(play.run) == {"p.b": "COMPENSATING"}
    play.undoes("p.b")
    has_ended(play, "CANCELLED")


def test_outputs_that_nobody_reads_have_no_limit_together():
    """A list that nothing reads is not made, so it cannot be too large."""
    branches = (step("a"), step("b"))
    play = started(workflow(parallel("p", *branches), step("z"), limits=Limits(payload_bytes=20)))
    play.succeeds("p.a", "a" * 15)
    play.succeeds("p.b", "b" * 15)
    assert live(play.run) == {"z": "SCHEDULED"}


def test_outputs_that_are_too_large_together_fail_it():
    """A list that is read is bound by the same limit as every payload."""
    definition = workflow(
        parallel("p", step("a"), step("b")), output=ref("steps", "p"), limits=Limits(payload_bytes=20)
    )
    play = started(definition)
    play.succeeds("p.a", "a" * 15)
    play.succeeds("p.b", "b" * 15)
    has_ended(play, "FAILED")
    assert play.run.error.type == "ResultTooLarge"


def test_what_is_handed_on_through_other_nodes_is_kept():
    """A list of branches reaches its reader through every node that hands it on."""
    inner = block(
        "t", choose("c", (True, parallel("p", step("a"), each("m", [1], step("b"))))), caught("X", go_on_with(0))
    )
    play = started(workflow(inner, output=ref("steps", "t")))
    play.succeeds("t[1].p.a", 1)
    play.succeeds("t[1].p.m[0]", 2)
    assert play.run.output == b"[1,[2]]"
