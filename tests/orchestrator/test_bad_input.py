"""Whatever stands in the requests and results topics: a verdict or a dead letter, and the shard goes on."""

import pytest

from actionbus.contracts import traces
from actionbus.contracts.events import EntryKind
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import Parent, RunStatus
from actionbus.kafka.partitioning import partition_for
from actionbus.orchestrator.tenure import QUIET_MS
from actionbus.process import metrics
from actionbus.testing.network import Fate
from protocol.world import World, pair
from support.mutation import mutated


def _only_letter(world: World):
    (letter,) = world.committed(world.topics.dead_letters)
    return letter


def _verdict(world: World, run_id: str) -> tuple[EntryKind, str]:
    (event,) = world.events(run_id)
    (entry,) = event.entries
    assert event.version == 0
    return entry.kind, entry.reason or ""


async def _still_works(world: World) -> None:
    world.start("still-works")
    await world.finish()
    assert world.runs()["still-works"].status is RunStatus.COMPLETED
    world.judge()


@pytest.mark.parametrize("junk", [b"\x00\xffjunk", b"\xc3\x01" + b"\x00" * 30, b'{"run_id": 5}', b"[]", b"", None])
@pytest.mark.parametrize("which", ["requests", "results"])
async def test_what_cannot_be_read_is_kept_as_it_was(which: str, junk: bytes | None) -> None:
    """Undecodable bytes go to the dead letters with their place and reason, in the transaction that passes them."""
    world = World()
    world.owner("first").start()
    topic = getattr(world.topics, which)
    world.broker.append((topic, 0), [OutRecord(key=b"k", value=junk, headers=(("own", b"1"),))])
    await world.settle()
    letter = _only_letter(world)
    assert (letter.key, letter.value, letter.header("own")) == (b"k", junk, b"1")
    assert letter.header("actionbus-dlq-original-topic") == topic.encode()
    assert letter.header("actionbus-dlq-original-offset") == b"0"
    assert letter.header("actionbus-dlq-exception-message")
    await _still_works(world)


async def test_junk_that_is_passed_over_in_silence_would_be_missed() -> None:
    """The test above fails when what cannot be read is skipped."""
    rule = ("                self._bury(record, reading.error)\n", "                pass\n")
    with mutated("actionbus.orchestrator.fold", rule), pytest.raises(ValueError, match="not enough values"):
        await test_what_cannot_be_read_is_kept_as_it_was("requests", b"[]")


async def test_a_record_too_large_to_be_copied_is_kept_by_its_place() -> None:
    """A dead letter never makes a transaction too large; it then says where the whole record is."""
    world = World(limits=Limits(record_bytes=2_000))
    world.owner("first").start()
    world.broker.append((world.topics.requests, 0), [OutRecord(key=b"k", value=b"x" * 5_000)])
    await world.settle()
    assert _only_letter(world).value is None
    assert int(_only_letter(world).header("actionbus-dlq-truncated")) > 5_000
    await _still_works(world)


@pytest.mark.parametrize("run_id", ["no/slash", "!position", "", "x" * 201])
async def test_a_run_id_outside_the_grammar_is_a_dead_letter(run_id: str) -> None:
    """No key of the state topic can be forged by a run's name."""
    world = World()
    world.owner("first").start()
    world.start(run_id)
    await world.settle()
    assert _only_letter(world).header("actionbus-dlq-exception-type") == b"IdentifierRefused"
    await _still_works(world)


async def test_an_input_that_breaks_the_engine_is_set_aside() -> None:
    """An exception inside the engine costs one dead letter, never the shard."""
    world = World()
    line = "    pause.go_on(draft)\n"
    with mutated("actionbus.engine.cancel", (line, "    raise ZeroDivisionError\n")):
        world.owner("first").start()
        world.start("r1")
        world.cancel("r1")
        await world.settle()
    assert _only_letter(world).header("actionbus-dlq-exception-type") == b"ZeroDivisionError"
    assert world.runs()["r1"].status is RunStatus.RUNNING
    await _still_works(world)


async def test_a_run_hears_that_the_start_of_its_child_was_set_aside() -> None:
    """A child's start that breaks the engine is a dead letter, and a refusal for the run that waits for it."""
    world = World()
    line = "    data = _input(request)\n"
    with mutated("actionbus.engine.start", (line, "    raise ZeroDivisionError\n")):
        world.owner("first").start()
        world.start("c1", parent=Parent(run_id="r1", incarnation="0", path="c", waits=True))
        await world.settle()
    assert _only_letter(world).header("actionbus-dlq-exception-type") == b"ZeroDivisionError"
    requests = [world.codec.decode(WorkflowRequest, each.value) for each in world.committed(world.topics.requests)]
    (told,) = [each for each in requests if each.kind is RequestKind.CHILD_REPORT]
    assert (told.run_id, told.child and told.child.status) == ("r1", RunStatus.UNKNOWN)
    assert "dead letter: ZeroDivisionError" in str(told.child and told.child.error)


async def test_a_workflow_nobody_deployed_is_rejected_by_name() -> None:
    """The caller hears which workflow is missing."""
    world = World()
    world.owner("first").start()
    world.start("r1", workflow="nowhere")
    world.start("r2", version="7")
    await world.settle()
    assert _verdict(world, "r1") == (EntryKind.REQUEST_REJECTED, "the workflow 'nowhere' is not deployed")
    assert _verdict(world, "r2") == (EntryKind.REQUEST_REJECTED, "the workflow 'pair' version 7 is not deployed")
    await _still_works(world)


async def test_a_workflow_deployed_a_moment_ago_is_known() -> None:
    """Definitions are read again before a start is rejected as unknown."""
    world = World()
    world.owner("first").start()
    await world.settle()
    world.deploy(pair().model_copy(update={"version": "2"}))
    world.start("r1", version="2")
    await world.settle()
    assert world.runs()["r1"].definition_version == "2"


async def test_requests_about_a_run_that_is_not_there_are_rejected() -> None:
    """Cancelling nothing is answered."""
    world = World()
    world.owner("first").start()
    world.cancel("nobody")
    world.request("nobody-2", RequestKind.SIGNAL, "s1")
    await world.settle()
    assert _verdict(world, "nobody") == (EntryKind.REQUEST_REJECTED, "there is no run nobody")
    assert _verdict(world, "nobody-2")[0] is EntryKind.REQUEST_REJECTED


async def test_a_result_without_the_commands_nonce_changes_nothing() -> None:
    """Only who could read the command can answer it."""
    world = World()
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    genuine = world.worker.execute(command)
    before = metrics.FORGED_RESULTS._value.get()
    world.worker.answer(genuine.replace(nonce="0" * 32))
    world.worker.answer(genuine.replace(command_id=command.command_id.replace("one", "two")))
    world.worker.answer(genuine.replace(run_id="r2"))
    await world.settle()
    await world.move(QUIET_MS)  # nobody waits for it, so it is not written at once
    assert metrics.FORGED_RESULTS._value.get() == before + 3
    assert world.runs()["r1"].version == 1
    world.worker.answer(genuine)
    await world.settle()
    assert world.runs()["r1"].version == 2


async def test_results_under_the_key_before_are_accepted() -> None:
    """The nonce key can be changed while commands are out."""
    world = World()
    first = world.owner("first", nonce_key=b"the old key" * 3).start()
    world.start("r1")
    await world.settle()
    await first.crash()
    world.owner("second", nonce_key=b"the new key" * 3, previous_nonce_key=b"the old key" * 3).start()
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.COMPLETED


async def test_signs_of_life_are_not_results() -> None:
    """A heartbeat changes no run, and what a newer worker says is kept for later."""
    world = World()
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    result = world.worker.execute(command)
    world.worker.answer(result.replace(kind=ResultKind.HEARTBEAT))
    world.worker.answer(result.replace(kind=ResultKind.UNKNOWN))
    await world.settle()
    assert world.runs()["r1"].version == 1
    assert _only_letter(world).header("actionbus-dlq-exception-type") == b"RecordUnreadable"


def _elsewhere(shards: int) -> str:
    return next(name for name in map(str, range(100)) if partition_for(name.encode(), shards) != 0)


async def test_a_request_of_another_shard_is_sent_on_under_its_right_key() -> None:
    """A client with another partitioner is served all the same: headers and bytes go along, the key becomes the run id."""
    world = World(shards=2)
    world.owner("first").start()
    run_id = _elsewhere(2)
    request = WorkflowRequest(request_id="q", run_id=run_id, kind=RequestKind.START, workflow="pair")
    value = world.codec.encode(request)
    record = OutRecord(key=b"whatever", value=value, headers=((traces.TRACEPARENT, b"t"),))
    before = metrics.MISROUTED_RECORDS._value.get()
    world.broker.append((world.topics.requests, 0), [record])
    await world.settle()
    (moved,) = world.broker.read((world.topics.requests, 1), 0)
    assert (moved.key, moved.value, moved.header(traces.TRACEPARENT)) == (run_id.encode(), value, b"t")
    assert metrics.MISROUTED_RECORDS._value.get() == before + 1
    assert not world.runs()


async def test_what_is_passed_over_counts_once_also_when_it_is_folded_twice() -> None:
    """Its first transaction is lost; only what is committed counts, so the metrics agree with the topics."""
    world = World(shards=2)
    owner = world.owner("first").start()
    await world.settle()
    letters = metrics.DEAD_LETTERS.labels(action="", reason="RecordUnreadable")
    before = [each._value.get() for each in (metrics.MISROUTED_RECORDS, metrics.FORGED_RESULTS, letters)]
    doubt = owner.trap("end", "b", Fate.LOST)
    astray = WorkflowRequest(request_id="q", run_id=_elsewhere(2), kind=RequestKind.START, workflow="pair")
    requests = [OutRecord(key=b"k", value=each) for each in (world.codec.encode(astray), b"junk")]
    world.broker.append((world.topics.requests, 0), requests)
    forged = ActionResult(command_id="r:0/one/1", step_key="r:0/one", run_id="r", kind=ResultKind.SUCCEEDED, nonce="0")
    world.worker.answer(forged)
    await world.settle()
    await world.move(5_000)
    assert doubt.caught.is_set()
    assert len(world.committed(world.topics.dead_letters)) == 1
    assert len(world.broker.read((world.topics.requests, 1), 0)) == 1
    after = [each._value.get() for each in (metrics.MISROUTED_RECORDS, metrics.FORGED_RESULTS, letters)]
    assert after == [each + 1 for each in before]


async def test_a_result_of_another_shard_is_sent_on_if_it_is_genuine() -> None:
    """Forgeries are not passed around."""
    world = World(shards=2)
    owner = world.owner("first").start()
    await world.settle()
    run_id = _elsewhere(2)
    command_id = f"{run_id}:0/one/1"
    genuine = ActionResult(
        command_id=command_id,
        step_key=f"{run_id}:0/one",
        run_id=run_id,
        kind=ResultKind.SUCCEEDED,
        nonce=owner.shard._charter.nonce(command_id),
    )
    world.worker.answer(genuine.replace(nonce="1" * 32))
    world.worker.answer(genuine)
    await world.settle()
    (moved,) = world.broker.read((world.topics.results, 1), 0)
    assert world.codec.decode(ActionResult, moved.value) == genuine


async def test_a_timer_that_breaks_the_engine_waits_and_stops_nobody() -> None:
    """It is tried again later, not at once and for ever."""
    world = World(attempts=2)
    world.owner("first").start()
    world.worker.failing["one"] = 1
    world.start("r1")
    await world.settle()
    world.worker.work()
    await world.settle()
    line = "            _retry(draft, _step(draft, timer))\n"
    with mutated("actionbus.engine.fire", (line, "            raise ZeroDivisionError\n")):
        await world.move(2_000)
        assert not world.worker.take()
        world.start("r2")
        await world.settle()
        assert len(world.worker.take()) == 1
    world.worker.seen.clear()
    await world.move(60_000)
    await world.finish()
    world.judge()
