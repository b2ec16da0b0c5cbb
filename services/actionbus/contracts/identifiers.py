"""The grammar of every identifier, and how ids derive from one another. No id here is random.

Run id ``[A-Za-z0-9][A-Za-z0-9._:-]{0,199}``; step, action and workflow ids ``[a-z0-9-]{1,100}``.
A step path joins step ids with ``.`` (a fallback stands under its step: ``send-mail.queue-letter``) and may carry
item indexes ``[3]``. A step key is ``run:incarnation/path`` and is the idempotency key of all attempts of the step.
A command id is ``step key/attempt``, for a compensation ``step key/undo/attempt``.
The run of a schedule's firing is ``schedule-20261124T183000Z``, its time in UTC; one that was triggered by hand is
``schedule-20261124T183000.123Z-t7``, its moment and a number.
A request id is whatever its sender chose; ``key sha256:digest`` says as well what is asked under the key.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final

from actionbus.contracts import moments
from actionbus.contracts.errors import IdentifierRefused

RUN_ID_LENGTH: Final = 200
RUN_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
NAME: Final = re.compile(r"[a-z0-9-]{1,100}")
VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,49}")
TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")  # of Kafka's own grammar
ERROR_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
POSITION_KEY: Final = b"!position"
UNDO: Final = "undo"
FINGERPRINT: Final = " sha256:"
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_ATTEMPT: Final = re.compile(r"[0-9]{1,10}")  # Python refuses to read thousands of digits, with another error


def run_id(text: str) -> str:
    """Return a valid run id unchanged; raise IdentifierRefused otherwise."""
    if RUN_ID.fullmatch(text) is None:
        raise IdentifierRefused("run id", text, "1 to 200 of A-Z a-z 0-9 . _ : -, the first a letter or digit")
    return text


def name(what: str, text: str) -> str:
    """Return a valid step, action or workflow id unchanged; raise IdentifierRefused otherwise."""
    if NAME.fullmatch(text) is None:
        raise IdentifierRefused(what, text, "1 to 100 of a-z 0-9 -")
    return text


def version(text: str) -> str:
    """Return a valid workflow version unchanged; raise IdentifierRefused otherwise."""
    if VERSION.fullmatch(text) is None:
        raise IdentifierRefused("workflow version", text, "1 to 50 of A-Z a-z 0-9 . _ -, the first a letter or digit")
    return text


def incarnation(offset: int) -> str:
    """The incarnation of a run: the offset of its start request in base 36.

    A run id that is used again after its retention so never meets old inbox rows or results.
    """
    if offset < 0:
        raise IdentifierRefused("incarnation", str(offset), "an offset of zero or more")
    digits = ""
    while True:
        offset, digit = divmod(offset, 36)
        digits = _DIGITS[digit] + digits
        if offset == 0:
            return digits


def definition_key(workflow: str, workflow_version: str) -> str:
    """The key of a definition record: ``name@version``."""
    return f"{workflow}@{workflow_version}"


def step_key(run: str, run_incarnation: str, path: str) -> str:
    """The idempotency key of a step, the same for all its attempts."""
    return f"{run}:{run_incarnation}/{path}"


def child_run_id(run: str, run_incarnation: str, path: str) -> str:
    """The id of the run that a node of another run starts, unless the workflow gives one.

    No node's id holds an underscore, so no two paths give the same. One that would be too long ends in a hash.
    """
    text = f"{run}:{run_incarnation}:{path.replace('[', '_').replace(']', '_')}"
    if len(text) <= RUN_ID_LENGTH:
        return text
    return f"{text[: RUN_ID_LENGTH - 33]}:{blake2b(text.encode(), digest_size=16).hexdigest()}"


def firing_run_id(schedule: str, moment: int, *, triggered: int = 0) -> str:
    """The id of the run of a firing, ``triggered`` counts those by hand; raises IdentifierRefused when it is too long.

    It says the time that the run is for, in UTC: the same firing has the same id, however often somebody asks for it.
    """
    text = f"{schedule}-{moments.compact(moment)}{f'-t{triggered}' if triggered else ''}"
    if len(text) > RUN_ID_LENGTH:
        raise IdentifierRefused("schedule id", schedule, f"at most {RUN_ID_LENGTH - 33} characters")
    return text


def command_id(key: str, attempt: int, *, undo: bool = False) -> str:
    """The id of one attempt of a step, or of its compensation."""
    return f"{key}/{UNDO}/{attempt}" if undo else f"{key}/{attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandId:
    """The parts of a command id."""

    run_id: str
    incarnation: str
    path: str
    attempt: int
    undo: bool

    @property
    def step_key(self) -> str:
        """The idempotency key that all attempts share."""
        return step_key(self.run_id, self.incarnation, self.path)


def parse_command_id(text: str) -> CommandId:
    """Take a command id apart; raise IdentifierRefused when it is not one."""
    parts = text.split("/")
    undo = len(parts) == 4 and parts[2] == UNDO  # noqa: PLR2004 - run, path, undo, attempt
    if len(parts) not in (3, 4) or (len(parts) == 4 and not undo):  # noqa: PLR2004 - the two forms above
        raise IdentifierRefused("command id", text, "run:incarnation/path/attempt or run:incarnation/path/undo/attempt")
    run, colon, run_incarnation = parts[0].rpartition(":")
    if not (run and colon and run_incarnation and parts[1] and _ATTEMPT.fullmatch(parts[-1])):
        raise IdentifierRefused("command id", text, "run:incarnation/path/attempt or run:incarnation/path/undo/attempt")
    return CommandId(run_id=run, incarnation=run_incarnation, path=parts[1], attempt=int(parts[-1]), undo=undo)


def fingerprinted(key: str, content: bytes) -> str:
    """The request id of somebody's key that says what is asked, so that the key cannot come to mean two things."""
    return f"{key}{FINGERPRINT}{sha256(content).hexdigest()[:32]}"


def request_key(request_id: str) -> str:
    """What its sender chose, without the fingerprint."""
    return request_id.partition(FINGERPRINT)[0]


def same_request(one: str, other: str) -> bool:
    """Whether two request ids mean one request; an id without a fingerprint means whatever was asked under its key."""
    if one == other:
        return True
    key = request_key(one)
    return key == request_key(other) and key in (one, other)


def nonce(key: bytes, text: str) -> str:
    """The keyed hash of a command id: only who could read the command can answer it.

    ``key`` is up to 64 bytes, known to all orchestrators of an installation and to nobody else. 128 bits, hexadecimal.
    """
    return blake2b(text.encode(), key=key, digest_size=16).hexdigest()
