"""Values and failures that the author decides on."""

import pytest

from actionbus.contracts.limits import Limits
from engine.graphs import cel, put, ref, sequence_giving, step, throw, workflow
from engine.matchers import has_ended, live
from engine.play import started


def test_a_value_is_made_of_others():
    """It is done in the transition that reaches it, and is the output."""
    play = started(workflow(step("a"), put("v", {"n": cel("a + 1", a=ref("steps", "a"))}), output=ref("steps", "v")))
    play.succeeds("a", 1)
    assert play.run.output == b'{"n":2}'


@pytest.mark.parametrize("value", [ref("input", "no"), cel("1 / 0"), cel("1.0 / 0.0"), cel("a.b", a=1), "x" * 60])
def test_a_value_that_cannot_be_made_fails(value):
    """What is not there, has no value or is too large fails the node, and what the run did is undone."""
    play = started(workflow(step("a", undo="u"), put("v", value), limits=Limits(payload_bytes=50)), {})
    play.succeeds("a")
    assert play.run.error.type == "InputRefused"
    assert live(play.run) == {"a": "COMPENSATING"}


def test_a_failure_with_words_and_details():
    """The error carries what the author wrote, text as it stands and anything else as JSON."""
    play = started(
        workflow(throw("t", "Refused", ref("input", "why"), details={"n": ref("input", "n")})), {"why": "no", "n": 1}
    )
    has_ended(play, "FAILED")
    assert (play.run.error.type, play.run.error.message, play.run.error.details) == ("Refused", "no", b'{"n":1}')
    assert started(workflow(throw("t", "Refused", [1]))).run.error.message == "[1]"


def test_a_failure_that_cannot_be_said_is_one_as_well():
    """Words that read what is not there do not hide that the run failed."""
    play = started(workflow(throw("t", "Refused", ref("input", "no"))), {})
    has_ended(play, "FAILED")
    assert play.run.error.type == "InputRefused"


def test_a_sequence_gives_what_its_nodes_made():
    """The template of its output reads the nodes inside, which are forgotten with it."""
    inner = sequence_giving("s", [ref("steps", "a"), ref("steps", "b")], step("a"), step("b"))
    play = started(workflow(inner, step("c", input=ref("steps", "s"))))
    play.succeeds("s.a", 1)
    play.succeeds("s.b", 2)
    assert play.sent[-1].input == b"[1,2]"
    assert live(play.run) == {"s": "SUCCEEDED", "c": "SCHEDULED"}


def test_an_output_of_a_sequence_that_cannot_be_made():
    """It fails the sequence, with everything inside undone."""
    play = started(workflow(sequence_giving("s", ref("steps", "a", "no"), step("a", undo="u"))))
    play.succeeds("s.a", {})
    assert play.run.error.type == "OutputRefused"
    play.undoes("s.a")
    has_ended(play, "FAILED")
