"""What a group says becomes shards that run, go on, leave or are dropped."""

import pytest

from actionbus.contracts.errors import AccessRefused
from actionbus.kafka.rebalances import Assigned, Failed, Lost, Revoked
from actionbus.orchestrator.ownership import Ownership
from actionbus.orchestrator.shard import Stage
from protocol.world import World


class House:
    """One ownership over a world with three shards."""

    def __init__(self) -> None:
        self.world = World(shards=3)
        self.made: list[int] = []
        self.ownership = Ownership(self._charter)

    def _charter(self, number: int):
        self.made.append(number)
        return self.world.owner(f"shard-{number}", shard=number).shard._charter

    async def hear(self, *changes) -> None:
        """The group says something."""
        for change in changes:
            self.ownership.apply(change)
        await self.world.settle()

    def stages(self) -> dict[int, Stage]:
        """Every shard that is owned."""
        return {each.number: each.stage for each in self.ownership.shards}


@pytest.fixture
async def house():
    """Dropped at the end."""
    house = House()
    yield house
    await house.ownership.drop_all()


def _numbers(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


async def test_a_process_is_ready_when_it_serves_what_it_was_given(house: House) -> None:
    """Not before the group has spoken; being given nothing is being ready."""
    assert house.ownership.not_ready()
    await house.hear(Assigned(partitions=_numbers()))
    assert not house.ownership.not_ready()
    house.ownership.apply(Assigned(partitions=_numbers(0, 2)))
    assert house.ownership.not_ready() == [f"shard {number}: {Stage.WAITING.value}" for number in (0, 2)]
    await house.world.settle()
    assert not house.ownership.not_ready()


async def test_a_shard_that_comes_back_has_never_stopped(house: House) -> None:
    """A rebalance that changes nothing for a shard costs it nothing: no takeover, no new epoch."""
    await house.hear(Assigned(partitions=_numbers(0, 1)))
    (before, _) = house.ownership.shards
    await house.hear(Revoked(partitions=_numbers(0, 1)), Assigned(partitions=_numbers(0, 2)))
    assert house.stages() == {0: Stage.SERVING, 2: Stage.SERVING}
    assert before in house.ownership.shards
    assert house.made == [0, 1, 2]


async def test_a_shard_given_away_and_back_is_taken_over_anew(house: House) -> None:
    """Its former life here ends first, so that the two do not fence each other."""
    await house.hear(Assigned(partitions=_numbers(0)))
    await house.hear(Assigned(partitions=_numbers()), Assigned(partitions=_numbers(0)))
    assert house.stages() == {0: Stage.SERVING}
    assert house.made == [0, 0]


async def test_being_thrown_out_drops_shards_and_writes_nothing(house: House) -> None:
    """Somebody else may hold them already."""
    await house.hear(Assigned(partitions=_numbers(0)))
    house.world.start("x" * 3)
    before = house.world.broker.end_offset((house.world.topics.state, 0))
    house.ownership.apply(Lost(partitions=_numbers(0)))
    await house.world.settle()
    assert house.stages() == {}
    assert house.world.broker.end_offset((house.world.topics.state, 0)) == before


async def test_a_refusal_by_the_group_ends_the_process(house: House) -> None:
    """It has to be seen by an operator."""
    with pytest.raises(AccessRefused):
        await house.hear(Failed(error=AccessRefused("no")))


async def test_leaving_finishes_every_shard(house: House) -> None:
    """Each writes its last position."""
    await house.hear(Assigned(partitions=_numbers(0, 1, 2)))
    shards = house.ownership.shards
    await house.ownership.release_all()
    assert {each.stage for each in shards} == {Stage.RELEASED}
