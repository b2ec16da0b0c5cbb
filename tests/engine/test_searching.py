"""By what a run can be found: told when it starts, and when it shows something under such a name."""

import json

from actionbus.contracts.events import EntryKind
from engine.graphs import put, ref, show, step, wait, workflow
from engine.matchers import has_ended
from engine.play import Play, started
from engine.test_update import verdicts

SEARCHABLE = {"customer": "input.customer", "stage": None}
ORDER = workflow(
    show("s", "stage", "open"), wait("w", "go"), show("t", "stage", ref("steps", "w")), searchable=SEARCHABLE
)


def told(play: Play) -> list[dict]:
    """Everything that was said of it."""
    entries = [entry for event in play.events for entry in event.entries]
    return [json.loads(each.data) for each in entries if each.kind is EntryKind.ATTRIBUTES_SET]


def test_a_run_is_found_by_its_input_and_by_what_it_shows():
    """The input at once; what it shows from then on, each time."""
    play = started(ORDER, {"customer": "c-1"})
    assert told(play) == [{"customer": "c-1"}, {"stage": "open"}]
    play.signals("go", "paid")
    assert told(play)[-1] == {"stage": "paid"}
    has_ended(play, "COMPLETED")


def test_other_names_that_it_shows_are_nothing_to_search_for():
    """Only what the definition declares."""
    assert told(started(workflow(show("s", "other", 1), step("a"), searchable=SEARCHABLE), {"customer": 1})) == [
        {"customer": 1}
    ]


def test_a_start_without_it_is_refused_with_the_reason():
    """Whoever starts the run hears it; it does not get lost in a search that finds nothing."""
    play = Play(ORDER, run_id="r-1")
    play.starts({"customer": {"id": 1}})
    (why,) = verdicts(play, "start-1")
    assert "the searchable customer is {'id': 1}" in why
    assert play.run is None


def test_a_value_that_nobody_could_search_for_is_not_shown():
    """The node fails, as for any value that cannot be made."""
    play = started(
        workflow(show("s", "stage", ref("input", "all")), put("p", 1), searchable={"stage": None}), {"all": [1]}
    )
    has_ended(play, "FAILED")
    assert "stage" not in play.run.views
