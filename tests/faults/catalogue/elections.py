"""T13: leaders that lack acknowledged records are allowed, and no orchestrator starts."""

import asyncio
from typing import Any

from actionbus.contracts.topics import Topics
from actionbus.kafka import administration
from actionbus.kafka.admin import UNCLEAN_ELECTION, Admin
from actionbus.kafka.cluster import Cluster
from faults.fault import Fault
from faults.house import House, under_load
from integration.installation import ENDED_SECONDS

SAID = "acknowledged records"  # in what an orchestrator says when it refuses
OF_ALL_BROKERS = ""
SEEN_SECONDS = 120.0


class _Broadcast(administration.IncrementalAlterConfigs):
    """Settings of all brokers instead of topics."""

    def build(self, request_struct_class: Any) -> Any:
        """The request as the broker reads it."""
        return request_struct_class(
            [
                (administration.BROKER, name, [(key, administration.SET, value) for key, value in settings.items()])
                for name, settings in self._settings.items()
            ],
            False,
        )


async def _allowed(house: House, count: int) -> None:
    for _ in range(count):
        await house.pause(0.5)
        topics = Topics(house.installation.prefix)
        where = house.chance.choice([None, topics.requests, topics.results, topics.state, topics.events])
        for service in house.orchestrators:
            await asyncio.to_thread(service.stop)
        try:
            await _allow(house, where, "true")
            house.struck()
            victim = house.chance.choice(house.orchestrators)
            victim.start()
            code = await asyncio.to_thread(victim.process.wait, ENDED_SECONDS)
            assert code != 0, f"the orchestrator took {where or 'the brokers'} for safe"
            assert SAID in victim.output
        finally:
            await _allow(house, where, "false")
        for service in house.orchestrators:
            service.start()
        await house.recovered()


async def _allow(house: House, where: str | None, value: str) -> None:
    """Set it for a topic, or for all brokers, and return when the brokers say so."""
    connection = house.installation.connection
    async with Admin(connection) as admin, asyncio.timeout(SEEN_SECONDS):
        if where is not None:
            await admin.alter_topics({where: {UNCLEAN_ELECTION: value}})
            while (await admin.topics(where))[where].settings[UNCLEAN_ELECTION] != value:  # noqa: ASYNC110 - the broker tells nobody
                await asyncio.sleep(0.05)
            return
        async with Cluster(connection) as brokers:
            reply = await brokers.send(brokers.any_node(), _Broadcast({OF_ALL_BROKERS: {UNCLEAN_ELECTION: value}}))
            assert [code for code, *_ in reply.responses] == [0], reply
        while str((await admin.describe_cluster()).unclean_election).lower() != value:  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.05)


FAULTS = (
    Fault(
        id="T13",
        name="unclean election allowed",
        what="an administrator lets all brokers, or those of one topic of the shards, elect leaders that lack "
        "acknowledged records; the orchestrator that is started then has to refuse, and works when it is forbidden again",
        play=under_load(_allowed),
        short=1,
        each=20,
        published=20,
        full=20,
    ),
)
