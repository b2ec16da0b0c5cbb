"""T22: random, damaged and forged records in every topic of a living installation, between the orders of real callers."""

import itertools
from random import Random

from actionbus.client import Client
from faults.fault import Fault, Outcome
from faults.ground import Ground
from fuzzing.installed import Poisoned
from fuzzing.poison import Poisoner
from integration import orders
from integration.oracle import Ledger, Outcomes

AT_ONCE = 10_000  # records; no more are written before each of them has had its end
ORDERS = 50  # among so many records, and as many for the orchestrator that has read the poisoned state


async def _hostile(ground: Ground, count: int, chance: Random) -> Outcome:
    with ground.room("hostile") as room:
        poisoned = Poisoned(ground.cluster(1).bootstrap, f"{room.name}-{chance.getrandbits(32):08x}", room)
        try:
            poisoned.start()
            async with poisoned.poisoner(chance.getrandbits(32)) as poisoner:
                outcomes, astray = await _poison(poisoned, poisoner, count)
            astray += [f"{name} has ended" for name in sorted(poisoned.services.keys() - poisoned.pids.keys())]
            return _judged(poisoned.ledger, outcomes, astray, injected=sum(poisoner.accounting.sent.values()))
        finally:
            poisoned.close()


async def _poison(poisoned: Poisoned, poisoner: Poisoner, count: int) -> tuple[Outcomes, list[str]]:
    """Batch after batch between orders, then orders at an orchestrator that has read all of it.

    Gives what became of the orders, and what cannot be said of the records.
    """
    made, numbers = poisoned.installation, itertools.count()
    outcomes: dict[str, tuple[int, str]] = {}
    async with Client(made.connection, prefix=made.prefix) as client:
        for first in range(0, count, AT_ONCE):
            tasks = orders.begin(client, itertools.islice(numbers, ORDERS))
            await poisoner.send(first, min(AT_ONCE, count - first))
            outcomes |= await orders.outcomes(tasks)
            await poisoner.settle()
        astray = [] if poisoner.accounting.balanced else [str(poisoner.accounting)]
        poisoned.restart_orchestrator()  # whose counts begin anew
        outcomes |= await orders.outcomes(orders.begin(client, itertools.islice(numbers, ORDERS)))
    return outcomes, astray


def _judged(ledger: Ledger, outcomes: Outcomes, astray: list[str], *, injected: int) -> Outcome:
    world = ledger.judge(outcomes)
    effects = len(ledger.rows("SELECT 1 FROM entries")) + len(list(ledger.notices.iterdir()))
    found = {kind: list(getattr(world, kind)) for kind in world.kinds}
    if astray:
        found["lost"] = found.get("lost", []) + astray
    return Outcome(injected=injected, workflows=len(outcomes), steps=effects, effects=effects, faults=found)


FAULTS = (
    Fault(
        id="T22/hostile",
        name="hostile records",
        what="records of random bytes, damaged ones, and ones that no service wrote (the figure counts them) in every "
        f"topic of an installation, {ORDERS} orders to each {AT_ONCE:,} of them; then an orchestrator has to read what "
        "was put into the state. Each record has to become one dead letter, byte for byte, or one answer, or be passed "
        "over where nobody acts on it, and no service may end; what has no such end is counted as lost",
        play=_hostile,
        short=0,  # tests/fuzzing/test_poison.py plays it on both brokers
        each=100_000,
        published=1_000_000,
        full=1_000_000,
        needs=("java",),
    ),
)
