"""What a run was given and what its nodes gave, told from its history, also what the run itself has forgotten."""

from dataclasses import replace
from typing import Any

from actionbus.contracts import payloads
from actionbus.contracts.run import StepStatus, WorkflowRun
from actionbus.engine import history, rewind
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.history import History
from actionbus.engine.inputs import Input, RequestMade, StartRequested
from actionbus.engine.liveness import RUN_INPUT


def forgotten(definition: Definition, run: WorkflowRun, recorded: History, step: str) -> bytes | None:
    """What a request to go back to a step has to give back to a run, as its payload; None: nothing.

    ``recorded``: the history of that run. What cannot be told from it is left out. Raises Refused when the run cannot
    go back there.
    """
    lacking = rewind.forgotten(definition, run, rewind.find(definition, run, step))
    if not lacking:
        return None
    before = remembered(recorded)
    outputs = {each.path: each.output for each in before.steps if each.status is StepStatus.SUCCEEDED} if before else {}
    told: dict[str, Any] = {}
    found = {path: payloads.decode(outputs[path] or b"null") for path in lacking if path in outputs}
    if found:
        told[rewind.OUTPUTS] = found
    if RUN_INPUT in lacking and before is not None and before.input is not None:
        told[rewind.INPUT] = payloads.decode(before.input)
    return payloads.encode(told) if told else None


def remembered(recorded: History) -> WorkflowRun | None:
    """The run at the end of a history, as if nothing had been forgotten that was ever read."""
    definition, run = recorded.definition.remembering(), None
    for moment in recorded.moments:
        given = _looking_back(history.input_of(moment, run))
        run = advance(definition, run, given, moment.now, moment.seq).run
        definition = history.pinned(definition, given, run)
    return run


def _looking_back(given: Input) -> Input:
    """The same input, of which nothing is forgotten either."""
    if isinstance(given, StartRequested | RequestMade) and given.target is not None:
        return replace(given, target=given.target.remembering())
    return given
