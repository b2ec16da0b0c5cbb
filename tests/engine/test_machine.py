"""Whatever the world does, in any order: a run ends, its books balance, and its history can be replayed."""

import os

from hypothesis import HealthCheck, settings

from engine.machine import World

TestAnyWorld = World.TestCase
TestAnyWorld.settings = settings(
    max_examples=int(os.environ.get("ACTIONBUS_WORLDS", "150")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
