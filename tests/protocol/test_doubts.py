"""What workers do not know, and what they know differently: over takeovers, in what is shown and in what is logged."""

from structlog.testing import capture_logs

from actionbus.contracts.events import EntryKind
from actionbus.contracts.results import ActionError, ResultKind
from actionbus.contracts.run import RunStatus, StepStatus
from actionbus.process import metrics
from protocol.test_long_attempts import another, begun, says, talking, told
from protocol.world import World

UNKNOWN = ActionError(type="OutcomeUnknown", message="the worker was killed", retryable=False)


def counted(metric, **labels) -> float:
    """What a counter says now."""
    return metric.labels(**labels)._value.get()


async def test_a_step_in_doubt_stays_as_it_is_over_a_takeover() -> None:
    """Nobody sends its command again, and the late truth ends it."""
    world = World(graph=talking(heartbeat_ms=None))
    command = await begun(world)
    workflow = world.runs()["r1"].workflow
    before = counted(metrics.STEPS_IN_DOUBT, workflow=workflow)
    says(world, command, ResultKind.IN_DOUBT, error=UNKNOWN)
    await world.settle()
    assert counted(metrics.STEPS_IN_DOUBT, workflow=workflow) == before + 1
    await another(world)
    world.broker.groups[world.topics.worker_group("one"), world.topics.commands("one")] = 1
    for _ in range(4):
        await world.move(120_000)
    assert not world.worker.take()
    assert world.runs()["r1"].steps[0].status is StepStatus.UNKNOWN
    says(world, command, ResultKind.SUCCEEDED, output=b"{}")
    await world.settle()
    assert world.runs()["r1"].incident is None
    (second,) = world.worker.take()
    assert second.step == "two"


async def test_results_that_differ_are_counted_logged_and_told() -> None:
    """Once, whoever owns the shard when the second one comes."""
    world = World(graph=talking(heartbeat_ms=None, start_to_close_ms=60_000))
    first = await begun(world)
    await world.move(62_000)
    await world.move(5_000)
    (second,) = world.worker.take()
    assert second.attempt == 2
    says(world, second, ResultKind.SUCCEEDED, output=b'{"made":2}')
    await world.settle()
    await another(world)
    before = counted(metrics.RESULTS_DIFFER, action="one")
    with capture_logs() as logs:
        for _ in range(2):
            says(world, first, ResultKind.SUCCEEDED, output=b'{"made":1}')
            await world.settle()
    assert counted(metrics.RESULTS_DIFFER, action="one") == before + 1
    (line,) = [each for each in logs if each["event"] == "two results of one step differ"]
    assert (line["log_level"], line["run_id"], line["step"], line["attempt"]) == ("error", "r1", "one", 1)
    (entry,) = told(world, "r1", EntryKind.RESULTS_DIFFER)
    assert entry.data == b'{"made":1}'
    assert world.runs()["r1"].status is RunStatus.RUNNING
