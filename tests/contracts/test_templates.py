"""Templates: references are filled, and data never becomes a reference."""

import pytest
from hypothesis import given

from actionbus.contracts import templates
from actionbus.contracts.errors import PayloadRefused
from contracts import samples

ROOTS = {"input": {"user": {"email": "ada@example.org"}, "items": [1, 2]}, "steps": {}, "made": None}
HOSTILE = {"$ref": ["input", "user", "email"]}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ({"$ref": ["input"]}, ROOTS["input"]),
        ({"$ref": ["input", "user", "email"]}, "ada@example.org"),
        ({"$ref": ["input", "items", 1]}, 2),
        (
            {"to": {"$ref": ["input", "user", "email"]}, "n": [{"$ref": ["input", "items", 0]}]},
            {"to": "ada@example.org", "n": [1]},
        ),
        ({"$literal": HOSTILE}, HOSTILE),
        ({"$ref": ["made", "anything", "below"]}, None),
        ("text", "text"),
        (None, None),
        ({"$ref": ["input"], "more": 1}, {"$ref": ["input"], "more": 1}),
        ({"$literal": 1, "more": {"$ref": ["input", "items", 0]}}, {"$literal": 1, "more": 1}),
    ],
)
def test_a_template_is_filled(template: object, value: object) -> None:
    """References become the values they point at; what is no reference stays."""
    assert templates.fill(template, ROOTS) == value


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        (["input", "user", "phone"], "the object has email"),
        (["input", "items", 2], "2 items"),
        (["input", "items", "0"], "2 items"),
        (["input", "items", -1], "2 items"),
        (["input", "user", "email", 0], "there is a str on the way"),
        (["input", "user", "email", "host"], "there is a str on the way"),
        (["error"], "nothing is known here by the name error"),
    ],
)
def test_a_reference_to_nothing_says_what_there_is(path: list, hint: str) -> None:
    """A path that leads nowhere is refused with what stands there instead."""
    with pytest.raises(PayloadRefused, match=hint):
        templates.fill({"$ref": path}, ROOTS)


@given(samples.JSON)
def test_data_is_never_followed(value: object) -> None:
    """Data that comes through a reference arrives as it is, whatever it looks like."""
    hostile = {"a": HOSTILE, "b": value, "c": {"$literal": value}}
    assert templates.fill({"$ref": ["input"]}, {"input": hostile}) == hostile


@given(samples.JSON)
def test_bound_data_is_never_followed_later(value: object) -> None:
    """Data that was bound into an undo's input is not looked at again when the rest of it is filled."""
    hostile = {"a": {"$ref": ["made"]}, "b": value, "c": {"$literal": {"$ref": ["made"]}}}
    bound = templates.bind({"x": {"$ref": ["input"]}, "y": {"$ref": ["made"]}}, {"input": hostile})
    assert list(templates.references(bound)) == [("made",)]
    assert templates.fill(bound, {"made": "m"}) == {"x": hostile, "y": "m"}


def test_binding_in_steps_equals_filling_at_once() -> None:
    """A template bound first and filled later gives what filling it with all roots gives."""
    template = {"to": {"$ref": ["input", "user"]}, "it": [{"$ref": ["made", "id"]}, {"$literal": HOSTILE}]}
    first, later = {"input": ROOTS["input"]}, {"made": {"id": 7}}
    assert templates.fill(templates.bind(template, first), later) == templates.fill(template, first | later)


def test_references_are_found_in_reading_order() -> None:
    """Every reference of a template is listed, none inside a literal."""
    template = [{"b": {"$ref": ["steps", "x"]}}, {"$literal": HOSTILE}, {"$ref": ["input"]}]
    assert list(templates.references(template)) == [("steps", "x"), ("input",)]


@pytest.mark.parametrize("path", ["input", [], 7, None, {"a": 1}, [None], [["input"]], [{}], [True, "a"]])
def test_a_malformed_reference_is_refused(path: object) -> None:
    """A $ref that is no list beginning with a root's name is refused, never a crash."""
    with pytest.raises(PayloadRefused):
        templates.fill({"$ref": path}, ROOTS)
    with pytest.raises(PayloadRefused):
        list(templates.references({"$ref": path}))
