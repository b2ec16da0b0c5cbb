"""References: what a workflow may name, and what it may not do."""

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from app import Mail, Receipt, Signup, Size, Tags, User, create_user, graph_of, ref, send_mail, step_of, take

from actionbus import DefinitionRefused
from actionbus.contracts import payloads, templates

HERE = Path(__file__).name


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (lambda user: user, []),
        (lambda user: user.email, ["email"]),
        (lambda user: user.nickname, ["nickname"]),
        (lambda user: user.given_name, ["givenName"]),
        (lambda user: user.label, ["label"]),
        (lambda user: user.address["street"], ["address", "street"]),
        (lambda user: user.mails[0].message_id, ["mails", 0, "message_id"]),
        (lambda user: user.scores["math"], ["scores", "math"]),
        (lambda user: user.size.height, ["size", 1]),
        (lambda user: user.tags.root[2], ["tags", 2]),
        (lambda user: user.pair[1], ["pair", 1]),
        (lambda user: user.anything.goes["here"][0], ["anything", "goes", "here", 0]),
    ],
)
def test_a_part_of_a_value_is_named_as_in_python_and_found_by_its_place_in_the_json(part, path):
    """Fields, keys, items, aliases, computed fields and named tuples lead to the path in what is really written."""
    step = step_of(lambda flow, _: flow.run(take(part(flow.run(create_user("a"))))))
    assert step.call.input == {"value": ref("steps", "create-user", *path)}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (lambda user: user.given_name, "Ann"),
        (lambda user: user.label, "1 a@b"),
        (lambda user: user.address["street"], "Main St"),
        (lambda user: user.mails[0].copies, 2),
        (lambda user: user.size.height, 4),
        (lambda user: user.tags.root[1], "y"),
        (lambda user: user.pair[0], 1),
        (lambda user: user.anything["deep"][0], True),
    ],
)
def test_a_reference_finds_its_value_in_what_the_action_writes(part, expected):
    """The path leads to the value in the JSON that the action really gives."""
    user = User(
        id="1",
        email="a@b",
        given_name="Ann",
        address={"street": "Main St"},
        mails=[Mail(message_id="m", copies=2)],
        size=Size(3, 4),
        tags=Tags(["x", "y"]),
        anything={"deep": [True]},
    )
    step = step_of(lambda flow, _: flow.run(take(part(flow.run(create_user("a"))))))
    written = payloads.decode(create_user.render(user))
    assert templates.fill(step.call.input, {"steps": {"create-user": written}}) == {"value": expected}


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (lambda user: user.emial, "steps.create-user.emial: User has no field emial; it has id, email, nickname"),
        (lambda user: user.email.upper, "str has no field upper: what is computed belongs into an action"),
        (lambda user: user.model_dump(), "no field model_dump"),
        (lambda user: user.secret, "not written out"),
        (lambda user: user.nickname.upper, "it may be None"),
        (lambda user: user.nickname[0], "it may be None"),
        (lambda user: user.address.street, r"has keys, not fields: write \['street'\]"),
        (lambda user: user.address["town"], r"no item \['town'\]; it has street, zip"),
        (lambda user: user.address["zip"], r"may be without \['zip'\]"),
        (lambda user: user["email"], "write .id for a field"),
        (lambda user: user.mails.first, "has no field first"),
        (lambda user: user.mails[-1], "counted from the front"),
        (lambda user: user.mails["x"], r"no item \['x'\]"),
        (lambda user: user.mails[0:1], "named by a text or a number"),
        (lambda user: user.pair[2], r"no item \[2\]"),
        (lambda user: user.scores[user.email], "named by a text or a number"),
    ],
)
def test_a_part_that_is_not_there_is_refused_with_its_line_and_what_there_is(part, says):
    """A misspelt field names the fields that exist; a part that may be missing says so."""

    def body(flow: Any, _: Any) -> Any:
        return flow.run(take(part(flow.run(create_user("a")))))

    with pytest.raises(DefinitionRefused, match=says) as refused:
        graph_of(body)
    assert f"{HERE}:" in str(refused.value)
    assert "lambda user:" in str(refused.value)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "if": (lambda value: 1 if value else 2, "cannot be a condition"),
    "not": (lambda value: not value, "cannot be a condition"),
    "and": (lambda value: value and 1, "cannot be a condition"),
    "or": (lambda value: value or 1, "cannot be a condition"),
    "==": (lambda value: value == "a", "cannot be compared"),
    "!=": (lambda value: value != "a", "cannot be compared"),
    "<": (lambda value: value < "a", "cannot be compared"),
    ">=": (lambda value: value >= "a", "cannot be compared"),
    "in": (lambda value: "a" in value, "cannot be searched"),
    "in a list": (["a", "b"].index, "cannot be compared"),
    "len": (len, "has no length"),
    "for": (list, "cannot be looped over"),
    "unpacking": (lambda value: [*value], "cannot be looped over"),
    "**": (lambda value: {**value}, "no field keys"),
    "str": (str, "cannot become text"),
    "f-string": (lambda value: f"{value}", "cannot become text"),
    "format": ("{}".format, "cannot become text"),
    "%": (lambda value: "%s" % value, "cannot become text"),  # noqa: UP031 - the operator under test
    "+": (lambda value: value + "a", "cannot be calculated"),
    "reversed +": (lambda value: "a" + value, "cannot be calculated"),
    "*": (lambda value: value * 2, "cannot be calculated"),
    "-": (operator.neg, "cannot be calculated"),
    "|": (lambda value: value | 1, "cannot be calculated"),
    "int": (int, "cannot become a number"),
    "float": (float, "cannot become a number"),
    "round": (round, "cannot become a number"),
    "index": (lambda value: [1, 2][value], "cannot become a number"),
    "key": (lambda value: {value: 1}, "key of a dictionary"),
    "call": (operator.call, "cannot be called"),
    "assignment": (lambda value: setattr(value, "x", 1), "values do not change"),
    "item assignment": (lambda value: operator.setitem(value, 0, 1), "cannot be changed"),
    "deletion": (lambda value: operator.delitem(value, 0), "cannot be changed"),
    "next": (next, "cannot be looped over"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_needs_the_value_itself_is_refused_with_its_line(name):
    """Conditions, comparisons, loops, text and arithmetic would be decided before any run exists."""
    use, says = REFUSED[name]
    with pytest.raises(DefinitionRefused, match=says) as refused:
        graph_of(lambda _, signup: use(signup.email))
    assert f"{HERE}:" in str(refused.value)


def test_an_awaited_reference_says_that_a_workflow_is_not_async():
    """``await flow.run(...)`` is what people write who know other products."""

    def body(flow: Any, signup: Any) -> None:
        flow.run(send_mail(signup.email)).__await__()

    with pytest.raises(DefinitionRefused, match="a workflow function is not async"):
        graph_of(body)


def test_the_message_shows_the_line_and_what_to_do_instead():
    """The whole text of one refusal, as a user sees it."""

    def body(_: Any, signup: Signup) -> None:
        if signup.email == "root@localhost":
            pass

    with pytest.raises(DefinitionRefused) as refused:
        graph_of(body)
    line = body.__code__.co_firstlineno + 1
    assert str(refused.value).split(f"{HERE}:")[1] == (
        f"{line}: input.email (str) cannot be compared: there is no value yet, a workflow is read before any run; "
        'compare it with cel("value > 1", value=...)\n'
        '    if signup.email == "root@localhost":'
    )


def test_a_debugger_may_look_at_a_reference():
    """``repr`` says where it points and what is there."""
    seen: list[str] = []
    graph_of(lambda _, signup: seen.append(repr(signup.email)))
    assert seen == ["<reference input.email: str>"]


def test_a_reference_of_another_workflow_is_refused():
    """A reference that was kept from one workflow means nothing in the next."""
    kept: list[Any] = []
    graph_of(lambda _, signup: kept.append(signup.email))
    with pytest.raises(DefinitionRefused, match="belongs to another workflow"):
        graph_of(lambda flow, _: flow.run(take(kept[0])))


def test_what_an_undo_reads_stays_inside_it():
    """``made`` means nothing outside of its own undo."""
    kept: list[Any] = []

    def body(flow: Any, signup: Any) -> None:
        flow.run(send_mail(signup.email), undo=lambda made: kept.append(made) or take(made))
        flow.run(take(kept[0]), id="again")

    with pytest.raises(DefinitionRefused, match="belongs to another step's undo"):
        graph_of(body)


def test_the_fields_of_a_result_type_are_references_too():
    """What the workflow gives may be any part of what its steps gave."""
    graph = graph_of(lambda flow, signup: flow.output(Receipt, user_id=signup.email, message_id="m"), gives=Receipt)
    assert graph.output == {"user_id": ref("input", "email"), "message_id": "m", "kind": "new"}
