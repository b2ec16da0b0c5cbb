"""Whether what one action gives is what another takes."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, EmailStr, Field, JsonValue, PositiveInt
from typing_extensions import TypedDict

from actionbus.contracts.validation import Schema
from actionbus.sdk import fitting, schema, shape


class Colour(Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Shade(Enum):
    """Another choice, a part of the first."""

    RED = "red"


class Animal(BaseModel):
    """A model."""

    name: str
    age: int = 0


@dataclass
class Pet:
    """A dataclass of the same shape."""

    name: str
    age: int = 0


class Named(BaseModel):
    """Less than an animal."""

    name: str


class Dog(Animal):
    """More than an animal."""

    bark: str


class Loose(TypedDict):
    """Keys, one of them optional."""

    name: str
    age: NotRequired[int]


class Tree(BaseModel):
    """A model that contains itself."""

    value: int
    children: list["Tree"] = []


class Bush(BaseModel):
    """A tree of texts."""

    value: str
    children: list["Bush"] = []


class Closed(BaseModel, extra="forbid"):
    """Takes nothing beside its fields."""

    name: str


class Pair(NamedTuple):
    """Two places."""

    left: int
    right: str


FITS = [
    (str, str),
    (int, float),
    (bool, bool),
    (None, None),
    (int, Any),
    (Any, int),
    (JsonValue, int),
    (int, JsonValue),
    (int, int | None),
    (int | None, int | str | None),
    (Literal["a"], str),
    (Literal["a"], Literal["a", "b"]),
    (Colour, str),
    (Shade, Colour),
    (PositiveInt, int),
    (int, PositiveInt),
    (str, Annotated[str, Field(max_length=3)]),
    (datetime, datetime),
    (datetime, str),
    (UUID, UUID),
    (list[int], list[float]),
    (list[int], tuple[int, ...]),
    (tuple[int, int], list[int]),
    (Pair, tuple[int, str]),
    (dict[str, int], dict[str, float]),
    (Animal, Animal),
    (Dog, Animal),
    (Dog, Named),
    (Animal, Pet),
    (Pet, Animal),
    (Pet, Loose),
    (Animal, dict[str, Any]),
    (Named, Closed),
    (Tree, Tree),
    (list[Dog], list[Animal | None]),
]
CLASHES = [
    (str, int, "int is expected, str is given"),
    (float, int, "int is expected, float is given"),
    (bool, int, "int is expected, bool is given"),
    (int | None, int, r"int is expected, int \| None is given"),
    (str, None, "None is expected, str is given"),
    (str, Literal["a"], r"Literal\['a'\] is expected, str is given"),
    (Literal["c"], Literal["a", "b"], "is expected"),
    (str, Colour, "Colour is expected, str is given"),
    (Colour, Shade, "is expected, Colour is given"),
    (str, datetime, "datetime is expected, str is given"),
    (datetime, date, "date is expected, datetime is given"),
    (list[str], list[int], r"\[...\]: int is expected, str is given"),
    (list[int], tuple[int, int], "is expected, list"),
    (tuple[int, str], list[int], r"\[1\]: int is expected"),
    (tuple[int, int], tuple[int, int, int], "is expected"),
    (dict[str, str], dict[str, int], "int is expected, str is given"),
    (Named, Dog, "Dog needs the field bark; Named has name"),
    (Loose, Tree, "Tree needs the field value; Loose has name, age"),
    (Animal, Closed, "Closed has no field age; Closed has name"),
    (dict[str, str], Animal, "Animal needs the field name"),
    (Animal, str, "str is expected, Animal is given"),
    (Tree, Bush, "value: str is expected, int is given"),
    (list[Tree], list[Bush], "value: str is expected"),
    (Animal | None, Animal, r"Animal is expected, Animal \| None is given"),
]


@pytest.mark.parametrize(("gives", "takes"), FITS)
def test_what_always_fits_is_accepted(gives, takes):
    """Equal, narrower and unknown types pass, and so do other models of the same shape."""
    assert fitting.mismatch(shape.of(gives, "given"), shape.of(takes, "accepted")) is None


@pytest.mark.parametrize(("gives", "takes", "says"), CLASHES)
def test_what_may_not_fit_is_refused_in_the_words_of_the_types(gives, takes, says):
    """The message names both types, and the place inside them where they part."""
    reason = fitting.mismatch(shape.of(gives, "given"), shape.of(takes, "accepted"))
    assert reason is not None
    assert re.search(says, reason)


def test_a_text_with_a_format_that_is_still_a_text_takes_any_text():
    """An address is checked when it is there; its type is text."""
    email = Annotated[str, Field(json_schema_extra={"format": "email"})]
    assert EmailStr is not str
    assert fitting.mismatch(shape.of(str, "given"), shape.of(email, "accepted")) is None


SAMPLES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=3),
    int: st.integers(-5, 5),
    float: st.sampled_from([0.5, -1.25]),
    bool: st.booleans(),
    None: st.none(),
    Colour: st.sampled_from(Colour),
    Shade: st.just(Shade.RED),
    Animal: st.builds(Animal, name=st.text(max_size=2), age=st.integers(0, 9)),
    Pet: st.builds(Pet, name=st.text(max_size=2)),
    Named: st.builds(Named, name=st.text(max_size=2)),
    Pair: st.builds(Pair, st.integers(), st.text(max_size=2)),
}
plain_types = st.sampled_from(list(SAMPLES))
types = st.recursive(
    plain_types,
    lambda inner: inner.map(lambda each: list[each]) | inner.map(lambda each: dict[str, each]),
    max_leaves=3,
)


def sample(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a type."""
    if annotation in SAMPLES:
        return SAMPLES[annotation]
    inner = sample(annotation.__args__[-1])
    return (
        st.lists(inner, max_size=2) if annotation.__origin__ is list else st.dictionaries(st.text(), inner, max_size=2)
    )


@given(types, types, st.data())
def test_what_is_accepted_at_definition_time_fits_at_run_time(gives, takes, data):
    """If no mismatch is found, every value that the one type writes is accepted by the schema of the other."""
    if fitting.mismatch(shape.of(gives, "given"), shape.of(takes, "accepted")) is not None:
        return
    written = schema.plain(gives, data.draw(sample(gives)))
    Schema(schema.json_schema(takes, "accepted")).check(written)
    schema.adapter(takes).validate_python(written)
