"""A choice between nodes."""

import pytest

from engine.graphs import cel, choose, each, go_on_with, on, put, ref, step, throw, workflow
from engine.matchers import has_ended, live, told
from engine.play import started

BIG = cel("n > 10", n=ref("input"))


def test_the_first_case_that_holds_is_taken():
    """Conditions are asked in order, and only the node of the first that holds begins."""
    play = started(workflow(choose("c", (BIG, step("big")), (cel("true"), step("any")), otherwise=step("none"))), 11)
    assert live(play.run) == {"c.big": "SCHEDULED"}
    assert 'c branch_chosen {"chosen":"big"}' in told(play.last.event)


@pytest.mark.parametrize(
    ("otherwise", "given"),
    [(None, b"null"), (put("small", 1), b"1")],
)
def test_what_follows_when_no_case_holds(otherwise, given):
    """The other node is taken, and without one the choice is done and gives null."""
    play = started(workflow(choose("c", (BIG, step("big")), otherwise=otherwise), output=ref("steps", "c")), 1)
    has_ended(play, "COMPLETED")
    assert play.run.output == given


def test_a_choice_gives_what_was_chosen():
    """Later nodes read the output of whatever was chosen under the id of the choice, a list of items as well."""
    play = started(workflow(choose("c", (True, each("m", ref("input"), step("a")))), output=ref("steps", "c")), [1, 2])
    play.succeeds("c.m[1]", "b")
    play.succeeds("c.m[0]", "a")
    assert play.run.output == b'["a","b"]'


@pytest.mark.parametrize("condition", [1, "true", None, ref("input", "no"), cel("1 / 0 == 1")])
def test_a_condition_without_an_answer_fails(condition):
    """A choice never guesses: what is neither true nor false fails it, and what the run did is undone."""
    play = started(workflow(step("a", undo="u"), choose("c", (condition, step("b")))), {})
    play.succeeds("a")
    assert play.run.error.type == "ConditionRefused"
    assert live(play.run) == {"a": "COMPENSATING"}


def test_a_failure_of_what_was_chosen_is_that_of_the_choice():
    """A choice has no rules: a failure inside goes through it to whatever is around."""
    play = started(workflow(choose("c", (True, throw("t", "Refused")))))
    has_ended(play, "FAILED")
    assert play.run.error.type == "Refused"


def test_a_step_that_was_chosen_keeps_its_own_rules():
    """A rule beside the chosen step decides before the choice hears of a failure."""
    play = started(
        workflow(choose("c", (True, step("a", on("Full", go_on_with(7))))), output=ref("steps", "c")),
    )
    play.fails("c.a", "Full")
    assert play.run.output == b"7"
