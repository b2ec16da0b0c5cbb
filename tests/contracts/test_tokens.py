"""Tokens: what is written is read again, and what cannot be one is refused."""

import pytest

from actionbus.contracts import identifiers, tokens
from actionbus.contracts.errors import IdentifierRefused

ID = "signup-1:2s/send-mail/1"
NONCE = identifiers.nonce(b"key", ID)
TOKEN = tokens.write(ID, NONCE)


@pytest.mark.parametrize("command_id", [ID, "a:0/s[3].t/undo/12"])
def test_a_token_names_its_attempt(command_id: str) -> None:
    """It says which command it is of, and proves that its holder was given it."""
    token = tokens.read(tokens.write(command_id, NONCE))
    assert (token.command_id, token.nonce) == (command_id, NONCE)
    assert token.command == identifiers.parse_command_id(command_id)


def test_a_token_can_stand_in_a_url() -> None:
    """No character of it means anything there."""
    assert TOKEN.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "\N{SNOWMAN}",
        TOKEN[:-4],
        TOKEN[4:],
        TOKEN + "=",
        TOKEN + "AAAA",
        f" {TOKEN}",
        tokens.write("signup-1:2s/send-mail", NONCE),
        tokens.write("with space:2s/send-mail/1", NONCE),
        tokens.write(ID, NONCE[:-1]),
        tokens.write(ID, NONCE.upper()),
    ],
)
def test_what_cannot_be_a_token_is_refused(text: str) -> None:
    """A part of one, one with something around it, one for no command; the refusal does not repeat it."""
    with pytest.raises(IdentifierRefused, match="whole and unchanged") as refused:
        tokens.read(text)
    assert len(text) < 8 or text not in str(refused.value)
