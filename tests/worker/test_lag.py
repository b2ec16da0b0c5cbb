"""What a worker tells of the commands that wait in its partitions: how many, and since when."""

import asyncio

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from actionbus.process import metrics
from actionbus.sdk.action import Action
from worker.station import Station, until


def shown(name, topic):
    """The largest value of a gauge over the partitions of a topic; None: there is none."""
    families = text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())
    found = [s.value for f in families for s in f.samples if s.name == name and s.labels.get("topic") == topic]
    return max(found, default=None)


async def test_a_command_that_waits_grows_old(connection, prefix):
    """While one command is not done it is lag with an age that rises; once it is done there is neither."""
    hold = asyncio.Event()

    async def work(n: int) -> int:
        await hold.wait()
        return n

    action = Action(id="held", execute=work)
    async with Station(connection, prefix, action) as station:
        topic = station.topics.commands(action.id)
        async with station.worker():
            await station.send(station.command(action, 1, value={"n": 1}))
            await until(lambda: (shown("actionbus_consumer_lag_age_seconds", topic) or 0) > 0, "an age")
            age = shown("actionbus_consumer_lag_age_seconds", topic)
            assert shown("actionbus_consumer_lag_records", topic) == 1
            await until(lambda: shown("actionbus_consumer_lag_age_seconds", topic) > age, "a greater age")
            hold.set()
            await until(lambda: shown("actionbus_consumer_lag_age_seconds", topic) == 0, "no age")
            assert shown("actionbus_consumer_lag_records", topic) == 0
        assert shown("actionbus_consumer_lag_age_seconds", topic) is None
