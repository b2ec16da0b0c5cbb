"""Models, actions and a reader of small workflows for the tests of this room."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, NotRequired

from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field
from typing_extensions import TypedDict

from actionbus import Flow, action, workflow
from actionbus.contracts.definitions import Graph
from actionbus.contracts.nodes import StepNode


class Address(TypedDict):
    """A typed dictionary, one key of it optional."""

    street: str
    zip: NotRequired[str]


@dataclass
class Mail:
    """A dataclass with a default."""

    message_id: str
    copies: int = 1


class Size(NamedTuple):
    """A named tuple: a list in JSON."""

    width: int
    height: int


class Tags(RootModel[list[str]]):
    """A model that is its only value."""


class User(BaseModel):
    """A model with every kind of field."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    id: str
    email: str
    nickname: str | None = None
    given_name: str = Field(default="", alias="givenName")
    secret: str = Field(default="", exclude=True)
    address: Address = Field(default_factory=lambda: Address(street=""))
    mails: list[Mail] = []
    scores: dict[str, float] = {}
    size: Size = Size(1, 2)
    tags: Tags = Tags([])
    pair: tuple[int, str] = (1, "")
    anything: Any = None

    @computed_field
    @property
    def label(self) -> str:
        """Computed when it is written."""
        return f"{self.id} {self.email}"


class Signup(BaseModel):
    """A workflow's input."""

    email: str
    name: str = "you"


class Receipt(BaseModel):
    """A workflow's output."""

    user_id: str
    message_id: str
    kind: str = "new"


@action(id="create-user", effect="transactional")
async def create_user(ctx, email: str, name: str = "") -> User:
    """Makes a user."""
    return User(id=ctx.step_key, email=email, nickname=name)


@action(id="delete-user", effect="transactional")
async def delete_user(ctx, user_id: str) -> None:
    """Removes a user."""


@action(id="send-mail")
def send_mail(email: str, name: str = "you") -> Mail:
    """Sends a mail."""
    return Mail(message_id=f"{email} {name}")


@action(id="queue-letter")
def queue_letter(user_id: str, why: str = "") -> Mail:
    """Sends a letter."""
    return Mail(message_id=f"{user_id} {why}")


@action(id="take-back")
def take_back(message_id: str) -> None:
    """Takes a mail back, and must know which."""


@action(id="apologise")
def apologise(message_id: str | None) -> None:
    """Takes a mail back if there was one."""


@action(id="take")
def take(value: Any) -> Any:
    """Takes anything."""
    return value


@action(id="update-user")
def update_user(user: User) -> None:
    """Takes a whole user."""


@action(id="count")
def count(numbers: list[int], by: dict[str, list[str]] = {}) -> int:  # noqa: B006 - never changed
    """Takes collections."""
    return len(numbers) + len(by)


def graph_of(body: Callable[[Flow, Any], Any], given: Any = Signup, gives: Any = Any) -> Graph:
    """The graph of a workflow whose body is this function."""

    def read(flow: Flow, value: Any) -> Any:
        return body(flow, value)

    read.__annotations__ = {"value": given, "return": gives}
    return workflow(id="w", version="1")(read).graph


def step_of(body: Callable[[Flow, Any], Any], given: Any = Signup) -> StepNode:
    """The last step of such a workflow."""
    node = graph_of(body, given).root.nodes[-1]
    assert isinstance(node, StepNode)
    return node


def ref(*path: str | int) -> dict[str, Any]:
    """A reference as it stands in a graph."""
    return {"$ref": list(path)}
