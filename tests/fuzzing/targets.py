"""Everything that reads what comes from outside, each with what it may answer: a value, or one kind of refusal.

A target takes any bytes. What it raises beyond its refusals is a finding, and so is a value that is another one after
it was written and read again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from actionbus.client import streaming
from actionbus.contracts import dead_letters, schemas, tokens, traces
from actionbus.contracts.errors import DefinitionRefused, IdentifierRefused, PayloadRefused, RecordUnreadable
from actionbus.gateway import following
from actionbus.gateway.problems import Malformed
from actionbus.visibility import cursors
from actionbus.worker import metadata
from actionbus.worker.intake import Intake
from contracts import samples
from fuzzing import readers
from fuzzing.readers import CODEC, SHARDS, TOPICS

DOCUMENT = b"""\
name: order
version: "1"
input_schema: {type: object, properties: {item: {type: string, default: "x"}}}
root:
  id: root
  kind: sequence
  nodes:
    - id: price
      kind: step
      call: {action: price, input: {item: {$ref: [input, item]}, on: on, count: 2, share: 0.5, none: ~}}
    - id: pick
      kind: choose
      cases:
        - when: {$cel: total > 100, with: {total: {$ref: [steps, price]}}}
          then: {id: big, kind: sleep, for_ms: 1000}
output: {$ref: [steps, price]}
actions:
  price: {id: price, retry: {attempts: 1}}
"""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One reader. ``seeds``: what it takes, to begin with."""

    name: str
    run: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...]
    seeds: Sequence[bytes]

    def check(self, data: bytes) -> bool:
        """Whether the bytes were taken; raises whatever breaks the promise."""
        try:
            self.run(data)
        except self.refusals:
            return False
        return True


def _header_seeds() -> list[bytes]:
    kept = dead_letters.dead_letter(
        readers.found_record("topic", b"v"), group="g", error=ValueError("no"), largest=1_000
    )
    settled = dead_letters.settling(
        dead_letters.Settlement(kind=dead_letters.SettlementKind.DROPPED, offset=7, by="b", reason="r", request_id="q")
    )
    trace = (("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), ("tracestate", b"a=b"))
    return [
        b"\n".join(name.encode() + b"=" + value for name, value in each)
        for each in (kept.headers, settled.headers, trace)
    ]


INTAKE = Intake("send-apology", CODEC, reply_topic="actionbus.workflow.results.v1", reply_partitions=SHARDS)
COMMAND = samples.COMMAND.command_id
GRAPH = b'{"name":"w","version":"1","root":{"id":"root","kind":"sequence","nodes":[]},"actions":{}}'
_ALL = [
    *(
        Target(
            name=model.__name__,
            run=readers.reads_record(model),
            refusals=(RecordUnreadable,),
            seeds=readers.golden_bytes(model),
        )
        for model in schemas.MODELS
    ),
    Target(
        name="requests",
        run=readers.reads_shard(TOPICS.requests),
        refusals=(),
        seeds=readers.golden_bytes(type(samples.REQUEST)),
    ),
    Target(
        name="results",
        run=readers.reads_shard(TOPICS.results),
        refusals=(),
        seeds=readers.golden_bytes(type(samples.RESULT)),
    ),
    Target(
        name="commands",
        run=lambda data: INTAKE.read(readers.found_record("t", data)),
        refusals=(),
        seeds=readers.golden_bytes(type(samples.COMMAND)),
    ),
    Target(name="headers", run=readers.reads_told, refusals=(), seeds=_header_seeds()),
    Target(
        name="traces",
        run=lambda data: traces.parse(readers.as_text(data)) and traces.headers(readers.as_text(data)),
        refusals=(),
        seeds=[b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 a=b,c@d=e"],
    ),
    Target(
        name="identifiers", run=readers.reads_names, refusals=(IdentifierRefused,), seeds=[COMMAND.encode(), b"a:b/c/1"]
    ),
    Target(
        name="tokens",
        run=readers.reads_token,
        refusals=(IdentifierRefused,),
        seeds=[tokens.write(COMMAND, "0" * 32).encode()],
    ),
    Target(
        name="payloads", run=readers.reads_payload, refusals=(PayloadRefused,), seeds=[b'{"a":[1,2.5,null,"\\u00e9"]}']
    ),
    Target(
        name="metadata",
        run=readers.reads_metadata,
        refusals=(),
        seeds=[
            metadata.write(
                1_000, metadata.Memo(done=((1_002, 1_003), (1_500, 1_900)), begun={1_000: 2}, held=True)
            ).encode()
        ],
    ),
    Target(
        name="cursors",
        run=readers.reads_cursor,
        refusals=(PayloadRefused,),
        seeds=[cursors.written("newest", (17, "a")).encode()],
    ),
    Target(
        name="last-event-id",
        run=lambda data: following.place(readers.as_text(data)),
        refusals=(Malformed,),
        seeds=[b"2s:14", b"0:0"],
    ),
    Target(
        name="streams",
        run=readers.reads_stream,
        refusals=(streaming.Unavailable,),
        seeds=[b'id: 2s:14\nevent: transition\ndata: {"a":1}\n\nevent: end\ndata: {}\n\n'],
    ),
    Target(
        name="cron",
        run=readers.reads_cron,
        refusals=(PayloadRefused,),
        seeds=[b"*/5 0-12 L * MON#2|Europe/Berlin", b"1 2 3 4 5 6|Asia/Tehran", b"0 0 29 2 *|"],
    ),
    Target(
        name="schedules",
        run=readers.reads_schedule,
        refusals=(PayloadRefused,),
        seeds=[
            b'{"workflow":"w","cron":"0 2 * * *","time_zone":"Europe/Berlin","input":{},"time_as":"at"}',
            b'{"workflow":"w","every_ms":60000,"start_at":"2026-01-01T00:00:00Z","jitter_ms":5,"overlap":"skip"}',
        ],
    ),
    Target(
        name="moments",
        run=readers.reads_moment,
        refusals=(PayloadRefused,),
        seeds=[b'"2026-12-24T18:00:00+01:00"', b"1798131600000", b'"9999-12-31T23:59:59-12:00"', b"1.5e300"],
    ),
    Target(
        name="durations",
        run=readers.reads_duration,
        refusals=(DefinitionRefused,),
        seeds=[b'"1h30m"', b"2.5", b'"250ms"'],
    ),
    Target(
        name="expressions",
        run=readers.reads_expression,
        refusals=(PayloadRefused,),
        seeds=[
            b"a.b.map(x, x == null ? 0 : size(string(x))).exists(y, y > 0) && n in [1, 2]|",
            b"'x'.matches('[a-z]+') || timestamp('2026-01-01T00:00:00Z') > timestamp('2025-01-01T00:00:00Z')|",
            b'a.map(x, x * 2).filter(x, x > 2)|[1,2,3,"x"]',
            b"{'k': -n / 2 % 3, 'l': [1] + [2.5]}|",
        ],
    ),
    Target(
        name="templates",
        run=readers.reads_template,
        refusals=(PayloadRefused,),
        seeds=[
            b'{"x":{"$ref":["input","a",1,"b"]},"y":[{"$literal":{"$ref":[]}}]}',
            b'{"$cel":"v + 1","with":{"v":{"$ref":["input","n"]}}}',
        ],
    ),
    Target(
        name="schemas",
        run=readers.reads_schema,
        refusals=(PayloadRefused, DefinitionRefused),
        seeds=[
            b'[{"type":"object","properties":{"a":{"type":"integer","default":3}},"required":["a"]},{}]',
            b'[{"$defs":{"n":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"$ref":"#/$defs/n"},null]',
            b'[{"pattern":"^(a+)+$","format":"email","uniqueItems":true,"enum":[[1],{}]},"aaaa"]',
        ],
    ),
    Target(name="documents", run=readers.reads_document, refusals=(DefinitionRefused,), seeds=[DOCUMENT, GRAPH]),
    Target(
        name="definitions",
        run=readers.reads_definition,
        refusals=(DefinitionRefused,),
        seeds=[GRAPH, samples.DEFINITION.graph],
    ),
]
TARGETS: Mapping[str, Target] = {each.name: each for each in _ALL}
