"""What a run is said to wait for."""

import pytest

from actionbus.cli import showing
from actionbus.contracts.run import (
    Held,
    HeldKind,
    RunStatus,
    ScopeState,
    Signal,
    StepState,
    StepStatus,
    Timer,
    TimerKind,
    Turn,
    WorkflowRun,
)
from contracts import samples
from engine.graphs import each, graph, ref, sleep, step, wait

BARE = samples.RUN.replace(status=RunStatus.RUNNING, scopes=(), steps=(), timers=(), signals=(), held=(), incident=None)
GRAPH = graph(each("all", ref("input"), wait("ask", "name")), sleep("night", 1), step("pay"))
AT = 1_800_000_000_000
TIME = "2027-01-15T08:00:00.000Z"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"status": RunStatus.PAUSED}, "to be resumed"),
        (
            {"steps": (StepState(path="pay", status=StepStatus.FAILED, action="pay", stuck="Declined"),)},
            "pay: an operator, because Declined",
        ),
        (
            {"steps": (StepState(path="pay", status=StepStatus.SCHEDULED, action="pay", attempt=2, dispatch_seq=7),)},
            "pay: the result of pay, attempt 2",
        ),
        (
            {"steps": (StepState(path="pay", status=StepStatus.QUEUED, action="pay", turn=Turn(queued_at=AT)),)},
            f"pay: its turn, under the limit of pay, since {TIME}",
        ),
        (
            {"turn": Turn(key="acme", queued_at=AT)},
            f"its turn to begin, under the limit of user-signup for acme, since {TIME}",
        ),
        (
            {
                "steps": (
                    StepState(
                        path="pay", status=StepStatus.SCHEDULED, action="pay", attempt=2, dispatch_seq=7, deferred=2
                    ),
                )
            },
            "pay: an answer from whoever has the token of pay, attempt 2",
        ),
        (
            {
                "scopes": (ScopeState(path="all[3]"),),
                "timers": (Timer(id=1, kind=TimerKind.WAKE, step="all[3]", due_at=AT),),
            },
            f"all[3]: the signal name, until {TIME}",
        ),
        ({"scopes": (ScopeState(path="all[3]"),)}, "all[3]: the signal name"),
        ({"timers": (Timer(id=1, kind=TimerKind.WAKE, step="night", due_at=AT),)}, f"night: the time {TIME}"),
        ({"timers": (Timer(id=1, kind=TimerKind.RETRY, step="pay", due_at=AT),)}, f"pay: the next attempt {TIME}"),
        (
            {"timers": (Timer(id=1, kind=TimerKind.WAKE, step="night", due_at=2**62),)},
            "night: the time 4611686018427387904 ms",
        ),
    ],
)
def test_what_a_run_waits_for_is_said(fields: dict, says: str) -> None:
    """Operators, results, signals by their names, and times, each in one sentence."""
    assert showing.state(_with(fields), GRAPH)["waits_for"] == [says]


def test_a_run_whose_definition_is_not_known_is_shown() -> None:
    """Only the names of signals are missing then."""
    run = _with({"scopes": (ScopeState(path="all[3]"),)})
    assert showing.state(run, None)["waits_for"] == []


def test_what_is_kept_for_later_is_shown() -> None:
    """Signals that came early with what they say, and what a paused run holds."""
    early = Signal(name="name", payload=b'"Ada"', received_at=AT)
    shown = showing.state(_with({"signals": (early,), "held": (Held(kind=HeldKind.ENTER, path="pay"),)}), GRAPH)
    assert shown["signals"] == [{"signal": "name", "received_at": TIME, "payload": "Ada"}]
    assert shown["held"] == [{"kind": "enter", "path": "pay"}]


def _with(fields: dict) -> WorkflowRun:
    return BARE.replace(**fields)
