"""Fields that somebody outside left out, and that have a default."""

from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.requests import RequestKind
from engine.graphs import PAUSE, action, on, person, ref, step, wait, workflow
from engine.matchers import is_refused
from engine.play import Play, started

PRIORITY = {
    "type": "object",
    "properties": {"id": {"type": "string"}, "urgent": {"type": "boolean", "default": False}},
    "required": ["id", "urgent"],
}
COMPLETE = b'{"id":"x","urgent":false}'


def test_the_input_of_a_run_is_complete():
    """Whoever starts a run need not say what goes without saying, and steps read it all the same."""
    definition = workflow(step("a", input={"now": ref("input", "urgent")}), input_schema=PRIORITY)
    play = started(definition, {"id": "x"})
    assert play.run.steps[0].input == b'{"now":false}'
    assert play.transitions[0].event.entries[1].data == COMPLETE
    is_refused(Play(definition).starts({"urgent": True}), "required property")


def test_a_limit_counts_by_a_default():
    """The key of a limit may be a field that was left out."""
    limit = LimitPolicy(concurrency=1, key="input.urgent")
    play = started(workflow(step("a"), input_schema=PRIORITY, limit=limit), {"id": "x"})
    assert play.run.turn.key == "False"


def test_signals_and_forms_are_complete():
    """What a signal and a form leave out is filled in, also while nothing waits for it yet."""
    early = started(workflow(step("a"), wait("w", "go", payload_schema=PRIORITY), output=ref("steps", "w")))
    early.signals("go", {"id": "x"})
    early.succeeds("a")
    assert early.run.output == COMPLETE
    form = started(workflow(person("p", payload_schema=PRIORITY), output=ref("steps", "p")))
    form.signals("p", {"id": "x"})
    assert form.run.output == COMPLETE


def test_what_is_answered_by_hand_or_by_token_is_complete():
    """An operator and the holder of a token write JSON by hand."""
    made = action("a", output_schema=PRIORITY)
    by_hand = started(workflow(step("a", on(None, PAUSE)), actions=[made], output=ref("steps", "a")))
    by_hand.fails("a")
    by_hand.asks(RequestKind.COMPLETE_STEP, step="a", value={"id": "x"})
    assert by_hand.run.output == COMPLETE
    by_token = started(workflow(step("a"), actions=[made], output=ref("steps", "a")))
    by_token.succeeds("a", {"id": "x"}, by_token=True)
    assert by_token.run.output == COMPLETE


def test_a_worker_says_everything():
    """What a worker left out is its mistake, as before: nothing is filled in for it."""
    play = started(workflow(step("a"), actions=[action("a", output_schema=PRIORITY)]))
    play.succeeds("a", {"id": "x"})
    assert play.run.error.type == "OutputRefused"
