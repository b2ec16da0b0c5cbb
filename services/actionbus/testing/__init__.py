"""Running workflows without Kafka: the real engine, the real actions, a clock that jumps, failures on request."""

from actionbus.testing.answers import answers, never
from actionbus.testing.clock import FakeClock
from actionbus.testing.run import Called, Run
from actionbus.testing.runner import run_workflow, run_workflow_async

__all__ = ["Called", "FakeClock", "Run", "answers", "never", "run_workflow", "run_workflow_async"]
