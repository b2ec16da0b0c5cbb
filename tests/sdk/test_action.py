"""Actions: how they are declared, and what the worker sees of them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from actionbus import Action, ActionContext, DefinitionRefused, PayloadRefused, Retry, action
from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.definitions import Effect, Encoding
from actionbus.contracts.validation import Schema

HERE = Path(__file__)


class Colour(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class User(BaseModel):
    """A model with an alias and a default."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    id: UUID
    first_name: str = Field(default="", alias="firstName")


@dataclass
class Mail:
    """A dataclass."""

    message_id: str
    sent_at: datetime


class Point(TypedDict):
    """A typed dictionary."""

    x: int
    y: int


@action(id="create-user", description="Inserts the user row.", effect="transactional", store="users")
async def create_user(ctx, email: str, colour: Colour = Colour.RED) -> User:
    """Not the description."""
    raise NotImplementedError


def send(context: ActionContext, user: User, points: list[Point]) -> Mail:
    """Sends a mail.

    More text.
    """
    raise NotImplementedError


send_mail = action.create(
    id="send-mail",
    execute=send,
    retry=Retry(attempts=2),
    timeout="5s",
    heartbeat="2s",
    emits=["mails"],
    encoding="json",
    max_concurrency=7,
)


def test_a_decorated_function_is_an_action_with_everything_that_was_said_of_it():
    """The decorator keeps id, description, effect, store and the function itself."""
    assert isinstance(create_user, Action)
    assert (create_user.id, create_user.description) == ("create-user", "Inserts the user row.")
    assert (create_user.effect, create_user.store) == (Effect.TRANSACTIONAL, "users")
    assert (create_user.is_async, create_user.takes_context) == (True, True)
    assert create_user.execute.__name__ == "create_user"
    assert create_user.retry == RetryPolicy()


def test_a_created_action_keeps_its_options_and_takes_its_description_from_the_docstring():
    """``action.create`` says the same as the decorator; the docstring's first line describes the action."""
    assert send_mail.execute is send
    assert (send_mail.description, send_mail.effect, send_mail.store) == ("Sends a mail.", Effect.IDEMPOTENT, None)
    assert (send_mail.retry.attempts, send_mail.start_to_close_ms, send_mail.emits) == (2, 5_000, ("mails",))
    assert (send_mail.encoding, send_mail.max_concurrency) == (Encoding.JSON, 7)
    assert (send_mail.is_async, send_mail.takes_context) == (False, True)


def test_the_spec_carries_what_the_orchestrator_must_know():
    """The context is no part of the input's schema; both schemas are real JSON Schemas."""
    spec = send_mail.spec
    assert list(spec.input_schema["properties"]) == ["user", "points"]
    assert spec.input_schema["additionalProperties"] is False
    assert (spec.start_to_close_ms, spec.heartbeat_ms, spec.retry.attempts) == (5_000, 2_000, 2)
    assert spec.emits == ("mails",)
    Schema(spec.input_schema).check({"user": {"id": str(UUID(int=1))}, "points": [{"x": 1, "y": 2}]})
    with pytest.raises(PayloadRefused):
        Schema(spec.input_schema).check({"user": {}, "points": []})


def test_a_transactional_action_without_a_store_uses_the_default_one():
    """The store is a name, and has one."""

    async def nothing() -> None: ...

    assert action.create(id="a", execute=nothing, effect="transactional").store == "default"


def test_parse_gives_typed_keyword_arguments():
    """JSON becomes the types of the parameters; what was left out stays out, so the function's own default holds."""
    payload = json.dumps({"user": {"id": str(UUID(int=1)), "firstName": "Ann"}, "points": [{"x": 1, "y": 2}]})
    assert send_mail.parse(payload.encode()) == {
        "user": User(id=UUID(int=1), first_name="Ann"),
        "points": [{"x": 1, "y": 2}],
    }
    assert create_user.parse(b'{"email":"a@b"}') == {"email": "a@b"}
    assert create_user.parse(b'{"email":"a@b","colour":"blue"}') == {"email": "a@b", "colour": Colour.BLUE}


@pytest.mark.parametrize(
    ("payload", "names"),
    [
        (b"{}", "email"),
        (b'{"email":3}', "email"),
        (b'{"email":"a","colour":"green"}', "colour"),
        (b'{"email":"a","more":1}', "more"),
        (b"[]", "object"),
        (b"no json", "JSON"),
        (b"\xff", "JSON"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_the_name_of_the_parameter(payload, names):
    """A missing, wrong or unknown argument is named, and the value, which may be secret, is not shown."""
    with pytest.raises(PayloadRefused, match=names):
        create_user.parse(payload)


def test_a_refused_input_does_not_show_its_value():
    """Payloads end up in results and logs; what they hold does not."""
    with pytest.raises(PayloadRefused) as refused:
        create_user.parse(b'{"email":["hunter2"]}')
    assert "hunter2" not in str(refused.value)


def test_render_writes_what_the_return_type_says():
    """Models are written by alias, dates as text, keys in order."""
    assert create_user.render(User(id=UUID(int=1), first_name="Ann")) == (
        b'{"firstName":"Ann","id":"00000000-0000-0000-0000-000000000001"}'
    )
    sent = Mail(message_id="m", sent_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert send_mail.render(sent) == b'{"message_id":"m","sent_at":"2026-01-01T00:00:00Z"}'


@pytest.mark.parametrize("wrong", [None, 3, {"id": "no uuid"}, object()])
def test_a_result_of_another_type_is_refused(wrong):
    """An action cannot give what it did not declare."""
    with pytest.raises(PayloadRefused):
        create_user.render(wrong)


def test_a_model_that_was_broken_after_it_was_made_is_refused():
    """Assigning a wrong value to a model's field does not smuggle it through."""
    user = User(id=UUID(int=1))
    user.first_name = 3
    with pytest.raises(PayloadRefused):
        create_user.render(user)


def test_a_number_that_json_cannot_say_is_refused():
    """NaN is a float, and no JSON."""

    def measure() -> float:
        return 0.0

    with pytest.raises(PayloadRefused):
        action.create(id="measure", execute=measure).render(float("nan"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values)
def test_any_json_survives_an_action_that_gives_anything(value):
    """What an untyped action returns arrives unchanged, and its own schema accepts it."""

    def anything() -> Any: ...

    declared = action.create(id="anything", execute=anything)
    try:
        written = declared.render(value)
    except PayloadRefused:  # half a surrogate pair is no text
        return
    assert json.loads(written) == value
    Schema(declared.spec.output_schema).check(json.loads(written))


@given(st.builds(Mail, message_id=st.text(st.characters(codec="utf-8")), sent_at=st.datetimes(timezones=st.just(UTC))))
def test_what_an_action_gives_fits_its_published_schema(mail):
    """The output schema is true of every output."""
    Schema(send_mail.spec.output_schema).check(json.loads(send_mail.render(mail)))


async def unannotated(value) -> None: ...


async def silent(value: int): ...


async def open_ended(*values: int) -> None: ...


def plain() -> None: ...


class Handle:
    """Something that lives in one process only."""


def local(value: Handle) -> None: ...


def unknown(value: "Unheard") -> None: ...  # noqa: F821 - the mistake under test


@pytest.mark.parametrize(
    ("function", "options", "says"),
    [
        (plain, {"id": "Create User"}, "a-z 0-9 -"),
        (unannotated, {}, "value has no type"),
        (silent, {}, "-> None"),
        (open_ended, {}, "values"),
        (unknown, {}, "Unheard"),
        (local, {}, "parameter value: Handle cannot travel as JSON"),
        (plain, {"effect": "transactional"}, "async def"),
        (plain, {"effect": "http"}, "calls over HTTP but is a plain def"),
        (plain, {"effect": "magic"}, "magic"),
        (plain, {"store": "users"}, "transactional"),
        (plain, {"timeout": 0}, "timeout"),
        (plain, {"timeout": "soon"}, "timeout"),
        (plain, {"heartbeat": "20ms"}, "use 1000 ms or more"),
        (plain, {"emits": ["a topic"]}, "a topic"),
        (plain, {"max_concurrency": 0}, "max_concurrency"),
        (plain, {"encoding": "xml"}, "xml"),
    ],
)
def test_what_cannot_be_declared_is_refused_with_the_line(function, options, says):
    """The message begins with file and line of the declaration and says what is wrong."""
    with pytest.raises(DefinitionRefused, match=says) as refused:
        action.create(**{"id": "wrong", "execute": function} | options)
    assert f"{HERE.name}:" in str(refused.value).splitlines()[0]
    assert "action.create" in str(refused.value)


def test_a_call_binds_its_arguments_by_name():
    """Positional and named arguments mean the same; nothing runs."""
    call = create_user("a@b", colour=Colour.BLUE)
    assert call.arguments == {"email": "a@b", "colour": Colour.BLUE}
    assert call.action is create_user


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "not given email"),
        (("a", Colour.RED, 3), {}, "takes 2 arguments, not 3"),
        (("a",), {"email": "b"}, "email twice"),
        (("a",), {"ctx": None}, "no parameter ctx"),
        ((), {"mail": "a"}, "it takes email: str, colour: Colour"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_with_its_line(args, kwargs, says):
    """Missing, surplus and unknown arguments are named, with what the action takes."""
    with pytest.raises(DefinitionRefused, match=says) as refused:
        create_user(*args, **kwargs)
    assert f"{HERE.name}:" in str(refused.value)


async def test_an_awaited_call_says_what_to_write_instead():
    """Somebody who takes an action for a coroutine is told about flow.run and execute."""
    with pytest.raises(DefinitionRefused, match=r"create_user\.execute"):
        await create_user("a@b")


def test_the_function_can_be_called_in_a_test_as_it_is():
    """``execute`` is the user's own function, nothing around it."""

    @action(id="double")
    def double(value: int) -> int:
        return 2 * value

    assert double.execute(4) == 8


def test_a_callable_object_can_be_an_action():
    """An action need not be a function."""

    class Greet:
        async def __call__(self, name: str) -> str:
            return f"hello {name}"

    greet = action.create(id="greet", execute=Greet())
    assert greet.is_async
    assert greet.parse(b'{"name":"Ann"}') == {"name": "Ann"}
