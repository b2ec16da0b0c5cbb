"""T02: brokers of three that die under a living installation, those first that it leans on at that moment."""

import asyncio

from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from faults.fault import Fault
from faults.house import House, Setting, under_load
from support.apache_kafka import Node


async def _one_that_matters(house: House) -> Node:
    """A leader of state, a coordinator of transactions or of the group, the controller, or any: chance decides."""
    names, shard = Topics(house.installation.prefix), house.chance.randrange(house.setting.shards)
    role = house.chance.randrange(5)
    if role == 0 and (controller := house.cluster.controller):
        return controller
    async with Cluster(house.installation.connection) as cluster:
        match role:
            case 1:
                number = await cluster.find_leader(names.state, shard)
            case 2:
                number = await cluster.coordinator("transaction", names.transactional_id(shard, "a"))
            case 3:
                number = await cluster.coordinator("group", names.orchestrator_group)
            case _:
                return house.chance.choice(house.cluster.nodes)
    return next(node for node in house.cluster.nodes if node.number == number)


async def _kills(house: House, count: int) -> None:
    """The next one dies when this one is back and every shard works: two of three have to acknowledge."""
    for _ in range(count):
        await house.pause(1.0)
        victim = await _one_that_matters(house)
        await asyncio.to_thread(house.cluster.kill_node, victim)
        house.struck()
        try:
            await house.recovered()
        finally:
            house.cluster.start_node(victim, wait=False)
        await asyncio.to_thread(house.cluster.wait_for, victim)
        await house.load.probe()


FAULTS = (
    Fault(
        id="T02",
        name="broker killed",
        what="kill -9 of one of three brokers, above all of the leader of a shard's state, the coordinator of its "
        "transactions or of the group, and of the controller; started again when every shard works with two",
        play=under_load(_kills, Setting(brokers=3)),
        short=1,
        each=10,
        published=100,
        full=200,
    ),
)
