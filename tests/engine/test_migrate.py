"""A live run goes over to another version where everything in it means the same there, or stays, and says why."""

import pytest

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Effect
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.requests import RequestKind
from actionbus.contracts.run import RunStatus
from actionbus.engine.migrate import Refusal, migrate
from actionbus.engine.transition import Outcome
from engine.graphs import (
    PAUSE,
    action,
    block,
    call,
    caught,
    cel,
    child,
    each,
    emit,
    fallback,
    go_on_with,
    handle,
    on,
    parallel,
    person,
    policy,
    put,
    ref,
    repeat,
    retry,
    sequence,
    sequence_giving,
    show,
    sleep,
    step,
    throw,
    wait,
    workflow,
)
from engine.matchers import has_ended, sent, told
from engine.play import Play, started

A, B, C = step("a"), step("b"), step("c")


def new(*nodes, **fields):
    """The version to go over to."""
    return workflow(*nodes, version="2", **fields)


def stays(play, target, **names) -> str:
    """Why the run stays; it is as it was."""
    before = play.run
    made = play.migrates(target, **names)
    assert made.outcome is Outcome.REJECTED
    assert made.run is before
    return made.event.entries[0].reason


def goes(play, target, **names) -> None:
    """The run goes over: one event says so, and nothing else happens."""
    version = play.run.version
    made = play.migrates(target, **names)
    assert made.outcome is Outcome.APPLIED, told(made.event)
    assert [entry.kind for entry in made.event.entries] == ["request_accepted", "run_migrated"]
    assert made.event.definition_version == made.run.definition_version == target.version
    assert made.run.definition_hash == target.hash
    assert made.run.version == version + 1


def test_a_run_goes_on_under_the_other_version():
    """What comes after the step under way is carried out as the new version says."""
    play = started(workflow(A, B))
    goes(play, new(A, C, output=ref("steps", "c")))
    play.succeeds("a")
    play.succeeds("c", 3)
    has_ended(play, "COMPLETED")
    assert play.run.output == b"3"
    assert sent(play) == ["a/1", "c/1"]


def test_the_event_says_from_where_to_where_and_who_asked():
    """The entry names both versions and the map, and who asked."""
    play = started(workflow(put("x", 1), wait("w", "go")))
    goes(play, new(put("y", 1), wait("w", "go")), x="y")
    entry = play.last.event.entries[1]
    assert payloads.decode(entry.data) == {"from": "1", "to": "2", "map": {"x": "y"}}
    assert entry.reason == "ada: no reason was given"


def test_the_same_request_is_carried_out_once():
    """A migration that is asked again with its id is accepted again and changes nothing."""
    play = started(workflow(A))
    target = new(A)
    goes(play, target)
    request = play.inputs[-1][0]
    assert play.give(request).outcome is Outcome.REPEATED


@pytest.mark.parametrize(
    ("nodes", "names", "why"),
    [
        ((A,), {}, "version 2 has no step there: map it to one, as in b=NEW-ID"),
        ((A, sequence("s", B)), {}, "b is needed, and version 2 has no step there"),
        ((A, sleep("b", 1)), {}, "version 2 has no step there"),
        ((A, step("b", action="a")), {}, "b was sent to the action b, and version 2 has a there"),
        ((A, step("b", input={"x": 1})), {}, "b is under way with another input than version 2 gives it"),
        ((A, step("b", undo="u")), {}, "b is under way, and is undone in another way in version 2"),
        ((A, C, B), {}, "c comes before b in version 2, and was not carried out"),
        ((B, A), {}, "a is done, and comes after b in version 2"),
        ((A, step("d", action="b")), {"b": "d"}, "b cannot become d: its workers know it by its name"),
        ((A, B), {"x": "b"}, "the map names x, and version 1 has no such node"),
        ((A, B), {"b": "x"}, "the map names x, and version 2 has no such node"),
        ((A, B), {"a": "b"}, "would both be b: map each to a node of its own"),
    ],
)
def test_what_is_under_way_must_stand_where_it_stood(nodes, names, why):
    """A step keeps its place, action, input, undo and name; what is before it is done, and what is done before it."""
    play = started(workflow(A, B, C))
    play.succeeds("a")
    assert why in stays(play, new(*nodes), **names)


def test_what_is_done_may_go_and_what_is_to_come_may_change():
    """A finished step without an undo needs no place; a step that was not sent yet may be anything."""
    play = started(workflow(A, B, step("c", undo="u")))
    play.succeeds("a")
    goes(play, new(B, throw("c", "Changed"), sequence("d")))
    play.succeeds("b")
    has_ended(play, "FAILED")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        (new(B), "a is needed, and version 2 has no step there"),
        (new(step("a", action="b"), B), "a was sent to the action a, and version 2 has b there"),
        (new(A, B), "a needs the action u, which version 2 does not have"),
        (
            new(step("a", undo="u"), B, actions=[action("u", effect=Effect.HTTP)]),
            "a needs the action u as it was: in version 2 its effect is another one",
        ),
        (
            new(step("a", undo="u"), B, actions=[action("a", effect=Effect.AT_MOST_ONCE)]),
            "a needs the action a as it was",
        ),
    ],
)
def test_what_undoes_a_step_must_be_there(target, why):
    """A step that may have to be undone keeps its name, its action and that of its undo."""
    play = started(workflow(step("a", undo="u"), B))
    play.succeeds("a")
    assert why in stays(play, target)


def test_an_undo_stays_as_it_was_registered():
    """What will be undone is undone as the version said under which it was done."""
    play = started(workflow(step("a", undo=call("u", old=True)), B))
    play.succeeds("a")
    goes(play, new(step("a", undo=call("u", old=False)), B))
    play.fails("b")
    assert play.compensated()[0].input == b'{"old":true}'
    play.undoes("a")
    has_ended(play, "FAILED")


def test_a_run_that_is_being_undone_goes_over():
    """Undos under way and to come go on."""
    play = started(workflow(step("a", undo="u"), step("b", undo="u")))
    play.succeeds("a")
    play.fails("b")
    goes(play, new(step("a", undo="u"), step("b", undo="u"), C))
    play.undoes("b")
    play.undoes("a")
    has_ended(play, "FAILED")


def test_a_step_whose_input_could_not_be_made_is_mended():
    """A step that was never sent waits for an operator: under the new version it begins as that says."""
    wrong = step("a", on(None, PAUSE), input={"x": ref("input", "missing")})
    play = started(workflow(wrong), {"there": 1})
    play.migrates(new(step("a", on(None, PAUSE), action="b", input={"x": ref("input", "there")})))
    play.retries("a")
    assert play.executed()[0].action == "b"
    assert play.executed()[0].input == b'{"x":1}'


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ({}, {"output": ref("steps", "a")}, "version 2 reads what a gave, and that was not kept"),
        ({}, {"output": ref("input")}, "version 2 reads the run's input, and that was not kept"),
        (
            {"output": ref("input")},
            {"output": ref("input"), "input_schema": {"type": "string"}},
            'the run\'s input does not fit version 2: 7 is not of type "string"',
        ),
        (
            {"output": ref("steps", "a")},
            {"output": ref("steps", "a"), "actions": [action("a", output_schema={"type": "string"})]},
            'what a gave does not fit version 2: 1 is not of type "string"',
        ),
    ],
)
def test_what_is_read_must_be_there_and_fit(before, after, why):
    """Outputs that were made, and the run's input, have to be what the new version may read."""
    play = started(workflow(A, B, **before), 7)
    play.succeeds("a", 1)
    assert why in stays(play, new(A, B, **after))


def test_what_stood_in_for_a_step_is_checked_only_where_the_schema_changed():
    """A value that a rule gave need not fit the step's action, neither before nor after."""
    text = action("a", output_schema={"type": "string"})
    nodes = step("a", on(None, go_on_with(None))), B
    play = started(workflow(*nodes, actions=[text], output=ref("steps", "a")))
    play.fails("a")
    goes(play, new(*nodes, actions=[text], output=[ref("steps", "a")]))
    play.succeeds("b")
    assert play.run.output == b"[null]"


def test_what_nothing_reads_any_more_goes():
    """Outputs and the input that only the old version would have read are forgotten."""
    play = started(workflow(A, B, output=[ref("input"), ref("steps", "a")]), 7)
    play.succeeds("a", 1)
    goes(play, new(A, B))
    assert [each.path for each in play.run.steps] == ["b"]
    assert play.run.input is None


def test_what_only_finished_nodes_read_is_not_asked_for():
    """A reader that is done needs nothing any more, also where the new version lets it read more."""
    play = started(workflow(put("x", 1), A, B))
    play.succeeds("a")
    goes(play, new(put("x", 1), step("a", input={"x": ref("steps", "x")}), B))


def test_a_renamed_output_is_read_under_its_new_name():
    """What a finished node gave goes with it to its new id."""
    play = started(workflow(step("a"), B, output=ref("steps", "a")))
    play.succeeds("a", 1)
    goes(play, new(step("z", action="a"), B, output=[ref("steps", "z")]), a="z")
    play.succeeds("b")
    assert play.run.output == b"[1]"


def test_inner_outputs_count_as_well():
    """What stands inside a finished sequence or branch may be read from outside it, and must then be there."""
    play = started(workflow(sequence("s", put("x", 1)), parallel("p", A, B), output=ref("steps", "x")))
    play.succeeds("p.a", 2)
    assert "reads what s.y gave" in stays(
        play, new(sequence("s", put("y", 1)), parallel("p", A, B), output=ref("steps", "y"))
    )
    assert "reads what p.a gave" in stays(
        play, new(sequence("s", put("x", 1)), parallel("p", A, B), output=ref("steps", "a"))
    )
    goes(play, new(sequence("s", put("x", 1)), parallel("p", A, B), output=ref("steps", "b")))
    play.succeeds("p.b", 3)
    assert play.run.output == b"3"


def test_branches_keep_their_outputs_in_their_order():
    """Branches may change places; their outputs, and those that were lost, follow them."""
    branches = [step(f"n{number}", undo="u") for number in range(3)]
    play = started(workflow(parallel("p", *branches, enough=2), output=ref("steps", "p")))
    play.succeeds("p.n0", "zero")
    play.fails("p.n1")
    goes(play, new(parallel("p", *reversed(branches), enough=2), output=ref("steps", "p")))
    play.undoes("p.n1")
    play.succeeds("p.n2", "two")
    assert play.run.output == b'["two",null,"zero"]'


@pytest.mark.parametrize("other", [parallel("p", A), parallel("p", A, B, C), parallel("p", A, B, enough=1)])
def test_other_branches_would_never_be_enough(other):
    """A branch more would never begin, a branch less never count."""
    play = started(workflow(parallel("p", A, B)))
    assert "p is under way, and has other branches in version 2" in stays(play, new(other))


def test_items_of_a_list_go_on():
    """A list that is gone through keeps its place; how many at a time may change, and what its items gave stays."""
    play = started(workflow(each("m", ref("input"), A, concurrency=1), output=ref("steps", "m")), [1, 2, 3])
    play.succeeds("m[0]", 1)
    goes(play, new(each("m", ref("input"), A, concurrency=2), output=ref("steps", "m")))
    play.succeeds("m[1]", 2)
    play.succeeds("m[2]", 3)
    assert play.run.output == b"[1,2,3]"


def test_items_that_were_not_kept_cannot_be_read():
    """Where nothing read the list of outputs, those of the first items are gone."""
    play = started(workflow(each("m", ref("input"), A, concurrency=1)), [1, 2])
    reading = new(each("m", ref("input"), A, concurrency=1), output=ref("steps", "m"))
    play.migrates(reading)
    assert play.last.outcome is Outcome.APPLIED, "no item is done yet"
    play = started(workflow(each("m", ref("input"), A, concurrency=1)), [1, 2])
    play.succeeds("m[0]", 1)
    assert "reads what m gives, and what came so far was not kept" in stays(play, reading)


def test_a_loop_goes_on_in_its_turn():
    """A loop keeps its turn; a limit that is behind it would never be met."""
    play = started(workflow(repeat("r", A, limit=5), output=ref("steps", "r")))
    play.succeeds("r[0]", 1)
    play.succeeds("r[1]", 2)
    assert "r is in turn 3, and version 2 ends it at 2" in stays(play, new(repeat("r", A, limit=2)))
    goes(play, new(repeat("r", A, limit=3), output=ref("steps", "r")))
    play.succeeds("r[2]", 3)
    assert play.run.output == b"3"


def test_a_wait_goes_on_for_its_signal():
    """What is waited for stays the same; a time that was set stays set."""
    play = started(workflow(wait("w", "go", timeout_ms=1_000)))
    assert "w waits for the signal go, and in version 2 for stop" in stays(play, new(wait("w", "stop")))
    goes(play, new(wait("v", "go", timeout_ms=5_000, on_timeout=put("late", "late")), output=ref("steps", "v")), w="v")
    assert [timer.step for timer in play.run.timers] == ["v"]
    play.passes(1_000)
    assert play.run.output == b'"late"'


def test_a_signal_that_came_early_must_be_waited_for():
    """Nobody's word is lost: the new version takes it, or the run stays."""
    play = started(workflow(A, wait("w", "go")))
    play.signals("go", 1)
    assert "the signal go has come, and version 2 waits for none" in stays(play, new(A))
    text = wait("w", "go", payload_schema={"type": "string"})
    assert "the signal go has come, and does not fit version 2" in stays(play, new(A, text))
    goes(play, new(A, wait("v", "go")))


def test_a_block_goes_on_by_the_rule_that_decided():
    """Rules that have not decided may change; the one that has, and what always follows, stay what they are."""
    old = workflow(block("t", step("a", undo="u"), caught(None, handle(B)), always=C))
    play = started(old)
    play.migrates(new(block("t", step("a", undo="u"), caught(None, go_on_with(1)), always=C)))
    assert play.last.outcome is Outcome.APPLIED
    play = started(old)
    play.fails("t[1]")
    other = new(block("t", step("a", undo="u"), caught(None, go_on_with(1)), always=C))
    assert "t goes on by its rule 1, which is another one in version 2" in stays(play, other)
    play.undoes("t[1]")
    play.succeeds("t.b", 1)
    other = new(block("t", step("a", undo="u"), caught(None, handle(B)), always=step("d")))
    assert "t does what always follows, which is something else" in stays(play, other)
    goes(play, new(block("t", step("a", undo="u"), caught(None, handle(B)), always=C), output=ref("steps", "t")))
    play.succeeds("t.c")
    assert play.run.output == b"1"


def test_a_failed_step_goes_on_by_the_rule_that_decided():
    """While it is undone its rule stands; then the fallback is that of the version it is on."""
    play = started(workflow(step("a", on(None, fallback("f", x=1)), undo="u")))
    play.fails("a")
    assert "a goes on by its rule 1" in stays(play, new(step("a", on(None, fallback("f", x=2)), undo="u")))
    assert "a goes on by its rule 1" in stays(play, new(step("a", undo="u"), actions=[action("f")]))
    goes(play, new(step("a", on(None, fallback("f", x=1)), on("X", PAUSE), undo="u")))
    play.undoes("a")
    goes(play, workflow(step("a", on(None, fallback("f", x=1)), undo="u"), version="3"))
    play.succeeds("a.f", 1)
    has_ended(play, "COMPLETED")


def test_what_a_node_around_asked_to_undo_follows_it():
    """An undo that was asked for by what is around the step lets that go on."""
    nodes = [step("x", undo="u"), step("y")]
    play = started(workflow(parallel("p", *nodes, enough=1)))
    play.succeeds("p.y")
    goes(play, new(parallel("p", *nodes, enough=1), C))
    play.undoes("p.x")
    play.succeeds("c")
    has_ended(play, "COMPLETED")


def test_a_paused_run_may_get_a_node_before_the_next_one():
    """Nothing of a paused run's next node has begun: another one may come first, and the next one may go."""
    play = started(workflow(A, B, C))
    play.pauses()
    play.succeeds("a")
    goes(play, new(A, step("d"), C))
    play.resumes()
    play.succeeds("d")
    play.succeeds("c")
    has_ended(play, "COMPLETED")
    assert sent(play) == ["a/1", "d/1", "c/1"]


def test_a_paused_run_must_have_something_left_to_do():
    """Where the new version ends with what is done, there is nothing to resume."""
    play = started(workflow(A, B))
    play.pauses()
    play.succeeds("a")
    assert "version 2 has nothing left to do where b would come next" in stays(play, new(A))
    assert "a is done, and comes after" in stays(play, new(B, A))


def test_a_run_that_has_not_begun_goes_over():
    """A start for later waits under whatever version it is on."""
    play = Play(workflow(A, output=ref("input")))
    play.starts(7, due_at=play.now + 1_000)
    goes(play, new(B, output=[ref("input")]))
    play.passes(1_000)
    play.succeeds("b")
    assert play.run.output == b"[7]"


def test_timers_go_with_their_nodes():
    """The next attempt of a step and the time of a sleep come when they were to come."""
    play = started(workflow(parallel("p", step("a", retry=policy(3)), sleep("s", 5_000))))
    play.fails("p.a")
    goes(play, new(parallel("p", step("a", retry=policy(5)), sleep("t", 9_000))), s="t")
    play.passes(1_000)
    play.succeeds("p.a")
    play.passes(4_000)
    has_ended(play, "COMPLETED")


def test_a_loop_of_other_reads_keeps_a_step_under_way():
    """A step reads another node under its new id: that is the same input."""
    inner = sequence_giving("line", ref("steps", "b"), put("x", 1), step("b", input={"x": ref("steps", "x")}))
    outer = sequence_giving("line", ref("steps", "b"), put("y", 1), step("b", input={"x": ref("steps", "y")}))
    play = started(workflow(each("m", ref("input"), inner)), [1])
    assert "y comes before b" in stays(play, new(each("m", ref("input"), outer)))
    goes(play, new(each("m", ref("input"), outer)), x="y")
    play.succeeds("m[0].b")
    has_ended(play, "COMPLETED")


def test_an_ended_run_and_another_workflow_are_refused():
    """What has ended stays, a run is only moved to another version of its own workflow, and not to the one it is on."""
    play = started(workflow(A))
    assert "the run is on version 1 already" in stays(play, workflow(A, B))
    other = migrate(play.run, play.definition, workflow(A, name="other", version="2"), {})
    assert other == Refusal(reason="it is a run of order, not of other")
    play.succeeds("a")
    assert "the run has ended already" in stays(play, new(A))
    assert isinstance(migrate(play.run, play.definition, new(A), {}), Refusal)


def test_a_version_that_is_not_deployed_is_refused():
    """Without the definition at hand nothing is moved."""
    play = started(workflow(A))
    made = play.asks(RequestKind.MIGRATE, version="9")
    assert told(made.event) == ["request_rejected (version 9 of order is not deployed)"]


@pytest.mark.parametrize("payload", [b"[]", b'{"a":1}', b"no json", b'"a"'])
def test_a_map_that_is_none_is_refused(payload):
    """The map is an object of texts."""
    play = started(workflow(A))
    request = play.migrates(workflow(A)) and play.inputs[-1][0]
    request = type(request)(request=request.request.replace(request_id="m", payload=payload), target=new(A))
    assert "the map is refused" in play.give(request).event.entries[0].reason


def test_records_and_conditions_of_what_is_to_come_may_change():
    """Emits and loops that have not begun are read from the new version."""
    play = started(workflow(A, emit("e", "old")))
    goes(play, new(A, emit("e", "new"), repeat("r", put("x", 1), until=cel("true"))))
    play.succeeds("a")
    has_ended(play, "COMPLETED")
    assert [each.topic for each in play.emits] == ["new"]


def test_a_step_that_waits_for_an_operator_goes_over():
    """An incident stays open, and its step is tried again under the new version's rules."""
    play = started(workflow(step("a", on(None, PAUSE))))
    play.fails("a")
    goes(play, new(step("a", on(None, retry(2, initial_ms=0)), on(None, PAUSE))))
    assert play.run.incident.step == "a"
    play.retries("a")
    play.succeeds("a")
    has_ended(play, "COMPLETED")


CHILD = child("c", undo=call("uc", made=ref("made")))


def test_a_child_goes_on_and_its_end_is_heard():
    """What a run started runs on by itself; what it was given, and how long it is waited for, is past or to come."""
    play = started(workflow(CHILD, A, output=ref("steps", "c")))
    goes(play, new(child("c", input=7, give_up="leave", undo=CHILD.undo), B, output=[ref("steps", "c")]))
    play.hears("c", RunStatus.COMPLETED, output=1)
    play.succeeds("b")
    assert play.run.output == b"[1]"


@pytest.mark.parametrize(
    ("other", "names", "why"),
    [
        ((child("c", "third", undo=CHILD.undo),), {}, "c waits for a run of other, and in version 2 for one of third"),
        ((child("c", wait=False, undo=CHILD.undo),), {}, "c waits for the end or the beginning of a run"),
        ((child("c"),), {}, "c is under way, and is undone in another way"),
        ((child("d", undo=CHILD.undo),), {"c": "d"}, "c cannot become d: the run that it started knows it by its name"),
        ((step("c"),), {}, "c is needed, and version 2 has no child there"),
    ],
)
@pytest.mark.parametrize("cancelled", [False, True], ids=["waited for", "has to end"])
def test_a_child_must_be_waited_for_as_it_was(other, names, why, cancelled):
    """It tells the node at the path that started it, for which it is a run of that workflow, also when it is given up."""
    play = started(workflow(CHILD))
    if cancelled:
        play.cancels()
    assert why in stays(play, new(*other), **names)


def test_a_child_that_has_to_end_is_heard_under_the_other_version():
    """It had completed before it could be cancelled, so it is undone, as any step is whose undo is under way."""
    play = started(workflow(CHILD))
    play.cancels()
    goes(play, new(CHILD, A))
    play.hears("c", RunStatus.COMPLETED, output=1)
    assert play.compensated()[0].input == b'{"made":1}'
    effect = action("uc", effect=Effect.HTTP)
    assert "c needs the action uc as it was" in stays(play, workflow(CHILD, actions=[effect], version="3"))
    goes(play, workflow(CHILD, version="3"))
    play.undoes("c")
    has_ended(play, "CANCELLED")


def test_what_undoes_a_completed_child_must_be_there():
    """Its undo is registered like that of a step."""
    play = started(workflow(CHILD, A))
    play.hears("c", RunStatus.COMPLETED, output=1)
    gone = new(child("c"), A)
    assert "c needs the action uc, which version 2 does not have" in stays(play, gone)
    goes(play, new(CHILD, A, B))
    play.fails("a")
    play.undoes("c")
    has_ended(play, "FAILED")


ASK = {"payload_schema": {"type": "boolean"}, "remind_after_ms": [10], "due_ms": 20, "timeout_ms": 30}


def test_somebody_who_was_asked_is_waited_for():
    """The task stays with whoever has it, and its times go on; what reminds may change."""
    play = started(workflow(person("ok", assignee="ann", **ASK)))
    play.passes(10)
    play.asks(RequestKind.ASSIGN_TASK, step="ok", value="bob")
    mail = step("mail", input={"to": ref("scope", "yes", "assignee")})
    asks = person("yes", signal="ok", assignee="ann", on_reminder=mail, **ASK)
    goes(play, new(asks, output=ref("steps", "yes")), ok="yes")
    play.passes(10)
    assert play.step("yes[1]").input == b'{"to":"bob"}'
    play.signals("ok", value=True)
    assert play.run.output == b"true"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"signal": "no"}, "ok waits for the signal ok, and in version 2 for no"),
        ({"title": "do that"}, "ok asks somebody for something, and for something else in version 2"),
        ({"payload_schema": {"type": "string"}}, "ok asks somebody for something, and for something else"),
        ({"remind_after_ms": [5, 10]}, "ok reminds or ends at other times in version 2"),
        ({"timeout_ms": None}, "ok reminds or ends at other times in version 2"),
    ],
)
def test_a_person_must_be_asked_for_what_they_were_asked(changed, why):
    """The same form under the same title, at the same times."""
    play = started(workflow(person("ok", **ASK)))
    assert why in stays(play, new(person("ok", **{**ASK, **changed})))


def test_a_reminder_under_way_must_be_there():
    """What reminds is a node like any other."""
    play = started(workflow(person("ok", on_reminder=step("mail"), **ASK)))
    play.passes(10)
    assert "ok[0] is needed, and version 2 has no step there" in stays(play, new(person("ok", **ASK)))


def test_an_update_is_answered_as_the_version_says_that_takes_it():
    """Who waits for an answer hears one; who was told that a signal is accepted does not lose it to a new condition."""
    answering = wait("w", "go", answer={"$literal": 2})
    play = started(workflow(A, wait("w", "go", answer={"$literal": 1})))
    play.signals("go", request_id="update-1")
    goes(play, new(A, answering))
    play.succeeds("a")
    assert [each.data for each in play.last.event.entries if each.request_id == "update-1"] == [b"2"]
    play = started(workflow(A, wait("w", "go")))
    play.signals("go")
    assert "the signal go was accepted, and version 2 asks whether it is" in stays(play, new(A, answering))


def _limited(key=None, **fields):
    return action("a", limit=LimitPolicy(concurrency=1, key=key), **fields)


@pytest.mark.parametrize("first", [True, False], ids=["first", "again"])
def test_a_step_that_waits_for_its_turn_keeps_its_place(first):
    """How many may run at a time can change; a place that nobody counts would never come to its turn."""
    play = started(workflow(step("a", retry=policy(2, initial_ms=0)), actions=[_limited()]))
    if not first:
        play.admits("a")
        play.fails("a")
    nodes = (step("a", retry=policy(9)), B)
    why = "a needs the limit of the action a as it was: in version 2 it counts otherwise"
    assert why in stays(play, new(*nodes))
    assert why in stays(play, new(*nodes, actions=[_limited("input.x")]))
    goes(play, new(*nodes, actions=[action("a", limit=LimitPolicy(rate=9))]))
    play.admits("a")
    play.succeeds("a")
    play.succeeds("b")
    has_ended(play, "COMPLETED")


def test_a_step_that_began_without_a_limit_would_not_be_counted():
    """A limit that comes later says nothing of what is out."""
    play = started(workflow(A))
    assert "a needs the limit of the action a as it was" in stays(play, new(A, actions=[_limited()]))


def test_a_step_that_was_never_sent_may_get_another_name_and_undo():
    """No worker has heard of it, so only its input, made already, has to be what the new version gives it."""
    play = started(workflow(A, actions=[_limited()]))
    other = step("z", action="a", input={"x": 1})
    assert "a is under way with another input" in stays(play, new(other, actions=[_limited()]), a="z")
    assert "a was sent to the action a, and version 2 has b there" in stays(play, new(step("a", action="b")))
    goes(play, new(step("z", action="a", undo="u"), B, actions=[_limited()]), a="z")
    play.admits("z")
    play.succeeds("z")
    play.fails("b")
    assert sent(play) == ["z/1", "b/1", "z/undo/1"]


def test_an_undo_that_waits_for_its_turn_keeps_its_place():
    """As a step does."""
    undo = action("u", limit=LimitPolicy(concurrency=1))
    play = started(workflow(step("a", undo="u"), B, actions=[undo]))
    play.succeeds("a")
    play.fails("b")
    assert "a needs the limit of the action u as it was" in stays(play, new(step("a", undo="u"), B))
    goes(play, new(step("a", undo="u"), B, actions=[undo]))
    play.admits("a")
    play.undoes("a")
    has_ended(play, "FAILED")


@pytest.mark.parametrize("later", [0, 1_000])
def test_a_run_that_waits_for_its_turn_keeps_its_place(later):
    """Also one that will wait for it from a later time on."""
    few = LimitPolicy(concurrency=1)
    play = Play(workflow(A, limit=few))
    play.starts(due_at=play.now + later)
    assert "the limit of its workflow counts otherwise in version 2" in stays(play, new(B))
    goes(play, new(B, limit=few))
    play.passes(1_000)
    play.admits("")
    play.succeeds("b")
    has_ended(play, "COMPLETED")


def test_a_run_whose_turn_has_come_may_lose_its_limit():
    """It needs no place any more."""
    play = started(workflow(A, limit=LimitPolicy(concurrency=1)))
    play.admits("")
    goes(play, new(A))


def test_an_answer_that_was_left_to_others_comes_under_the_other_version():
    """The token is of the attempt, which goes over with its step; an undo reads what it gave."""
    undone = call("u", id=ref("made", "id"))
    play = started(workflow(step("a", undo=undone)))
    play.defers("a")
    goes(play, new(step("a", undo=undone), B))
    play.succeeds("a", {"id": 7}, by_token=True)
    play.fails("b")
    assert play.compensated()[0].input == b'{"id":7}'
    play.defers("a", undo=True)
    goes(play, workflow(step("a", undo=undone), B, C, version="3"))
    play.undoes("a")
    has_ended(play, "FAILED")


def test_what_a_run_shows_stays():
    """Until a node of the new version shows something else under that name."""
    play = started(workflow(show("s", "stage", "one"), A))
    goes(play, new(show("s", "stage", "other"), A, show("t", "stage", "two")))
    assert play.run.views == {"stage": b'"one"'}
    play.succeeds("a")
    assert play.run.views == {"stage": b'"two"'}
