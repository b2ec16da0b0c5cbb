"""Defaults of a JSON Schema, filled into what comes from outside."""

import pytest

from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.validation import Schema

INNER = {"type": "object", "properties": {"n": {"type": "integer", "default": 1}}, "required": ["n"]}
CAT = {
    "type": "object",
    "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer", "default": 9}},
    "required": ["kind", "lives"],
}
DOG = {
    "type": "object",
    "properties": {"kind": {"enum": ["dog", "wolf"]}, "good": {"default": True}},
    "required": ["kind", "good"],
}


def record(**fields):
    """An object of which every field is required."""
    return {"type": "object", "properties": fields, "required": list(fields)}


@pytest.mark.parametrize(
    ("schema", "given", "complete"),
    [
        (record(a={"type": "string"}, b={"default": [1]}), {"a": "x"}, {"a": "x", "b": [1]}),
        (record(a={"default": 1}), {"a": None}, {"a": None}),
        (record(i=INNER), {"i": {}}, {"i": {"n": 1}}),
        ({"type": "array", "items": INNER}, [{}, {"n": 2}], [{"n": 1}, {"n": 2}]),
        ({"type": "array", "prefixItems": [True, INNER], "items": False}, [{}, {}], [{}, {"n": 1}]),
        ({"type": "object", "additionalProperties": INNER}, {"a": {}}, {"a": {"n": 1}}),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": INNER}}, {}, {"n": 1}),
        ({"allOf": [{"$ref": "#/$defs/i"}], "$defs": {"i": INNER}}, {}, {"n": 1}),
        ({"anyOf": [INNER, {"type": "null"}]}, None, None),
        ({"anyOf": [{"type": "null"}, INNER]}, {}, {"n": 1}),
        ({"oneOf": [CAT, DOG]}, {"kind": "wolf"}, {"kind": "wolf", "good": True}),
        ({"oneOf": [CAT, DOG]}, {"kind": "cat"}, {"kind": "cat", "lives": 9}),
        (record(i=INNER | {"default": {"n": 5}}), {}, {"i": {"n": 5}}),
        (record(a={"const": 1}), {"a": 1}, {"a": 1}),
    ],
)
def test_what_is_left_out_is_filled_in(schema, given, complete):
    """Wherever a field stands in a value, its default stands for it; what is there stays as it is."""
    before = repr(given)
    assert Schema(schema).complete(given) == complete
    assert repr(given) == before


def test_a_value_that_is_complete_is_the_same_object():
    """Nobody pays for what is not needed, and bytes that were written stay what they were."""
    given = {"i": {"n": 3}}
    assert Schema(record(i=INNER)).complete(given) is given


def test_what_does_not_fit_is_refused_all_the_same():
    """A default is no excuse for the fields around it, and is checked as if it had been given."""
    with pytest.raises(PayloadRefused, match="required"):
        Schema(record(a={"type": "string"}, b={"default": 1})).complete({})
    with pytest.raises(PayloadRefused, match="is not of type"):
        Schema(record(b={"type": "string", "default": 1})).complete({})


def test_defaults_do_not_multiply_without_end():
    """A small value with many small holes does not become a huge one."""
    schema = {"type": "array", "items": record(text={"default": "x" * 1_000})}
    with pytest.raises(PayloadRefused, match="its defaults have more than"):
        Schema(schema).complete([{} for _ in range(1_000)])


def test_a_schema_that_names_itself_ends():
    """Neither a schema that is its own alternative nor a deep value keeps anybody from an answer."""
    assert Schema({"anyOf": [{"$ref": "#"}], "default": 1}).complete({"a": 1}) == {"a": 1}
    deep = value = {}
    for _ in range(2_000):
        value["next"] = value = {}
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}, "n": {"default": 1}}}
    with pytest.raises(PayloadRefused, match="nested too deep"):
        Schema(schema).complete(deep)
