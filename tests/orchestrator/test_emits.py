"""Records that actions ask to be published: in the transaction that accepts the result, or not at all."""

import pytest

from actionbus.contracts.decisions import Call, RetryPolicy
from actionbus.contracts.definitions import ActionSpec, Graph
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.nodes import SequenceNode, StepNode
from actionbus.contracts.records import OutRecord
from actionbus.contracts.results import Emit
from actionbus.contracts.run import RunStatus
from engine.graphs import child, emit, graph, sleep
from protocol.world import World

ONCE = RetryPolicy(attempts=1)
HELLO = Emit(topic="greetings", key=b"k", value=b"hello", headers={"lang": b"en"})


def _graph() -> Graph:
    action = ActionSpec(id="greet", retry=ONCE, emits=("greetings", "missing", "w.workflow.state.v1", "closed"))
    node = StepNode(id="greet", call=Call(action="greet", input={}))
    return Graph(name="hello", version="1", root=SequenceNode(id="root", nodes=(node,)), actions={"greet": action})


def _world(*emits: Emit) -> World:
    world = World(graph=_graph())
    for topic in ("greetings", "closed"):
        world.broker.make(topic)
    world.worker.emits["greet"] = emits
    world.owner("first").start()
    return world


async def test_an_emit_is_published_once_as_it_was_asked_for() -> None:
    """Key, value and headers stand; the time is that of the transition."""
    world = _world(HELLO, HELLO.replace(key=None, value=None))
    world.start("r1")
    await world.finish()
    first, second = world.committed("greetings")
    assert (first.key, first.value, first.headers) == (b"k", b"hello", (("lang", b"en"),))
    assert (second.key, second.value) == (None, None)
    assert world.runs()["r1"].status is RunStatus.COMPLETED


@pytest.mark.parametrize("topic", ["missing", "w.workflow.state.v1", "undeclared"])
async def test_an_emit_that_may_not_be_fails_its_step(topic: str) -> None:
    """A topic that is missing, ours, or not declared: the step fails for good with EmitRefused, nothing is published."""
    world = _world(HELLO, HELLO.replace(topic=topic))
    if topic == "undeclared":
        world.broker.make(topic)
    world.start("r1")
    await world.finish()
    run = world.runs()["r1"]
    assert (run.status, run.error.type, run.error.retryable) == (RunStatus.FAILED, "EmitRefused", False)
    assert topic in run.error.message
    assert not world.committed("greetings")
    world.one_history()


async def test_a_topic_that_appears_later_is_found() -> None:
    """That a topic is missing is not remembered for ever."""
    world = _world(HELLO.replace(topic="missing"))
    world.start("r1")
    await world.settle()
    world.worker.work()
    await world.settle()
    world.broker.make("missing")
    await world.move(20_000)
    world.start("r2")
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.FAILED
    assert world.runs()["r2"].status is RunStatus.COMPLETED
    assert len(world.committed("missing")) == 1


async def test_a_run_whose_child_has_ended_never_waits_for_what_cannot_be_emitted() -> None:
    """What follows the child's end cannot be written: to its parent the child has failed, and that can be."""
    world = World(graph=graph(child("c", workflow="calm"), emit("tell", "missing")))
    world.deploy(graph(sleep("rest", 1_000), name="calm"))
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    await world.move(2_000)
    await world.finish()
    runs = world.runs()
    assert sorted(run.status for run in runs.values()) == [RunStatus.COMPLETED, RunStatus.FAILED]
    assert (runs["r1"].status, runs["r1"].error.type) == (RunStatus.FAILED, "EmitRefused")
    assert not world.committed(world.topics.dead_letters)
    world.one_history()


async def test_the_one_whose_emit_the_broker_refuses_is_found_among_many() -> None:
    """A topic that may not be written to fails the whole transaction; its step alone pays for it, once found."""
    world = _world()
    for number in range(9):
        world.start(f"r{number}")
    await world.settle()
    world.broker.forbidden.add("closed")
    for command in world.worker.take():
        guilty = command.run_id == "r5"
        world.worker.emits["greet"] = (HELLO.replace(topic="closed"),) if guilty else (HELLO,)
        world.worker.answer(world.worker.execute(command))
    await world.finish()
    statuses = {run.run_id: run.status for run in world.runs().values()}
    assert statuses == {f"r{n}": RunStatus.FAILED if n == 5 else RunStatus.COMPLETED for n in range(9)}
    assert world.runs()["r5"].error.type == "EmitRefused"
    assert len(world.committed("greetings")) == 8
    (letter,) = world.committed(world.topics.dead_letters)
    assert letter.header("actionbus-dlq-original-topic") == world.topics.results.encode()
    world.one_history()


async def test_a_topic_of_ours_that_may_not_be_written_condemns_nobody() -> None:
    """Where no input is to blame all of them wait, and go on once the operator has put it right."""
    world = _world(HELLO)
    world.start("r1")
    await world.settle()
    world.broker.forbidden.add(world.topics.events)
    world.worker.work()
    for _ in range(20):
        await world.move(10_000)
    assert world.runs()["r1"].status is RunStatus.RUNNING
    world.broker.forbidden.clear()
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    assert not world.committed(world.topics.dead_letters)


async def test_commands_wait_for_their_topic() -> None:
    """An action without a topic holds up its own steps only, and they go out once it is made."""
    world = _world()
    topic = world.topics.commands("greet")
    world.broker.drop(topic)
    world.start("r1")
    await world.settle()
    await world.move(5_000)
    assert world.runs()["r1"].status is RunStatus.RUNNING
    world.broker.make(topic)
    world.broker.append((world.topics.requests, 0), [OutRecord(key=b"k", value=b"junk")])  # others go on
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.COMPLETED


async def test_a_run_whose_timer_leads_to_what_its_topic_does_not_take_fails() -> None:
    """Nobody would make it smaller: without an end it came again each minute, with three takeovers of its shard."""
    world = World(graph=graph(sleep("rest", 1_000), emit("tell", "narrow", value={"text": "x" * 1_000})))
    world.broker.make("narrow")
    world.broker.narrow["narrow"] = 500
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    for _ in range(5):
        await world.move(2_000)
    await world.finish()
    run = world.runs()["r1"]
    assert (run.status, run.error.type) == (RunStatus.FAILED, "EmitRefused")
    assert not world.committed("narrow")
    world.one_history()


async def test_a_run_whose_turn_leads_to_what_its_topic_does_not_take_fails() -> None:
    """The next in the line has its turn all the same."""
    one_at_a_time = {"limit": LimitPolicy(concurrency=1)}
    large = graph(emit("tell", "narrow", value={"text": "x" * 1_000})).model_copy(update=one_at_a_time)
    world = World(graph=large)
    world.broker.make("narrow")
    world.broker.narrow["narrow"] = 500
    world.owner("first").start()
    for run_id in ("r1", "r2", "r3"):
        world.start(run_id)
    await world.finish()
    assert [(each.status, each.error.type) for each in world.runs().values()] == [(RunStatus.FAILED, "EmitRefused")] * 3
    assert not world.committed("narrow")
    world.one_history()
