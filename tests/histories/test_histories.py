"""Runs of earlier versions go on as they began."""

import pytest

from actionbus.contracts.run import WorkflowRun
from actionbus.engine import history
from actionbus.engine.advance import advance
from actionbus.engine.replay import replay
from histories.history import recorded
from histories.scenarios import SCENARIOS

FILES = recorded()


def _read(file):
    return history.read(file.read_bytes(), file.name)


def test_every_scenario_is_recorded():
    """No scenario is without its recording; ``python -m histories`` makes the missing ones."""
    names = {file.stem for file in FILES}
    assert {scenario.__name__.replace("_", "-") for scenario in SCENARIOS} <= names


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_history_is_replayed_to_the_letter(file):
    """The recorded inputs give the recorded runs, events, records and commands, from the first to the last."""
    found = _read(file)
    assert all(moment.outcome.keys() == {"outcome", "run", "event", "emits", "commands"} for moment in found.moments)
    assert list(replay(found)) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_run_goes_on(file):
    """From every state that an earlier version has stored, the next input gives what that version made of it."""
    found = _read(file)
    stored, definition = None, found.definition
    for moment in found.moments:
        run = stored and WorkflowRun.model_validate(stored)
        given = history.input_of(moment, run)
        transition = advance(definition, run, given, moment.now, moment.seq)
        definition = history.pinned(definition, given, transition.run)
        assert history.came(definition, transition, moment.seq) == moment.outcome
        stored = moment.outcome["run"]
