"""Starting runs and schedules, following them, and asking things of them.

The seam is `interface`; today it leads over Kafka.

``Client`` talks to the installation's topics: it writes requests and reads events and state. What happens to a run is
decided elsewhere.
"""

from actionbus.client.handle import RunHandle
from actionbus.client.interface import Runs, StartedRun
from actionbus.client.over_kafka import Client
from actionbus.client.scheduling import ScheduleHandle, schedule

__all__ = ["Client", "RunHandle", "Runs", "ScheduleHandle", "StartedRun", "schedule"]
