"""What events make of a run, compared with the run itself at every moment of every recorded history."""

import pytest

from actionbus.contracts.run import StepStatus
from actionbus.visibility import projection
from actionbus.visibility.tally import Tally
from visibility import recorded

UNDER_WAY = {
    *(StepStatus.QUEUED, StepStatus.SCHEDULED, StepStatus.BACKING_OFF, StepStatus.COMPENSATING),
}


@pytest.mark.parametrize("name", recorded.NAMES)
def test_the_rows_say_what_the_run_says(name):
    """After every event the rows of a run agree with its state: status, times, error, incident and live steps."""
    standings, tally = {}, Tally()
    for event, run in recorded.moments(name):
        if event.version <= 0 or run is None:
            continue
        key = (event.run_id, event.incarnation)
        if key not in standings:
            standings[key] = projection.begun(event)
        row = standings[key]
        projection.apply(row, event, tally)
        assert (row.status, row.version, row.workflow) == (run.status, run.version, run.workflow)
        assert row.definition_version == run.definition_version
        assert (row.created_at, row.updated_at) == (run.created_at, run.updated_at)
        assert (row.ended_at is not None) == run.status.ended
        assert row.parent_run_id == (run.parent and run.parent.run_id)
        if run.status.ended:
            assert row.error_type == (run.error and run.error.type)
        incident = run.incident
        assert row.incident_reason == (incident and incident.reason)
        assert row.incident_step == (incident and incident.step)
        live = {
            path: node.status
            for path, node in row.nodes.items()
            if node.live and (node.action is not None or node.status == StepStatus.COMPENSATING)
        }
        stuck = {step.path for step in run.steps if step.stuck is not None}
        expected = {step.path: step.status for step in run.steps if step.status in UNDER_WAY}
        assert {path: status for path, status in live.items() if path not in stuck} == {
            path: status for path, status in expected.items() if path not in stuck
        }
        assert stuck == {path for path, node in row.nodes.items() if node.stuck is not None}
        for step in run.steps:
            if step.status in UNDER_WAY and step.attempt:
                assert row.nodes[step.path].attempt == step.attempt
        assert row.live_steps == sum(node.live for node in row.nodes.values())
        waits = {scope.path for scope in run.scopes}
        for path, node in row.nodes.items():
            if node.live and node.action is None and node.status == StepStatus.PENDING:
                assert path in waits, f"{path} waits for {node.waits_for}, which is over"


def test_a_run_is_found_by_what_its_events_say():
    """The latest value of every name, as a text."""
    events = [event for event, _ in recorded.moments("found-by-attributes")]
    row = projection.begun(events[0])
    seen = []
    for event in events:
        projection.apply(row, event, Tally())
        seen.append(dict(row.attributes))
    assert seen == [{"customer": "c-1", "stage": "open"}, {"customer": "c-1", "stage": "paid"}]
