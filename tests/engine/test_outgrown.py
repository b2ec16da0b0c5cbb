"""A run whose state no longer fits its record."""

from actionbus.engine.outgrown import outgrown
from actionbus.engine.transition import Outcome
from engine.graphs import call, ref, step, workflow
from engine.matchers import told
from engine.play import started


def test_a_run_that_outgrew_its_record_is_undone():
    """It is given up like a failed run: outputs go, compensations stay, and the reason names both sizes."""
    play = started(
        workflow(step("a"), step("b", undo=call("undo-b", x=ref("made"))), step("c"), output=ref("steps", "a"))
    )
    play.succeeds("a", "x" * 10_000)
    play.succeeds("b", 7)
    before = play.run
    transition = outgrown(play.definition, before, 600_000, play.now, play.seq)
    run = transition.run
    assert (run.status, run.ending, run.version) == ("COMPENSATING", "FAILED", before.version + 1)
    assert (run.error.type, run.error.retryable) == ("StateTooLarge", False)
    assert "600000 bytes, the limit is 524288" in run.error.message
    assert len(run.model_dump_json()) < len(before.model_dump_json()) / 5
    assert told(transition.event)[1:] == [
        "c#1 cancelled",
        f"run_compensating (StateTooLarge: {run.error.message})",
        "b#1 compensation_scheduled " + '{"x":7}',
    ]


def test_a_run_that_is_undone_is_left_as_it_is():
    """Compensations are never dropped, not even for their size; and a run that ended is small."""
    play = started(workflow(step("a", undo="undo-a")))
    play.fails("a")
    assert outgrown(play.definition, play.run, 10**9, play.now, play.seq).outcome is Outcome.STALE
    play.undoes("a")
    assert outgrown(play.definition, play.run, 10**9, play.now, play.seq).run is play.run
