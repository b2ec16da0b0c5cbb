"""The schedules in which the model of the protocol breaks when one rule is left out; each ends with the judge's word.

A scenario takes nothing and raises ``Violated`` when a promise is broken. ``assert`` in here is about the schedule
itself: that the moment it is about has come.
"""

from actionbus.contracts.run import RunStatus, StepStatus
from actionbus.testing.network import Fate
from protocol.world import Violated, World

FENCED_MS = 10_000  # longer than anybody waits before another takeover


async def undisturbed() -> None:
    """Two runs, one owner, no fault."""
    world = World()
    world.owner("first").start()
    world.start("r1")
    world.start("r2")
    await world.finish()
    world.judge()
    assert {run.status for run in world.runs().values()} == {RunStatus.COMPLETED}


async def crossing_takeover() -> None:
    """One fences A; another takes over whole and serves; then the first fences B, reads, and wants to begin."""
    world = World()
    first, second = world.owner("first"), world.owner("second")
    fence = first.trap("fence", "b", Fate.HELD)
    first.start()
    await fence.caught.wait()
    second.start()
    await world.settle()
    assert world.positions()[-1].owner == "second"
    begins = [first.trap("add", slot, Fate.HELD) for slot in ("a", "b")]
    fence.release()
    await world.settle()  # the first holds B now, the second still holds A, and the first has read
    world.start("r1")
    await world.settle()
    for each in begins:
        each.release()
    await world.settle()
    world.one_history()
    await world.move(FENCED_MS)
    await second.crash()
    await world.finish(first)
    world.judge()


async def write_between_the_fences() -> None:
    """The owner before, whose turn is B, writes while its successor holds A only."""
    world = World()
    first, second = world.owner("first").start(), world.owner("second")
    await world.settle()
    fence = second.trap("fence", "b", Fate.HELD)
    second.start()
    await fence.caught.wait()
    world.start("r1")
    await world.settle()
    assert world.positions()[-1].owner == "first"
    assert world.runs()["r1"].status is RunStatus.RUNNING
    fence.release()
    await world.settle()
    world.one_history()
    await first.crash()
    await world.finish(second)
    world.judge()


async def doubt_while_another_serves() -> None:
    """An owner in doubt takes over again while another, who has taken over meanwhile, has its next turn on B."""
    world = World()
    first = world.owner("first").start()
    await world.settle()
    world.start("r1")
    await world.settle()  # its next turn is A
    silence = first.trap("add", "a", Fate.LOST)
    world.start("r2")
    await silence.caught.wait()
    second = world.owner("second").start()
    await world.settle()  # it has written r2 on B
    world.start("r3")
    await world.settle()
    assert world.runs()["r3"].status is RunStatus.RUNNING  # written on A, so its next turn is B
    read = first.trap("read", "state", Fate.HELD)
    held = second.trap("add", "b", Fate.HELD)
    world.start("r4")
    await held.caught.wait()
    await world.move(1_000)
    await read.caught.wait()  # the first has fenced what it fences
    read.release()
    held.release()
    await world.settle()
    world.one_history()
    await world.move(FENCED_MS)
    await second.crash()
    await world.finish(first)
    world.judge()


async def torn_transaction() -> None:
    """A copy of an EndTxn arrives late and ends the next transaction of its epoch after its first batch."""
    world = World(verifies=False)
    first = world.owner("first")
    copy = first.trap("end", "a", Fate.DOUBLED)
    first.start()
    await world.settle()
    assert copy.caught.is_set()
    world.start("r1")
    await world.settle()  # on B
    batch, rest = first.trap("write", "a", Fate.HELD), first.trap("write", "a", Fate.HELD)
    world.start("r2")
    await batch.caught.wait()
    batch.release()
    await rest.caught.wait()
    copy.deliver()
    await first.crash()
    world.nothing_torn()
    world.owner("second").start()
    await world.finish()
    world.nothing_torn()
    world.all_ended()
    world.effects()


async def start_and_cancel_in_one_batch() -> None:
    """A run is started and cancelled before its first command went out."""
    world = World()
    world.start("r1")
    world.cancel("r1")
    world.owner("first").start()
    await world.settle()
    assert [run.version for run in world.states()][:1] == [2]
    world.no_phantoms()
    await world.finish()
    world.judge()


async def gap_below_the_mark() -> None:
    """Of two commands of one transaction one is acknowledged and one is not, then later ones are; the owner dies."""
    world = World()
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    results = [world.worker.execute(command) for command in world.worker.take()]
    held = first.trap("publish", "action.one", Fate.HELD)
    world.start("r2")
    for result in results:
        world.worker.answer(result)
    await held.caught.wait()
    await world.settle()
    states = {run.run_id: run for run in world.states()}
    assert states["r1"].txn_seq == states["r2"].txn_seq
    world.worker.work()  # the second step of r1: its result goes into a later transaction
    await world.settle()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    await first.crash()
    world.owner("second").start()
    await world.finish()
    world.judge()


async def gap_inherited() -> None:
    """The same, but the command without an acknowledgement is one that a takeover has sent again."""
    world = World()
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    results = [world.worker.execute(command) for command in world.worker.take()]
    lost = [first.trap("publish", topic, Fate.HELD) for topic in ("action.one", "action.two")]
    world.start("r2")
    for result in results:
        world.worker.answer(result)
    for trap in lost:
        await trap.caught.wait()
    await first.crash()
    second = world.owner("second")
    held = second.trap("publish", "action.one", Fate.HELD)
    second.start()
    await held.caught.wait()
    await world.settle()
    world.worker.work()
    await world.settle()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    await second.crash()
    world.owner("third").start()
    await world.finish()
    world.judge()


async def crash_before_a_compensation_goes_out() -> None:
    """The owner dies between the commit that schedules a compensation and its publication."""
    world = World()
    first = world.owner("first")
    held = first.trap("publish", "undo-one", Fate.HELD)
    world.start("r1")
    world.cancel("r1")
    first.start()
    await held.caught.wait()
    await first.crash()
    assert world.runs()["r1"].steps[0].status is StepStatus.COMPENSATING
    world.owner("second").start()
    await world.finish()
    world.judge()


async def late_success_while_compensating() -> None:
    """A step that is being undone turns out to have succeeded; the result comes before that of the compensation."""
    world = World()
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    (late,) = [world.worker.execute(command) for command in world.worker.take()]
    world.cancel("r1")
    await world.settle()
    assert world.runs()["r1"].steps[0].status is StepStatus.COMPENSATING
    world.worker.answer(late)
    await world.settle()
    await world.finish()
    world.judge()


async def failed_attempt_that_comes_again() -> None:
    """Both attempts of a step fail, the run fails; then the first attempt is redelivered and would succeed."""
    world = World(attempts=2)
    world.owner("first").start()
    world.worker.failing["one"] = 2
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    world.worker.answer(world.worker.execute(command))
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.FAILED
    world.worker.execute(command)
    world.judge()


async def duplicate_start_after_the_end() -> None:
    """A start is asked again, by a client that had no answer, when its run has been cancelled and undone."""
    world = World()
    first = world.owner("first").start()
    world.start("r1")
    world.cancel("r1")
    for _ in range(3):
        await world.settle()
        world.worker.work()
        await world.move(100)
    assert RunStatus.CANCELLED in {run.status for run in world.states()}
    await first.crash()
    world.owner("second").start()
    await world.settle()
    world.start("r1")
    await world.finish()
    if len({run.incarnation for run in world.states()}) != 1:
        raise Violated("one request has started two runs")
    world.judge()


async def second_transaction_while_the_first_is_out() -> None:
    """A transaction is held on its way, more arrives, the owner dies, and the held one never arrives."""
    world = World()
    first = world.owner("first").start()
    await world.settle()
    held = first.trap("end", "b", Fate.HELD)
    world.start("r1")
    await held.caught.wait()
    world.start("r2")
    await world.settle()
    await first.crash()
    world.owner("second").start()
    await world.finish()
    world.judge()


async def commands_of_a_transaction_that_never_was() -> None:
    """The transaction that starts a run never arrives; its successor finds the run started and cancelled."""
    await _commands_without_their_transaction(Fate.LOST)


async def commands_of_a_transaction_that_was_refused() -> None:
    """A broker refuses the transaction that starts a run; before it is begun anew, its owner dies."""
    await _commands_without_their_transaction(Fate.REFUSED)


async def _commands_without_their_transaction(fate: Fate) -> None:
    world = World()
    first = world.owner("first").start()
    await world.settle()
    begun = first.trap("add", "b", fate)
    world.start("r1")
    await begun.caught.wait()
    await world.settle()
    await first.crash()
    world.cancel("r1")
    world.owner("second").start()
    await world.finish()
    world.judge()


async def requests_that_wait_for_a_successor() -> None:
    """Two runs are asked for while nobody owns the shard."""
    world = World()
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    await first.crash()
    world.start("r2")
    world.start("r3")
    world.owner("second").start()
    await world.finish()
    if {"r1", "r2", "r3"} != world.runs().keys():
        raise Violated(f"of three runs there are {sorted(world.runs())}")
    world.judge()


async def dropped_while_it_serves() -> None:
    """The group throws an owner out; a run is asked for afterwards, and nobody is there to start it."""
    world = World()
    first = world.owner("first").start()
    await world.settle()
    first.drop()
    await world.settle()
    await world.move(FENCED_MS)
    world.start("r1")
    await world.settle()
    goes_on = "r1" in world.runs()
    while not first.gone:  # one that goes on would outlive this loop
        first.drop()
        await world.settle()
    if goes_on:
        raise Violated("an owner that was dropped goes on")
    world.judge()
