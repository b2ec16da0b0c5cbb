"""Workflows: what is written becomes the graph, and what cannot be run is refused with its line."""

import json
from pathlib import Path
from typing import Any

import pytest
from app import (
    Mail,
    Receipt,
    Signup,
    User,
    apologise,
    count,
    create_user,
    delete_user,
    graph_of,
    queue_letter,
    ref,
    send_mail,
    step_of,
    take,
    take_back,
    update_user,
)

from actionbus import DefinitionRefused, Flow, PayloadRefused, Retry, action, rule, workflow
from actionbus.contracts.decisions import Call, Compensate, ContinueWith, Fail, Fallback, RetryPolicy, Rule
from actionbus.contracts.decisions import Retry as RetryRule
from actionbus.contracts.definitions import read_graph
from actionbus.contracts.nodes import EmitNode, StepNode

HERE = Path(__file__).name


@workflow(id="user-signup", version="1", timeout="1h")
def user_signup(flow: Flow, signup: Signup) -> Receipt:
    """Signs a user up."""
    user = flow.run(create_user(email=signup.email, name=signup.name), undo=lambda made: delete_user(user_id=made.id))
    mail = flow.run(
        send_mail(email=user.email),
        on_failure=[rule("MailboxFull").fallback(queue_letter(user_id=user.id)), rule.any.compensate()],
        retry=Retry(attempts=2),
        timeout="5s",
        heartbeat="2s",
        schedule_to_close="1m",
    )
    flow.emit("signups", key=user.id, value={"user": user, "new": True})
    return flow.output(Receipt, user_id=user.id, message_id=mail.message_id)


def test_a_workflow_becomes_the_graph_that_is_written():
    """Steps, undo, rules, limits, emit and output stand in the graph, in order."""
    graph = user_signup.graph
    assert (graph.name, graph.version, graph.description) == ("user-signup", "1", "Signs a user up.")
    assert graph.run_timeout_ms == 3_600_000
    assert graph.root.nodes == (
        StepNode(
            id="create-user",
            call=Call(action="create-user", input={"email": ref("input", "email"), "name": ref("input", "name")}),
            undo=Call(action="delete-user", input={"user_id": ref("made", "id")}),
        ),
        StepNode(
            id="send-mail",
            call=Call(action="send-mail", input={"email": ref("steps", "create-user", "email")}),
            retry=RetryPolicy(attempts=2),
            rules=(
                Rule(
                    error_type="MailboxFull",
                    then=Fallback(
                        call=Call(action="queue-letter", input={"user_id": ref("steps", "create-user", "id")})
                    ),
                ),
                Rule(then=Compensate()),
            ),
            start_to_close_ms=5_000,
            schedule_to_close_ms=60_000,
            heartbeat_ms=2_000,
        ),
        EmitNode(
            id="emit-signups",
            topic="signups",
            key=ref("steps", "create-user", "id"),
            value={"user": ref("steps", "create-user"), "new": True},
        ),
    )
    assert graph.output == {
        "user_id": ref("steps", "create-user", "id"),
        "message_id": ref("steps", "send-mail", "message_id"),
        "kind": "new",
    }
    assert set(graph.actions) == {"create-user", "delete-user", "send-mail", "queue-letter"}
    assert set(user_signup.actions) == set(graph.actions)


def test_a_graph_survives_being_written_and_read():
    """The canonical form is the graph, and the same workflow gives the same hash every time it is read."""
    assert read_graph(user_signup.graph.canonical()) == user_signup.graph
    again = workflow(id="user-signup", version="1", timeout="1h")(user_signup.function)
    assert again.graph.hash == user_signup.graph.hash


def test_a_workflow_is_read_once():
    """However often the graph is asked for, the function runs one time, and never at declaration."""
    readings: list[int] = []

    @workflow(id="once", version="1")
    def once(_: Flow) -> None:
        readings.append(1)

    assert readings == []
    _ = once.graph, once.graph, once.actions
    assert readings == [1]


def test_inputs_and_outputs_are_written_and_read_by_their_types():
    """The client writes the input with the workflow's own type, and reads the output back."""
    assert user_signup.render_input(Signup(email="a@b")) == b'{"email":"a@b","name":"you"}'
    with pytest.raises(PayloadRefused, match="email"):
        user_signup.render_input({"email": 3})
    assert user_signup.read_output(b'{"user_id":"1","message_id":"m"}') == Receipt(user_id="1", message_id="m")
    with pytest.raises(PayloadRefused, match="user-signup"):
        user_signup.read_output(b"{}")


def test_every_field_of_an_input_is_required_of_whoever_starts_a_run():
    """Nothing fills in the defaults of a model before steps refer to its fields."""
    assert user_signup.graph.input_schema["required"] == ["email", "name"]


def test_a_workflow_may_take_nothing_and_give_nothing():
    """The input is then null, and so is the output."""

    @workflow(id="tick", version="1")
    def tick(flow: Flow) -> None:
        flow.run(count([1]))

    assert (tick.graph.input_schema, tick.graph.output) == ({"type": "null"}, None)
    assert tick.render_input(None) == b"null"


def test_values_and_references_mix_in_arguments():
    """Lists, dictionaries, dataclasses and built models may hold references; the rest becomes JSON, defaults too."""

    def body(flow: Flow, signup: Any) -> None:
        mails = [Mail(message_id=signup.name)]
        flow.run(update_user(flow.output(User, id="1", email=signup.email, address={"street": "x"}, mails=mails)))

    assert step_of(body).call.input == {
        "user": {
            "id": "1",
            "email": ref("input", "email"),
            "nickname": None,
            "givenName": "",
            "secret": "",
            "address": {"street": "x"},
            "mails": [{"message_id": ref("input", "name"), "copies": 1}],
            "scores": {},
            "size": [1, 2],
            "tags": [],
            "pair": [1, ""],
            "anything": None,
        }
    }


def test_a_built_model_names_the_default_that_is_made_at_run_time():
    """A default factory cannot run before the run: the field has to be given."""
    with pytest.raises(DefinitionRefused, match=r"flow.output\(User\): it needs address"):
        graph_of(lambda flow, signup: flow.run(update_user(flow.output(User, id="1", email=signup.email))))


def test_a_value_that_looks_like_a_reference_stays_a_value():
    """Data is never taken for a reference."""
    step = step_of(lambda flow, _: flow.run(take({"$ref": ["input", "email"]})))
    assert step.call.input == {"value": {"$literal": {"$ref": ["input", "email"]}}}


def test_a_default_of_an_action_is_left_to_the_action():
    """An argument that is not given stands nowhere in the graph."""
    assert step_of(lambda flow, signup: flow.run(send_mail(signup.email))).call.input == {
        "email": ref("input", "email")
    }


def test_a_second_use_of_an_action_needs_an_id():
    """The error says where the first one is and how to name the second."""
    with pytest.raises(DefinitionRefused, match=r'id="..."') as refused:
        graph_of(lambda flow, signup: (flow.run(send_mail(signup.email)), flow.run(send_mail(signup.email))))
    assert str(refused.value).count(HERE) >= 2
    graph = graph_of(lambda flow, s: (flow.run(send_mail(s.email)), flow.run(send_mail(s.email), id="second"), None)[2])
    assert [node.id for node in graph.root.nodes] == ["send-mail", "second"]


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        (lambda: rule.any.retry(Retry(attempts=9)), RetryRule(policy=RetryPolicy(attempts=9))),
        (rule.any.retry, RetryRule(policy=RetryPolicy())),
        (rule.any.compensate, Compensate()),
        (rule.any.fail, Fail()),
        (lambda: rule.any.continue_with(Mail("x")), ContinueWith(value={"message_id": "x", "copies": 1})),
        (
            lambda: rule.any.fallback(queue_letter("1")),
            Fallback(call=Call(action="queue-letter", input={"user_id": "1"})),
        ),
        (
            lambda: rule.any.fallback(lambda failure: queue_letter("1", why=failure.message)),
            Fallback(call=Call(action="queue-letter", input={"user_id": "1", "why": ref("error", "message")})),
        ),
    ],
)
def test_every_decision_has_its_words(then, expected):
    """Retry, fallback, continue, compensate and fail stand in the graph as they were written."""
    step = step_of(lambda flow, signup: flow.run(send_mail(signup.email), on_failure=[then()]))
    assert step.rules == (Rule(then=expected),)


def test_a_rule_may_name_the_class_of_an_exception():
    """The type of a failure is the name of its class."""
    step = step_of(lambda flow, s: flow.run(send_mail(s.email), on_failure=[rule(ConnectionError).fail()]))
    assert step.rules[0].error_type == "ConnectionError"


def test_an_undo_of_a_transactional_step_reads_what_the_step_made():
    """The inbox row knows the output, so its fields are as sure as their types."""
    step = step_of(lambda flow, s: flow.run(create_user(s.email), undo=lambda made: delete_user(made.id)))
    assert step.undo == Call(action="delete-user", input={"user_id": ref("made", "id")})


def test_an_undo_of_any_other_step_must_accept_that_nothing_was_seen():
    """A step that timed out may have happened: its undo is called with None, and must take it."""
    with pytest.raises(DefinitionRefused, match=r"let the parameter accept None \(str \| None\)"):
        graph_of(lambda flow, s: flow.run(send_mail(s.email), undo=lambda made: take_back(made.message_id)))
    step = step_of(lambda flow, s: flow.run(send_mail(s.email), undo=lambda made: apologise(made.message_id)))
    assert step.undo == Call(action="apologise", input={"message_id": ref("made", "message_id")})


@action(id="local-undo")
def local_undo(user_id: str) -> None:
    """Undoes nothing in any database."""


@action(id="other-store", effect="transactional", store="other")
async def other_store(user_id: str) -> None:
    """Undoes in another database."""


@action(id="create-user")
def another_create_user(email: str) -> User:
    """Another action with a taken id."""
    return User(id="2", email=email)


MISTAKES: dict[str, tuple[Any, str]] = {
    "wrong value": (lambda f, _: f.run(create_user(email=3)), r"create-user\(email=\): this is no str"),
    "wrong reference": (lambda f, s: f.run(create_user(email=s)), r"str is expected, Signup is given"),
    "wrong item": (lambda f, s: f.run(count([1, s.email])), r"\[1\]: int is expected, str is given"),
    "wrong nested": (lambda f, _: f.run(count([], by={"a": [1]})), r"by=\).*a\.0"),
    "wrong nested reference": (lambda f, s: f.run(count([], by={"a": s.email})), r"a: list\[str\] is expected"),
    "optional": (
        lambda f, s: f.run(send_mail(f.run(create_user(s.email)).nickname)),
        r"str is expected, str \| None is given",
    ),
    "forgotten run": (lambda _, s: (send_mail(s.email), 1)[1], r"send-mail\(\.\.\.\) is never run"),
    "call as argument": (lambda f, s: f.run(take(send_mail(s.email))), "is a call, not its result"),
    "no call": (lambda f, s: f.run(s), "takes a call of an action"),
    "bad id": (lambda f, _: f.run(take(1), id="Bad Id"), "a-z 0-9 -"),
    "an undo that is called": (
        lambda f, _: f.run(take(1), undo=take(2)),
        "is a call already: write undo=lambda made: take",
    ),
    "no undo call": (lambda f, _: f.run(take(1), undo=lambda _: None), "must give a call"),
    "undo by name": (
        lambda f, s: [user := f.run(create_user(s.email), undo=lambda _: delete_user(user.id))],
        "from its parameter",
    ),
    "undo elsewhere": (lambda f, s: f.run(create_user(s.email), undo=lambda m: local_undo(m.id)), "same store"),
    "undo in another store": (
        lambda f, s: f.run(create_user(s.email), undo=lambda m: other_store(m.id)),
        'store="default"',
    ),
    "fallback type": (
        lambda f, s: f.run(send_mail(s.email), on_failure=[rule.any.fallback(create_user(s.email))]),
        "create-user cannot stand in for send-mail: Mail needs the field message_id",
    ),
    "continue type": (
        lambda f, s: f.run(send_mail(s.email), on_failure=[rule.any.continue_with("sent")]),
        "continue_with: this is no Mail",
    ),
    "continue reference": (
        lambda f, s: f.run(send_mail(s.email), on_failure=[rule.any.continue_with(Mail(s.email))]),
        "only a constant",
    ),
    "two actions": (
        lambda f, s: (f.run(create_user(s.email)), f.run(another_create_user(s.email), id="other")),
        "two actions have the id create-user",
    ),
    "zero timeout": (lambda f, _: f.run(take(1), timeout=0), "timeout of nothing"),
    "short heartbeat": (lambda f, _: f.run(take(1), heartbeat="0.5s"), "use 1000 ms or more"),
    "bad topic": (lambda f, _: f.emit("a topic"), "topic"),
    "emit twice": (lambda f, _: (f.emit("t"), f.emit("t")), "there is a step emit-t already"),
    "number key": (lambda f, s: f.run(take({1: s.email})), "JSON has no other keys"),
    "reserved key": (lambda f, s: f.run(take({"$ref": s.email})), "a meaning of its own"),
    "output field": (
        lambda f, s: f.output(Receipt, nobody=s.email),
        r"flow.output\(Receipt\): Receipt has no field nobody",
    ),
    "output type": (lambda f, s: f.output(Receipt, user_id=s, message_id=""), "str is expected, Signup is given"),
    "output missing": (lambda f, s: f.output(Receipt, user_id=s.email), r"flow.output\(Receipt\): it needs message_id"),
    "model of references": (lambda _, s: Receipt(user_id=s.email, message_id=""), "flow.output"),
    "name error": (lambda _, __: undefined, "name 'undefined' is not defined"),  # noqa: F821 - the mistake under test
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_its_line(name):
    """File, line and source of the mistake come first, then what is wrong."""
    body, says = MISTAKES[name]
    with pytest.raises(DefinitionRefused, match=says) as refused:
        graph_of(body)
    assert f"{HERE}:" in str(refused.value)


def test_a_result_that_does_not_fit_the_declared_type_is_refused():
    """What a workflow returns is checked like any argument."""
    with pytest.raises(DefinitionRefused, match="what workflow w returns: Receipt needs the field user_id"):
        graph_of(lambda _, signup: signup, gives=Receipt)


async def asynchronous(flow: Flow, signup: Signup) -> None: ...


def untyped(flow: Flow, signup) -> None: ...


def silent(flow: Flow, signup: Signup): ...


def greedy(flow: Flow, one: int, two: int) -> None: ...


def unheard(flow: Flow, one: "Unheard") -> None: ...  # noqa: F821 - the mistake under test


def fine(flow: Flow) -> None: ...


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (asynchronous, {}, "read, not run"),
        (untyped, {}, "signup has no type"),
        (silent, {}, "-> None"),
        (greedy, {}, "takes 3 parameters"),
        (unheard, {}, "Unheard"),
        (fine, {"id": "User Signup"}, "a-z 0-9 -"),
        (fine, {"version": "one two"}, "version"),
        (fine, {"timeout": "soon"}, "soon"),
    ],
)
def test_a_function_that_is_no_workflow_is_refused_at_its_declaration(function, options, says):
    """Nothing has to be run or deployed to find out."""
    with pytest.raises(DefinitionRefused, match=says) as refused:
        workflow(**{"id": "w", "version": "1"} | options)(function)
    assert f"{HERE}:" in str(refused.value)


def test_a_mistake_that_only_the_whole_graph_shows_is_refused_too():
    """The graph is checked as a deployer checks it, limits included."""

    def body(flow: Flow, _: Any) -> None:
        flow.run(take("x" * 600_000))

    with pytest.raises(DefinitionRefused, match="keep data out of it"):
        graph_of(body)


def test_the_graph_is_plain_json():
    """Nothing in it needs Python."""
    assert json.loads(user_signup.graph.canonical())["root"]["nodes"][0]["call"]["action"] == "create-user"
