"""The grammar of identifiers and how they derive from one another."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts import identifiers
from actionbus.contracts.errors import IdentifierRefused

RUN_IDS = st.from_regex(identifiers.RUN_ID, fullmatch=True)
NAMES = st.from_regex(identifiers.NAME, fullmatch=True)
OFFSETS = st.integers(0, 2**63 - 1)


@pytest.mark.parametrize("text", ["a", "A9", "order-1", "tenant:7.order_3", "0", "a" * 200])
def test_a_run_id_in_the_grammar_is_accepted(text: str) -> None:
    """Letters, digits and . _ : - are allowed, up to 200 of them."""
    assert identifiers.run_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "-a", ".a", ":a", "a/b", "a!b", "!position", "a b", "ä", "a\n", "a" * 201, "a\x00"]
)
def test_a_run_id_outside_the_grammar_is_refused(text: str) -> None:
    """Whatever else is refused, with the grammar in the message."""
    with pytest.raises(IdentifierRefused, match="the first a letter or digit"):
        identifiers.run_id(text)


@pytest.mark.parametrize("text", ["", "A", "a_b", "a.b", "a/b", "ä", "a" * 101, "a\n"])
def test_a_name_outside_the_grammar_is_refused(text: str) -> None:
    """A name is lower case letters, digits and -; the message says what it would have named."""
    with pytest.raises(IdentifierRefused, match="action"):
        identifiers.name("action", text)


@pytest.mark.parametrize("text", ["", "-1", "1@2", "1/2", "v 1", "1" * 51])
def test_a_version_outside_the_grammar_is_refused(text: str) -> None:
    """A version cannot hold @, which parts it from the name in a definition's key."""
    with pytest.raises(IdentifierRefused, match="version"):
        identifiers.version(text)


def test_a_long_id_is_cut_in_the_message() -> None:
    """A refused id of any length gives a message that fits a terminal."""
    with pytest.raises(IdentifierRefused) as caught:
        identifiers.run_id("x" * 100_000 + "!")
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(("offset", "text"), [(0, "0"), (35, "z"), (36, "10"), (2**63 - 1, "1y2p0ij32e8e7")])
def test_an_incarnation_is_the_offset_in_base_36(offset: int, text: str) -> None:
    """The incarnation is the start request's offset, shorter."""
    assert identifiers.incarnation(offset) == text


@given(OFFSETS)
def test_every_offset_has_an_incarnation_of_its_own(offset: int) -> None:
    """The offset can be read back, so no two start requests of a shard share an incarnation."""
    assert int(identifiers.incarnation(offset), 36) == offset


def test_no_offset_below_zero_has_an_incarnation() -> None:
    """An offset that no record can have is refused."""
    with pytest.raises(IdentifierRefused):
        identifiers.incarnation(-1)


@given(run=RUN_IDS, offset=OFFSETS, path=NAMES, attempt=st.integers(0, 10**6), undo=st.booleans())
def test_a_command_id_can_be_taken_apart(run: str, offset: int, path: str, attempt: int, *, undo: bool) -> None:
    """A command id gives back the run, incarnation, path and attempt it was made of, also when a step is called undo."""
    incarnation = identifiers.incarnation(offset)
    key = identifiers.step_key(run, incarnation, path)
    parts = identifiers.parse_command_id(identifiers.command_id(key, attempt, undo=undo))
    assert (parts.run_id, parts.incarnation, parts.path) == (run, incarnation, path)
    assert (parts.attempt, parts.undo, parts.step_key) == (attempt, undo, key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "//",
        "a:1/s",
        "a/s/1",
        ":1/s/1",
        "a:/s/1",
        "a:1//1",
        "a:1/s/x",
        "a:1/s/-1",
        "a:1/s/",
        "a:1/s/²",
        "a:1/s/undo/",
        "a:1/s/redo/1",
        "a:1/s/undo/1/1",
    ],
)
def test_what_is_no_command_id_is_refused(text: str) -> None:
    """Text of another shape raises IdentifierRefused, so a forged result is counted and not a crash."""
    with pytest.raises(IdentifierRefused):
        identifiers.parse_command_id(text)


@given(st.text())
def test_any_text_is_a_command_id_or_refused(text: str) -> None:
    """No text makes the reader of command ids raise anything else."""
    with contextlib.suppress(IdentifierRefused):
        identifiers.parse_command_id(text)


def test_a_nonce_is_bound_to_key_and_command() -> None:
    """Another command or another key gives another nonce; the same two give the same one."""
    mine = identifiers.nonce(b"key", "a:1/s/1")
    assert mine == identifiers.nonce(b"key", "a:1/s/1")
    assert len({mine, identifiers.nonce(b"key", "a:1/s/2"), identifiers.nonce(b"other", "a:1/s/1")}) == 3
    assert len(bytes.fromhex(mine)) == 16


def test_a_fingerprint_tells_requests_of_one_key_apart() -> None:
    """The same content is the same request, other content another one; who gives none means the one of the key."""
    one, other = (identifiers.fingerprinted("key", content) for content in (b"1", b"2"))
    assert identifiers.request_key(one) == identifiers.request_key("key") == "key"
    assert identifiers.same_request(one, identifiers.fingerprinted("key", b"1"))
    assert identifiers.same_request("key", one)
    assert identifiers.same_request(one, "key")
    assert not identifiers.same_request(one, other)
    assert not identifiers.same_request("other", one)
