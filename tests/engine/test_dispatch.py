"""Which commands a run has out."""

from actionbus.contracts.definitions import Effect
from actionbus.contracts.limits import Limits
from actionbus.engine.dispatch import commands
from engine.graphs import action, go_on_with, on, policy, step, workflow
from engine.matchers import sent
from engine.play import RESULTS, START, nonce, started


def out(play, after_seq=0):
    """The commands of a run that transactions after that one scheduled."""
    found = commands(play.definition, play.run, after_seq, RESULTS, 3, nonce)
    return [command.command_id.partition("/")[2] for command in found]


def test_a_command_says_all_that_a_worker_needs():
    """Ids that derive from the run, where the answer goes, and the proof that the command was read."""
    play = started(workflow(step("a", input={"n": 1}, start_to_close_ms=70)))
    (command,) = commands(play.definition, play.run, 0, RESULTS, 3, nonce)
    assert command.plain() == {
        "command_id": "r-1:0/a/1",
        "step_key": "r-1:0/a",
        "run_id": "r-1",
        "workflow": "order",
        "definition_version": "1",
        "step": "a",
        "action": "a",
        "attempt": 1,
        "kind": "execute",
        "input": b'{"n":1}',
        "template": False,
        "original_output": None,
        "reply_topic": RESULTS,
        "reply_partition": 3,
        "nonce": "nonce of r-1:0/a/1",
        "start_to_close_ms": 70,
        "deadline": START + 3_600_000,
        "issued_at": START,
        "heartbeat_ms": None,
        "heartbeat_details": None,
    }


def test_a_command_is_sent_once():
    """A transition sends what it scheduled, and not what an earlier one did."""
    play = started(workflow(step("a", retry=policy(3, initial_ms=0)), step("b")))
    play.fails("a")
    play.begins("a")
    play.succeeds("a")
    assert sent(play) == ["a/1", "a/2", "b/1"]


def test_a_takeover_sends_what_may_not_have_been_sent():
    """Every command of a transaction after the confirmed ones is sent again under its id, and no other."""
    play = started(workflow(step("a", retry=policy(3, initial_ms=0))))
    play.fails("a")
    assert out(play, after_seq=0) == ["a/2"]
    assert out(play, after_seq=1) == ["a/2"]
    assert out(play, after_seq=2) == []


def test_a_takeover_sends_undos_again():
    """A compensation whose command may be lost is sent again, like any other."""
    play = started(workflow(step("a", undo="undo-a")))
    play.fails("a")
    assert out(play) == ["a/undo/1"]


def test_what_is_cancelled_in_the_same_batch_is_never_sent():
    """A start and a cancel in one transaction leave no command to execute: no committed state has scheduled it."""
    play = started(workflow(step("a", undo="undo-a")))
    play.cancels()
    assert out(play, after_seq=0) == ["a/undo/1"]
    bare = started(workflow(step("a")))
    bare.cancels()
    assert out(bare, after_seq=0) == []


def test_what_waits_has_no_command_out():
    """Neither a step that backs off, nor an undo that does, nor a step that is done or left behind."""
    play = started(
        workflow(
            step("a", on(None, go_on_with(1)), undo="undo-a", retry=policy(2)),
            undo_retry=policy(None),
        )
    )
    play.fails("a")
    assert out(play) == []
    play.passes(1_000)
    assert out(play) == ["a/2"]
    play.fails("a")
    play.fails("a", undo=True)
    assert out(play) == []
    play.passes(1_000)
    assert out(play) == ["a/undo/2"]
    play.undoes("a")
    assert out(play) == []


def test_the_same_run_gives_the_same_commands():
    """Whoever derives them, whenever: byte for byte the same."""
    play = started(workflow(step("a", input={"b": 1, "a": 2})))
    once, twice = (commands(play.definition, play.run, 0, RESULTS, 0, nonce) for _ in range(2))
    assert [each.model_dump_json() for each in once] == [each.model_dump_json() for each in twice]


def test_deadlines():
    """Nobody begins an attempt after the time of its step or run, nor, without an inbox, long after it was scheduled."""
    inbox = action("a", effect=Effect.TRANSACTIONAL)
    wait = Limits(command_wait_ms=5_000)

    def deadline(*actions, **fields):
        run_timeout = fields.pop("run_timeout_ms", None)
        play = started(workflow(step("a", **fields), actions=actions, limits=wait, run_timeout_ms=run_timeout))
        return play.sent[0].deadline

    assert deadline(inbox) is None
    assert deadline() == START + 5_000
    assert deadline(inbox, schedule_to_close_ms=700) == START + 700
    assert deadline(inbox, run_timeout_ms=900, schedule_to_close_ms=9_000) == START + 900
    assert deadline(run_timeout_ms=90_000) == START + 5_000
