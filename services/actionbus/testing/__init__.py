"""Running workflows without Kafka: the real engine, the real actions, a clock that jumps, failures on request."""

from actionbus.testing.answers import answers, never
from actionbus.testing.clock import FakeClock
from actionbus.testing.firings import firings
from actionbus.testing.run import Called, Heartbeat, Run
from actionbus.testing.runner import run_workflow, run_workflow_async
from actionbus.testing.signals import Signal

__all__ = [
    "Called",
    "FakeClock",
    "Heartbeat",
    "Run",
    "Signal",
    "answers",
    "firings",
    "never",
    "run_workflow",
    "run_workflow_async",
]
