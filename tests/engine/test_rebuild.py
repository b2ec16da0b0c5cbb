"""What happened to a run says what must have come: the history that its events give is that of the run."""

import pytest

from actionbus.contracts.definitions import Effect
from actionbus.contracts.errors import Refused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.limiting import LimitPolicy
from actionbus.engine import history
from actionbus.engine.history import Due
from actionbus.engine.inputs import Admitted
from actionbus.engine.rebuild import rebuild
from actionbus.engine.replay import replay
from engine.graphs import (
    action,
    block,
    call,
    caught,
    cel,
    fallback,
    on,
    policy,
    put,
    ref,
    repeat,
    retry,
    step,
    wait,
    workflow,
)
from engine.play import Play, started
from histories.scenarios import SCENARIOS


def _lives(play):
    """The events of each life of the run, those that a later life's start removed included."""
    found = {event.incarnation: [] for event in play.events}
    for event in play.events:
        found[event.incarnation].append(event)
    return found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_events_of_a_run_give_its_history(scenario):
    """Rebuilt from its events, written and read again, every recorded scenario folds to the same events."""
    play = scenario()
    for events in _lives(play).values():
        told = rebuild(play.first, events, "rebuilt", {play.definition.version: play.definition})
        rebuilt = history.read(history.write(told).encode(), "rebuilt")
        assert [each.outcome["event"] for each in rebuilt.moments if each.outcome["event"]] == [
            history.plain(event) for event in events if event.version
        ]
        assert list(replay(rebuilt)) == []


def test_an_operators_doings_are_told_from_events():
    """Pauses, retries, steps by hand, moved timers and undos by hand are requests again, with their reasons."""
    nodes = step("a", undo="undo-a"), step("b"), wait("w", "go", timeout_ms=60_000)
    play = started(workflow(*nodes, undo_retry=policy(1)))
    play.pauses()
    play.succeeds("a", 1)
    play.resumes()
    play.completes("b", 2)
    play.moves("w", play.now + 1_000)
    play.passes(2_000)
    play.fails("a", "Stuck", undo=True)
    play.skips("a")
    rebuilt = rebuild(play.definition, play.events, "")
    assert list(replay(rebuilt)) == []
    assert len(rebuilt.moments) == len(play.inputs)


def test_a_loop_that_left_no_events_is_told_by_its_timers():
    """Turns that need nobody make no event and yield by timers: they are put back before the event that came of them."""
    done = cel("n >= 5000", n=ref("scope", "turns", "last"))
    turns = repeat("turns", put("n", ref("scope", "turns", "turn")), until=done)
    play = started(workflow(turns, step("after")))
    play.passes(60_000)
    play.succeeds("after")
    rebuilt = rebuild(play.definition, play.events, "")
    assert sum(each.outcome["event"] is None for each in rebuilt.moments) >= 1
    assert list(replay(rebuilt)) == []


def test_what_a_pause_held_back_silently_is_told():
    """A block's next attempt whose time comes in a pause makes no event; the resume lets it follow all the same."""
    again = caught(None, retry(2, initial_ms=1_000))
    play = started(workflow(block("b", step("a"), again)))
    play.fails("b[1]")
    play.pauses()
    play.passes(1_000)
    play.resumes()
    play.succeeds("b[2]")
    assert list(replay(rebuild(play.definition, play.events, ""))) == []


def test_an_attempt_that_took_too_long_had_begun():
    """The word that it has begun left no event; it is put back, or the timer would not be there."""
    play = started(workflow(step("slow", on(None, fallback("quick")), start_to_close_ms=10_000)))
    play.begins("slow")
    play.passes(10_000)
    play.succeeds("slow.quick")
    rebuilt = rebuild(play.definition, play.events, "")
    assert any(each.event == Due(kind="start_to_close", step="slow") for each in rebuilt.moments)
    assert list(replay(rebuilt)) == []


@pytest.mark.parametrize("began", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("silence_ms", [None, 5_000, 40_000])
def test_an_attempt_that_began_before_or_after_a_migration_had_begun(began, silence_ms):
    """Whatever time the version gave it under which it began, it took too long."""
    play = started(workflow(step("a", start_to_close_ms=30_000, retry=policy(2))))
    if began:
        play.begins("a")
    play.passes(10_000)
    other = workflow(step("a", start_to_close_ms=15_000, heartbeat_ms=silence_ms, retry=policy(2)), version="2")
    play.migrates(other)
    play.passes(1_000)
    (play.beats if began else play.begins)("a")
    play.passes(60_000)
    play.succeeds("a")
    assert EntryKind.STEP_TIMED_OUT in [entry.kind for event in play.events for entry in event.entries]
    assert list(replay(rebuild(play.first, play.events, "", {"2": other}))) == []


def test_what_a_sign_of_life_said_is_not_told():
    """It is in no event and changes none: only the command of the next attempt had it."""
    play = started(workflow(step("a", heartbeat_ms=5_000, retry=policy(2))))
    play.beats("a", {"page": 3})
    play.passes(7_000)
    play.succeeds("a")
    rebuilt = rebuild(play.definition, play.events, "")
    assert list(replay(rebuilt)) == []
    assert "page" not in history.write(rebuilt)
    assert play.executed()[1].heartbeat_details == b'{"page":3}'


def test_who_answered_is_told():
    """An answer by token is in no inbox, so the run keeps it for the undo, which here waits in a line of its own."""
    inbox = {"effect": Effect.TRANSACTIONAL}
    each_id = LimitPolicy(concurrency=1, key="input.id")
    actions = action("a", **inbox), action("u", limit=each_id, **inbox)
    for by_token, line in ((True, "for each input.id, here 7"), (False, "for each input.id")):
        play = started(workflow(step("a", undo=call("u", id=ref("made", "id"))), step("b"), actions=actions))
        play.succeeds("a", {"id": 7}, by_token=by_token)
        play.fails("b", retryable=False)
        assert play.last.event.entries[-1].reason.endswith(line)
        assert list(replay(rebuild(play.definition, play.events, ""))) == []


def test_a_version_that_is_gone_is_named():
    """A run that a later start gave another version needs that one as well."""
    play = Play(workflow(step("a")))
    play.starts(due_at=play.now + 1_000, if_exists="debounce")
    other = workflow(step("b"), version="2")
    play.starts(request_id="start-2", due_at=play.now + 1_000, if_exists="debounce", target=other)
    with pytest.raises(Refused, match="went over to version 2 of order, which is not deployed"):
        rebuild(play.first, play.events, "", {"1": play.first})
    assert list(replay(rebuild(play.first, play.events, "", {"2": other}))) == []


def test_a_turn_that_came_otherwise_is_shown():
    """Under an engine that says something else of it, the turn is still what the event is told to have come of."""
    play = started(workflow(step("a"), actions=[action("a", limit=LimitPolicy(concurrency=1))]))
    play.admits("a")
    changed = play.events[1].entries[0].replace(data=b'"otherwise"')
    rebuilt = rebuild(play.definition, [play.events[0], play.events[1].replace(entries=(changed,))], "")
    assert rebuilt.moments[-1].event == Admitted(path="a")
    (found,) = replay(rebuilt)
    assert found.recorded["entries"][0]["data"] == '"otherwise"'


def test_events_without_their_beginning_are_refused():
    """A history begins with its run."""
    play = started(workflow(step("a")))
    play.succeeds("a")
    with pytest.raises(Refused, match="version 1 of run r-1 is not there"):
        rebuild(play.definition, play.events[1:], "")


def test_an_event_of_a_newer_version_is_refused():
    """What this version does not know is not guessed at."""
    play = started(workflow(step("a")))
    strange = play.events[0].replace(version=2, entries=(play.events[0].entries[0].replace(kind=EntryKind.UNKNOWN),))
    with pytest.raises(Refused, match="nothing that this version"):
        rebuild(play.definition, [play.events[0], strange], "")


def test_what_was_changed_shows_under_another_definition():
    """Under a changed definition the events that come out otherwise are told, and only in what differs in them."""
    play = started(workflow(step("a"), step("b"), output=ref("steps", "b")))
    play.succeeds("a", 1)
    play.succeeds("b", 2)
    recorded = rebuild(play.definition, play.events, "")
    same = workflow(step("a"), step("b"), output=ref("steps", "b"), version="2")
    assert list(replay(recorded, same)) == []
    changed = workflow(step("a"), step("b"), output=[ref("steps", "b")], version="2")
    (found,) = replay(recorded, changed)
    assert (found.moment, found.what) == (3, "event")
    assert [entry["kind"] for entry in found.recorded["entries"]] == ["run_ended"]
    assert found.comes["entries"][0]["data"] == "[2]"


def test_a_step_that_is_gone_shows_as_events_that_do_not_come():
    """A result for a step that the other definition does not have changes nothing, and that is said."""
    play = started(workflow(step("a"), step("b")))
    play.succeeds("a")
    play.succeeds("b")
    found = list(replay(rebuild(play.definition, play.events, ""), workflow(step("a"), version="2")))
    assert [each.moment for each in found] == [2, 3]
    assert found[1].comes is None


def test_an_engine_that_breaks_is_told():
    """Where the engine refuses what it took before, that is the last difference."""
    play = started(workflow(step("a")))
    play.succeeds("a")
    recorded = rebuild(play.definition, play.events, "")
    broken = workflow(step("a"), version="2")
    broken.places.clear()
    (found,) = replay(recorded, broken)
    assert (found.moment, found.what) == (1, "engine")


def test_another_workflow_is_refused():
    """A history is compared with a definition of its own workflow."""
    play = started(workflow(step("a")))
    with pytest.raises(Refused, match="not of other"):
        list(replay(rebuild(play.definition, play.events, ""), workflow(step("a"), name="other")))


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"graph": {"name": "x"}}', b'{"graph": 1', b"\xff"])
def test_what_is_no_history_is_refused(data):
    """Whatever a file holds, the reader says that it is no history, and what makes one."""
    with pytest.raises(Refused, match=r"f\.json holds no history.*--export"):
        history.read(data, "f.json")


def test_the_format_knows_every_input():
    """A history names its inputs; one that nobody knows is refused."""
    play = started(workflow(step("a")))
    text = history.write(rebuild(play.definition, play.events, "")).replace('"start"', '"begin"')
    with pytest.raises(Refused, match="nobody knows an input"):
        history.read(text.encode(), "f.json")
