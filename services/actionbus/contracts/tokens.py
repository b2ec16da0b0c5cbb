"""The token of an attempt: what somebody needs who answers for it in the place of its worker.

It holds the command id and the command's nonce, and is as secret as the nonce is: whoever has it can answer. To its
holders it is opaque text, fit for a URL.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from actionbus.contracts import identifiers
from actionbus.contracts.errors import IdentifierRefused
from actionbus.contracts.identifiers import CommandId

_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_SHOWN: Final = 4  # characters, to know it again
_GRAMMAR: Final = "the text that ctx.token gave, whole and unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a token says."""

    command_id: str
    nonce: str
    command: CommandId


def write(command_id: str, nonce: str) -> str:
    """The token of the attempt that a command orders."""
    return urlsafe_b64encode(f"{nonce}/{command_id}".encode()).decode().rstrip("=")


def read(text: str) -> Token:
    """Take a token apart; raise IdentifierRefused when it cannot be one. A wrong nonce looks like a right one here."""
    try:
        nonce, _, command_id = urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)).decode().partition("/")
        command = identifiers.parse_command_id(command_id)
        identifiers.run_id(command.run_id)
    except ValueError as error:
        raise _refusal(text) from error
    if _NONCE.fullmatch(nonce) is None or write(command_id, nonce) != text:
        raise _refusal(text)
    return Token(command_id=command_id, nonce=nonce, command=command)


def _refusal(text: str) -> IdentifierRefused:
    return IdentifierRefused("token", f"{text[:_SHOWN]}...", _GRAMMAR)  # a token with a typo is still half a secret
