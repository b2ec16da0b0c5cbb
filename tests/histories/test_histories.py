"""Runs of earlier versions go on as they began."""

import json

import pytest

from actionbus.contracts.run import WorkflowRun
from actionbus.engine.advance import advance
from histories.history import came, definition_of, input_of, recorded
from histories.scenarios import SCENARIOS

FILES = recorded()


def test_every_scenario_is_recorded():
    """No scenario is without its recording; ``python -m histories`` makes the missing ones."""
    names = {file.stem for file in FILES}
    assert {scenario.__name__.replace("_", "-") for scenario in SCENARIOS} <= names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_history_is_replayed_to_the_letter(file):
    """The recorded inputs give the recorded runs, events, records and commands, from the first to the last."""
    history = json.loads(file.read_text(encoding="utf-8"))
    definition = definition_of(history)
    run = None
    for moment in history["moments"]:
        transition = advance(definition, run, input_of(moment), moment["now"], moment["seq"])
        assert came(definition, transition, moment["seq"]) == moment["outcome"]
        run = transition.run


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_run_goes_on(file):
    """From every state that an earlier version has stored, the next input gives what that version made of it."""
    history = json.loads(file.read_text(encoding="utf-8"))
    definition = definition_of(history)
    stored = None
    for moment in history["moments"]:
        run = stored and WorkflowRun.model_validate(stored)
        transition = advance(definition, run, input_of(moment), moment["now"], moment["seq"])
        assert came(definition, transition, moment["seq"]) == moment["outcome"]
        stored = moment["outcome"]["run"]
