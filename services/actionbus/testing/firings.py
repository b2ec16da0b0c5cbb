"""When a schedule fires, for tests that want to know it beforehand. No clock and no Kafka is needed for that."""

from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

from actionbus.client.asking import milliseconds
from actionbus.contracts.schedules import Schedule


def firings(schedule: Schedule, number: int, *, after: datetime) -> list[datetime]:
    """The next firings after a moment, at most so many, in the time zone of the schedule."""
    zone = ZoneInfo(schedule.time_zone)
    found = islice(schedule.firings(milliseconds(after)), number)
    return [datetime.fromtimestamp(moment / 1000, zone) for moment in found]
