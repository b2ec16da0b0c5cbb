"""Everything that can happen to a run: the closed union that ``advance`` takes."""

from dataclasses import dataclass

from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.requests import ChildReport, WorkflowRequest
from actionbus.contracts.results import ActionResult
from actionbus.contracts.run import Parent
from actionbus.engine.definition import Definition


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequested:
    """A request to start a run. The incarnation derives from the offset of the request.

    ``target``: the definition that a run which has not begun is to have from now on, if it is another than before.
    """

    request: WorkflowRequest
    incarnation: str
    trace: str | None = None
    target: Definition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestMade:
    """A request about a run that should exist. ``target``: the deployed definition that it is to go over to."""

    request: WorkflowRequest
    target: Definition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultReceived:
    """A worker's answer. Its nonce was checked, and ``command`` is its command id taken apart."""

    result: ActionResult
    command: CommandId


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """A timer of the run is due."""

    timer_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildReported:
    """A run that this one started tells how it stands."""

    parent: Parent
    report: ChildReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """The turn of the step at a path has come, under the limit of its action; at the root: that of the run."""

    path: str


Input = StartRequested | RequestMade | ResultReceived | TimerFired | ChildReported | Admitted
