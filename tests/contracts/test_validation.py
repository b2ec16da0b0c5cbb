"""A JSON value against a JSON Schema."""

import pytest

from actionbus.contracts.errors import DefinitionRefused, PayloadRefused
from actionbus.contracts.validation import Schema


def test_a_mistake_is_named_with_its_place():
    """Whoever sent the value reads where in it the mistake is; a mistake of the whole has no place."""
    schema = Schema({"properties": {"a": {"items": {"type": "integer"}}}, "required": ["a"]})
    schema.check({"a": [1, 2]})
    with pytest.raises(PayloadRefused, match=r'^a\.1: "x" is not of type "integer"$'):
        schema.check({"a": [1, "x"]})
    with pytest.raises(PayloadRefused, match=r'^"a" is a required property$'):
        schema.check({})


@pytest.mark.parametrize("schema", [{}, True])
def test_a_schema_that_asks_for_nothing_takes_everything(schema):
    """No schema is no condition."""
    Schema(schema).check({"any": ["thing"]})


@pytest.mark.parametrize("schema", [5, None, "x", {"type": "nonsense"}, {"$ref": "#/nowhere"}, {"pattern": "(?=a)"}])
def test_what_is_no_schema_is_refused(schema):
    """Also a pattern that could take more than linear time."""
    with pytest.raises(DefinitionRefused, match=r"^this is no JSON Schema: "):
        Schema(schema)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/schema.json", "file:///etc/hostname", "other.json"])
def test_a_schema_reads_nothing_from_outside(address):
    """A definition cannot make an orchestrator fetch anything."""
    with pytest.raises(DefinitionRefused):
        Schema({"$ref": address})
