"""Records that nobody should write: of every kind, for every topic that a service reads. How they are sent is in `sending`.

None of them does anything by itself: requests are for a workflow that is not deployed, results carry no nonce,
commands are for nobody or too late, definitions do not fit their hash.
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from actionbus.contracts import headers
from actionbus.contracts.commands import ActionCommand, CommandKind, ControlKind, WorkerControl
from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.model import Record
from actionbus.contracts.records import Headers, OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from contracts import samples
from fuzzing.mutations import mutated

CODEC = Codec()
STRANGE_NAME = (
    "\x01\x02\x03\x04\x05\x06\x07\x08"  # in the place of a name that is no UTF-8, which no text can hold; see `sending`
)
FRAME = 10  # bytes before the body
LARGE_BYTES = 900_000
EXTREMES = (0, -1, 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63))
TEXTS = (
    "",
    "\x00",
    "a\x00b",
    "\u202e\ufeff",
    "x" * 5_000,
    "../../etc/passwd",
    "' OR 1=1 --",
    "<script>",
    "\U0001f4a3" * 100,
)


class Role(StrEnum):
    """Topics that a service reads, by what stands in them."""

    REQUESTS = "requests"
    RESULTS = "results"
    COMMANDS = "commands"
    DEFINITIONS = "definitions"
    CONTROL = "control"
    EVENTS = "events"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The installation that is disturbed."""

    topics: Topics
    shards: int
    action: str
    action_partitions: int

    def topic(self, role: Role) -> str:
        """Where the records of a role go."""
        return self.topics.commands(self.action) if role is Role.COMMANDS else getattr(self.topics, role.value)

    def partitions(self, role: Role) -> int:
        """How many partitions that topic has."""
        if role in (Role.DEFINITIONS, Role.CONTROL):
            return 1
        return self.action_partitions if role is Role.COMMANDS else self.shards


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One record and where it goes."""

    role: Role
    kind: str
    partition: int
    record: OutRecord


def right(world: World, role: Role, name: str, dice: random.Random) -> Record:  # noqa: PLR0911 - a table of cases
    """A record of that topic's schema that would be taken for one, and does nothing."""
    step = f"{name}:1/nothing"
    match role:
        case Role.REQUESTS:
            return WorkflowRequest(
                request_id=name, run_id=name, kind=RequestKind.START, workflow="nowhere", payload=b"{}"
            )
        case Role.RESULTS:
            return ActionResult(
                command_id=f"{step}/1",
                step_key=step,
                run_id=name,
                kind=ResultKind.SUCCEEDED,
                nonce="0" * 32,
                output=b"1",
            )
        case Role.COMMANDS:
            changes = {"command_id": f"{step}/1", "step_key": step, "run_id": name, "step": "nothing", "attempt": 1}
            return samples.COMMAND.replace(
                **changes, action=world.action, kind=CommandKind.EXECUTE, reply_topic="nowhere", template=False
            )
        case Role.DEFINITIONS:
            return samples.DEFINITION.replace(name=name, hash="0" * 64)
        case Role.CONTROL:
            return WorkerControl(command_id=f"{step}/1", action="", kind=ControlKind.CANCEL, reason="none")
        case Role.EVENTS:
            return samples.EVENT.replace(run_id=name, version=dice.choice((0, 1, 2)))
        case Role.STATE:
            return samples.RUN.replace(run_id=name)


def absurd(world: World, role: Role, name: str, dice: random.Random) -> Record:  # noqa: PLR0911 - a table of cases
    """The same with values that no program of ours writes."""
    record = right(world, role, name, dice)
    number, text = dice.choice(EXTREMES), dice.choice(TEXTS)
    match record:
        case WorkflowRequest():
            kind = dice.choice([each for each in RequestKind if each is not RequestKind.CHILD_REPORT])
            changes = {"payload": dice.choice((None, b"", b"\xff", b"NaN", b"[" * 900 + b"]" * 900))}
            return record.replace(
                kind=kind, due_at=number, priority=1, requested_at=number, reason=text, requested_by=text,
                workflow=dice.choice((None, text, "nowhere")), version=text, signal=text, step=text, **changes,
            )  # fmt: skip
        case ActionResult():
            return record.replace(
                command_id=dice.choice((record.command_id, text, f"{name}:1/nothing/{'9' * 5_000}")),
                kind=dice.choice(list(ResultKind)), started_at=number, finished_at=number, worker=text,
            )  # fmt: skip
        case ActionCommand():
            # Its time is over, so that its code is never reached; the answer goes where answers go.
            return record.replace(
                reply_topic=world.topics.results, reply_partition=0, deadline=1, issued_at=dice.choice((0, 1, -(2**63))),
                start_to_close_ms=dice.choice((1, 2**31 - 1)), definition_version=text, workflow=text,
            )  # fmt: skip
        case WorkflowDefinition():
            return record.replace(
                graph=dice.choice((b"", b"[" * 5_000, b"{}", b"\xff")), version=text, deployed_at=number
            )
        case WorkerControl():
            return record.replace(command_id=text, action=text, reason=text)
        case WorkflowEvent():
            entries = tuple(
                EventEntry(
                    kind=kind, step=text, action=text, attempt=dice.choice((1, 2**31 - 1, -1)), reason=text, data=data
                )
                for kind in dice.sample(list(EntryKind), 3)
                for data in (
                    dice.choice((None, b"\xff", b'{"title":{"a":[]},"due_at":"soon","until":1e300}', b"[[[]]]")),
                )
            )
            return record.replace(version=dice.choice((1, 2, number)), at=number, workflow=text, entries=entries)
        case _:
            return record.replace(
                updated_at=number, created_at=number, workflow=text, status=dice.choice(list(RunStatus))
            )


def _json(dice: random.Random, told: Mapping[str, object], what: str) -> bytes:
    inside = {
        "deep": "[" * 5_000 + "]" * 5_000,
        "nan": dice.choice(("NaN", "Infinity", "-Infinity", "1e999")),
        "huge": "9" * dice.choice((20, 400, 5_000)),
        "twice": '1,"extra":2',
        "halves": '"\\ud800"',
    }[what]
    return json.dumps(told)[:-1].encode() + b',"extra":' + inside.encode() + b"}"


def _told(record: Record) -> dict[str, object]:
    """A record as JSON: what is no text stays away."""
    return {name: value for name, value in record.plain().items() if isinstance(value, str | int) and value != ""}


Make = Callable[[World, Role, str, random.Random], tuple[bytes | None, bytes | None, Headers]]


def _plain(value: Callable[[World, Role, str, random.Random], bytes | None]) -> Make:
    return lambda world, role, name, dice: (name.encode(), value(world, role, name, dice), ())


def _encoded(world: World, role: Role, name: str, dice: random.Random) -> bytes:
    return CODEC.encode(right(world, role, name, dice))


def _other(world: World, role: Role, name: str, dice: random.Random) -> bytes:
    return _encoded(world, dice.choice([each for each in Role if each is not role]), name, dice)


def _as_json(what: str) -> Make:
    return _plain(lambda world, role, name, dice: _json(dice, _told(right(world, role, name, dice)), what))


def _bomb(_world: World, _role: Role, name: str, dice: random.Random) -> tuple[bytes, bytes, Headers]:
    many = tuple((f"h{number}", b"x") for number in range(2_000))
    one = (("h" * 10_000, b"x" * 100_000),)
    return name.encode(), b"with headers", dice.choice((many, one))


def _mangled(world: World, role: Role, name: str, dice: random.Random) -> tuple[bytes, bytes, Headers]:
    bad: Headers = (
        *(
            (STRANGE_NAME, b"1"),
            ("", b""),
            ("traceparent", dice.randbytes(20)),
            ("tracestate", b"\xff,=,"),
            ("ce_id", b""),
        ),
        *(("actionbus-dlq-original-offset", b"9" * 5_000), ("content-type", b"\x00"), ("ce_type", b"\xff")),
    )
    value = dice.choice((b"mangled", _encoded(world, role, name, dice)))
    return name.encode(), value, tuple(dice.sample(bad, dice.randint(1, len(bad))))


def _wrong_key(world: World, role: Role, name: str, dice: random.Random) -> tuple[bytes | None, bytes, Headers]:
    key = dice.choice((None, b"", b"\xff\xfe", b"x" * 10_000, POSITION_KEY, b"somebody-else"))
    value = b"position?" if key == POSITION_KEY else _encoded(world, role, name, dice)
    return key, value, ()


def _headed(world: World, role: Role, name: str, dice: random.Random) -> tuple[bytes, bytes, Headers]:
    model = type(right(world, role, name, dice))
    whole = _encoded(world, role, name, dice)
    # The frame stays: a state under a frame that nobody knows and with our headers is of a newer version, and waited for.
    value = whole[:FRAME] + mutated(dice.getrandbits(32), whole[FRAME:])
    return name.encode(), value, headers.cloud_event(model.__name__, name, "somebody", 1)


KINDS: Mapping[str, tuple[float, Make]] = {
    "noise": (1, _plain(lambda _w, _r, _n, dice: dice.randbytes(dice.randint(1, 300)))),
    "another schema": (1, _plain(_other)),
    "an unknown schema": (1, _plain(lambda _w, _r, _n, dice: b"\xc3\x01" + dice.randbytes(dice.randint(0, 200)))),
    "an unknown framing": (1, _plain(lambda _w, _r, _n, dice: b"\x00" + dice.randbytes(dice.randint(0, 200)))),
    "damaged": (2, _plain(lambda w, r, n, dice: mutated(dice.getrandbits(32), _encoded(w, r, n, dice)))),
    "damaged, with our headers": (1, _headed),
    "deep JSON": (0.3, _as_json("deep")),
    "not a number": (1, _as_json("nan")),
    "huge numbers": (1, _as_json("huge")),
    "keys twice": (1, _as_json("twice")),
    "half a character": (1, _as_json("halves")),
    "no value": (1, _plain(lambda *_: None)),
    "an empty value": (1, _plain(lambda *_: b"")),
    "a wrong key": (1, _wrong_key),
    "headers that are none": (1, _mangled),
    "a bomb of headers": (0.02, _bomb),
    "oversized": (0.003, _plain(lambda _w, _r, _n, dice: dice.randbytes(LARGE_BYTES))),
    "oversized JSON": (0.003, _plain(lambda *_: b'{"run_id":"' + b"a" * LARGE_BYTES + b'"}')),
    "in the wrong partition": (1, _plain(_encoded)),
    "absurd values": (2, _plain(lambda w, r, n, dice: CODEC.encode(absurd(w, r, n, dice)))),
}
"""What is wrong with a record, how often compared with others, and how one is made."""


def hostile(world: World, role: Role, number: int, seed: int) -> Hostile:
    """The record of that number: the same for the same seed."""
    dice = random.Random(f"{seed}/{role}/{number}")  # noqa: S311 - the same again
    kind = dice.choices(list(KINDS), [weight for weight, _ in KINDS.values()])[0]
    name = f"poison-{seed}-{number}"
    key, value, told = KINDS[kind][1](world, role, name, dice)
    partitions = world.partitions(role)
    partition = dice.randrange(partitions)
    if role in (Role.REQUESTS, Role.RESULTS, Role.STATE) and kind not in ("in the wrong partition", "noise"):
        partition = partition_for(name.encode(), partitions)
    if value is not None:
        value = value[:LARGE_BYTES]  # damage can make more of it than a broker takes
    if role is Role.STATE and value is None:
        value = b"no tombstone"  # one would be a run forgotten, as its owner says it
    if role in (Role.STATE, Role.DEFINITIONS) and key is None:
        key = b"none"  # brokers refuse records without a key in topics that are compacted
    return Hostile(role=role, kind=kind, partition=partition, record=OutRecord(key=key, value=value, headers=told))
