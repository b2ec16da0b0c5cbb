"""Payloads are strict JSON with one canonical form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from contracts import samples


@given(samples.JSON)
def test_a_value_survives(value: object) -> None:
    """What can be said in JSON is read as it was written."""
    assert payloads.decode(payloads.encode(value)) == value


@given(st.dictionaries(st.text(), st.integers(), max_size=6))
def test_the_form_does_not_depend_on_the_order_of_keys(value: dict) -> None:
    """The same value has the same bytes, whatever order its keys were set in."""
    assert payloads.encode(dict(reversed(value.items()))) == payloads.encode(value)


def test_the_canonical_form() -> None:
    """Sorted keys, no spaces, UTF-8 without escapes."""
    assert payloads.encode({"b": [1, None], "a": "Łódź"}) == '{"a":"Łódź","b":[1,null]}'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"NaN",
        b"-Infinity",
        b"[1e999]",
        b'{"a": 1, "a": 1}',
        b'[{"a": {"b": 1, "b": 2}}]',
        b'"\\ud800"',
        b'"\\uDC00"',
        b'"\xed\xa0\x80"',
        b"\xff\xfe1\x00",
        b"\xef\xbb\xbf1",
        b"[" * 100_000 + b"]" * 100_000,
        b"1" * 10_000,
        b"1 2",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_not_strict_json_is_refused(data: bytes) -> None:
    """Anything that two readers could understand differently, or that could not be written again, is refused."""
    with pytest.raises(PayloadRefused):
        payloads.decode(data)


def test_an_escaped_pair_of_surrogates_is_a_character() -> None:
    """The two halves together are one character and are accepted."""
    assert payloads.decode(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}, b"bytes", {("a",): 1}, "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    """A value without a JSON form is refused with PayloadRefused."""
    with pytest.raises(PayloadRefused):
        payloads.encode(value)


@given(st.binary(max_size=60) | st.text(max_size=30).map(lambda text: json.dumps(text).encode()))
def test_any_bytes_are_json_or_refused(data: bytes) -> None:
    """No bytes make the reader raise anything else, and what it accepts can be written again."""
    try:
        value = payloads.decode(data)
    except PayloadRefused:
        return
    assert payloads.decode(payloads.encode(value)) == value
