"""Runs of earlier versions go on as they began."""

import zipfile

import pytest

from actionbus.contracts.run import WorkflowRun
from actionbus.engine import history
from actionbus.engine.advance import advance
from actionbus.engine.replay import replay
from histories.history import FOLDER, recorded
from histories.scenarios import SCENARIOS

FILES = recorded()
NEW = {"answered"}  # what this version writes down of a run that no release before did


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
    for outcome, came in _steps(_read(file)):
        assert came == outcome


@pytest.mark.parametrize("release", sorted(FOLDER.glob("*.zip")), ids=lambda file: file.stem)
def test_what_a_release_stored_goes_on_as_it_would_have(release):
    """From every state that a release has stored, the next input gives what that release made of it, and what is new."""
    with zipfile.ZipFile(release) as files:
        for name in files.namelist():
            for outcome, came in _steps(history.read(files.read(name), name)):
                run = came["run"] and {field: value for field, value in came["run"].items() if field not in NEW}
                assert came | {"run": run} == outcome, name


def _steps(found):
    """What was recorded of each input, and what comes of it from the state that was stored before."""
    stored, definition = None, found.definition
    for moment in found.moments:
        run = stored and WorkflowRun.model_validate(stored)
        given = history.input_of(moment, run)
        transition = advance(definition, run, given, moment.now, moment.seq)
        definition = history.pinned(definition, given, transition.run)
        yield moment.outcome, history.came(definition, transition, moment.seq)
        stored = moment.outcome["run"]
