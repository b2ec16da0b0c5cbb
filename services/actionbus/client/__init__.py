"""Starting runs and schedules, following them, and asking things of them.

The seam is `interface`; it leads over Kafka (`over_kafka`) or over HTTP (`over_http`).

``Client`` talks to the installation's topics: it writes requests and reads events and state. ``HttpClient`` asks a
gateway. What happens to a run is decided elsewhere.
"""

from actionbus.client.handle import RunHandle
from actionbus.client.interface import Runs, StartedRun
from actionbus.client.over_http import HttpClient
from actionbus.client.over_http_run import HttpRun
from actionbus.client.over_kafka import Client
from actionbus.client.scheduling import ScheduleHandle, schedule

__all__ = ["Client", "HttpClient", "HttpRun", "RunHandle", "Runs", "ScheduleHandle", "StartedRun", "schedule"]
