"""Blocks with rules of their own."""

from actionbus.contracts.limits import Limits
from engine.graphs import (
    COMPENSATE,
    attempt,
    block,
    caught,
    cel,
    emit,
    fallback,
    go_on_with,
    handle,
    on,
    parallel,
    put,
    ref,
    retry,
    sequence,
    sequence_giving,
    step,
    throw,
    workflow,
)
from engine.matchers import has_ended, live, sent, story, told, waiting
from engine.play import started

PAIR = sequence_giving("s", ref("steps", "b"), step("a", undo="u"), step("b", undo="u"))


def trying(*rules, body=PAIR, always=None):
    """A workflow of one block, a step after it, and the block's output."""
    return workflow(block("t", body, *rules, always=always), step("z"), output=ref("steps", "t"))


def broken(definition, error="Full", **fields):
    """A play whose block has failed with its second step."""
    play = started(definition)
    play.succeeds("t[1].a", 1)
    play.fails("t[1].b", error, **fields)
    return play


def undone(play, number=1):
    """Everything that an attempt of the block did is undone."""
    play.undoes(f"t[{number}].b")
    play.undoes(f"t[{number}].a")


def test_a_block_gives_what_its_body_gives():
    """Without a failure a block is as if it were not there; what undoes it stays registered."""
    play = started(trying())
    play.succeeds("t[1].a")
    play.succeeds("t[1].b", 7)
    assert live(play.run) == {"t": "SUCCEEDED", "z": "SCHEDULED"}
    assert [undo.step for undo in play.run.compensations] == ["t[1].a", "t[1].b"]


def test_a_block_is_tried_again():
    """Once the attempt is undone and its delay is over, the next one begins, under a path of its own."""
    play = broken(trying(caught("Full", retry(2))))
    undone(play)
    assert list(waiting(play.run)) == ["wake of t"]
    play.passes(1_000)
    play.succeeds("t[2].a")
    play.succeeds("t[2].b", 2)
    play.succeeds("z")
    assert play.run.output == b"2"


def test_used_up_retries_lead_to_the_next_rule():
    """Attempts of the block are counted, and the rule after the retry decides."""
    play = broken(trying(caught("Full", retry(2, initial_ms=0)), caught(None, go_on_with("none"))))
    undone(play)
    play.fails("t[2].a", "Full")
    play.undoes("t[2].a")
    play.succeeds("z")
    assert play.run.output == b'"none"'


def test_a_handler_reads_why():
    """The handler sees the error and the attempt, and its output is the block's."""
    why = [ref("scope", "t", "error", "type"), ref("scope", "t", "attempt")]
    play = broken(trying(caught("Full", handle(put("h", why)))))
    undone(play)
    play.succeeds("z")
    assert play.run.output == b'["Full",1]'


def test_a_block_may_keep_what_it_did():
    """A rule may leave what was done inside; it is undone when the run fails later."""
    play = broken(trying(caught("Full", handle(step("h")), undo=False)))
    assert live(play.run) == {"t.h": "SCHEDULED"}
    play.succeeds("t.h")
    play.fails("z")
    undone(play)
    has_ended(play, "FAILED")


def test_a_block_that_keeps_what_it_did_waits_for_the_undo_that_began():
    """An undo that a fallback waited for ends before the block goes on, and nothing else of the block is undone."""
    inside = parallel("p", step("a", on(None, fallback("f")), undo="u"), step("b", undo="u"), step("c"))
    play = started(trying(caught("Full", handle(step("h")), undo=False), body=inside))
    play.succeeds("t[1].b")
    play.fails("t[1].a")
    play.fails("t[1].c", "Full")
    assert live(play.run) == {"t[1].a": "COMPENSATING"}
    play.undoes("t[1].a")
    assert live(play.run) == {"t.h": "SCHEDULED"}
    assert [undo.step for undo in play.run.compensations] == ["t[1].b"]


def test_an_undo_that_began_leads_nowhere_while_what_always_follows_does():
    """An undo inside a failed block without a rule ends by itself, and what always follows is done once."""
    inside = parallel("p", step("a", on(None, fallback("f")), undo="u"), step("b", undo="u"), step("c"))
    play = started(trying(body=inside, always=step("x")))
    play.succeeds("t[1].b")
    play.fails("t[1].a")
    play.fails("t[1].c", "Full")
    play.undoes("t[1].a")
    assert live(play.run) == {"t.x": "SCHEDULED"}
    play.succeeds("t.x")
    assert live(play.run) == {"t[1].b": "COMPENSATING"}
    play.undoes("t[1].b")
    has_ended(play, "FAILED")
    assert sent(play).count("t.x/1") == 1


def test_a_failure_that_no_rule_names_goes_on_outwards():
    """The block around it decides, and undoes the inner block with the rest of itself."""
    inner = block("t", PAIR, caught("Other", go_on_with(1)))
    play = started(workflow(attempt("o", sequence("q", step("x", undo="u"), inner)), step("z")))
    play.succeeds("o[1].x")
    play.succeeds("o[1].t[1].a")
    play.fails("o[1].t[1].b", "Full")
    for path in ("o[1].t[1].b", "o[1].t[1].a", "o[1].x"):
        assert live(play.run) == {path: "COMPENSATING"}
        play.undoes(path)
    assert live(play.run) == {"z": "SCHEDULED"}


def test_what_always_follows_a_success():
    """It is done before the block is, and its output is not read."""
    play = started(trying(body=step("a"), always=step("x")))
    play.succeeds("t[1]", 1)
    assert live(play.run) == {"t.x": "SCHEDULED"}
    play.succeeds("t.x", 99)
    play.succeeds("z")
    assert play.run.output == b"1"


def test_what_always_follows_a_failure():
    """It reads the error, and then the block fails with that."""
    play = started(trying(body=step("a"), always=emit("x", "t", None, ref("scope", "t", "error", "type"))))
    play.fails("t[1]", "Full")
    assert play.emits[0].value == b'"Full"'
    has_ended(play, "FAILED")
    assert play.run.error.type == "Full"


def test_what_always_follows_may_fail_itself():
    """The block fails then, whatever it had given."""
    play = started(trying(body=step("a", undo="u"), always=throw("x", "Late")))
    play.succeeds("t[1]")
    assert play.run.error.type == "Late"
    play.undoes("t[1]")
    has_ended(play, "FAILED")


def test_a_handler_may_fail():
    """Nothing inside the block answers that; what always follows does not care."""
    rules = caught("Full", handle(throw("h", "Worse")))
    play = broken(trying(rules, always=step("x")))
    undone(play)
    assert live(play.run) == {"t.x": "SCHEDULED"}
    play.succeeds("t.x")
    has_ended(play, "FAILED")
    assert play.run.error.type == "Worse"


def test_nothing_always_follows_when_the_run_ends():
    """A cancel ends the block where it stands; only undos follow."""
    play = broken(trying(caught("Full", retry(3)), always=step("x")))
    play.cancels()
    undone(play)
    has_ended(play, "CANCELLED")
    assert "t.x/1" not in sent(play)


def test_a_cancel_while_a_block_waits_for_its_next_attempt():
    """The timer of the next attempt is gone with the block."""
    play = broken(trying(caught("Full", retry(3))))
    undone(play)
    play.cancels()
    has_ended(play, "CANCELLED")


def test_the_run_takes_too_long_while_a_block_is_undone():
    """The undo that is under way counts; the block does not go on."""
    definition = workflow(block("t", PAIR, caught("Full", handle(step("h")))), run_timeout_ms=1_000)
    play = broken(definition)
    play.passes(1_000)
    undone(play)
    has_ended(play, "TIMED_OUT")
    assert "t.h/1" not in sent(play)


def test_a_condition_of_a_rule():
    """A rule may ask about the error, the attempt and what the block can read."""
    when = cel("attempt < 2 && error.type == 'Full'", attempt=ref("attempt"), error=ref("error"))
    play = broken(trying(caught(None, go_on_with("first"), when=when), caught(None, COMPENSATE)))
    undone(play)
    assert live(play.run) == {"t": "SUCCEEDED", "z": "SCHEDULED"}
    assert any("t#1 decided continue_with by rule 1" in each for each in story(play))


def test_an_author_may_try_again_after_a_failure_of_their_own():
    """A failure that the author decides on leads to another attempt if a rule says so."""
    body = sequence("s", step("a"), throw("x", "Stale"))
    play = started(trying(caught("Stale", retry(2, initial_ms=0)), caught(None, go_on_with(0)), body=body))
    play.succeeds("t[1].a")
    assert live(play.run) == {"t[2].a": "SCHEDULED"}
    play.succeeds("t[2].a")
    assert live(play.run) == {"t": "SUCCEEDED", "z": "SCHEDULED"}


def test_attempts_that_need_nobody_let_other_runs_go_on():
    """A block that fails at once and is tried for ever does not keep its shard."""
    body = throw("x", "Stale")
    play = started(
        workflow(block("t", body, caught(None, retry(None, initial_ms=0))), limits=Limits(moves_per_transition=50))
    )
    for _ in range(3):
        (timer,) = play.run.timers
        assert timer.due_at > play.now
        play.passes(1)
    assert play.run.status == "RUNNING"
    play.cancels()
    has_ended(play, "CANCELLED")


def test_what_was_read_inside_an_attempt_is_forgotten_with_it():
    """A failed attempt leaves no outputs behind."""
    body = sequence("s", step("a"), step("b", input=ref("steps", "a")))
    play = started(trying(caught(None, retry(2, initial_ms=0)), body=body))
    play.succeeds("t[1].a", 1)
    play.fails("t[1].b")
    assert live(play.run) == {"t[2].a": "SCHEDULED"}
    play.succeeds("t[2].a", 2)
    assert play.sent[-1].input == b"2"
    assert "t#1 decided retry" in " ".join(told(play.transitions[-2].event))
