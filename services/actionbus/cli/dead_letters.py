"""`actionbus dlq`: records that could not be taken in, as they were found, and what becomes of them."""

import base64
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, Literal, Self

import typer

from actionbus.cli import arguments, output, session
from actionbus.cli.arguments import By, Reason
from actionbus.cli.exits import CommandExit
from actionbus.cli.output import Output, Row
from actionbus.client import unfolding
from actionbus.client.letters import Letter
from actionbus.contracts import dead_letters
from actionbus.contracts.errors import Conflict, Refused
from actionbus.process.settings import Settings

app = typer.Typer(help="Records that could not be read.", no_args_is_help=True, rich_markup_mode=None)
Topic = Annotated[str | None, typer.Option(help="Only this topic of dead letters.")]
OfTopic = Annotated[str, typer.Argument(help="The topic of dead letters, as `dlq list` names it.")]
Partition = Annotated[int | None, typer.Argument(min=0, help="Its partition there; not with --saying.")]
Offset = Annotated[int | None, typer.Argument(min=0, help="Its offset in that partition.")]
Saying = Annotated[str | None, typer.Option(help="All open ones of the topic whose reason holds this text.")]
Settled = Annotated[bool, typer.Option("--settled", help="Also those that were replayed or dropped.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say of which it would be asked.")]
Verb = Literal["replay", "drop"]
_COLUMNS: Final = {
    each: each.replace("_", " ")
    for each in ("topic", "partition", "offset", "at", "original_topic", "exception", "size")
}


@app.command("list")
def list_letters(*, topic: Topic = None, settled: Settled = False, output_format: Output = None) -> None:
    """List the dead letters that nobody replayed or dropped yet, oldest first in each partition."""
    settings = session.settings()

    async def work() -> list[Row]:
        return [each async for each in _letters(settings, topic) if settled or each["settled"] is None]

    columns = {**_COLUMNS, "settled": "settled"} if settled else _COLUMNS
    output.rows(session.run(work), columns, output_format, empty="there are no dead letters")


@app.command()
def show(
    topic: OfTopic,
    partition: Annotated[int, typer.Argument(min=0, help="Its partition there.")],
    offset: Annotated[int, typer.Argument(min=0, help="Its offset in that partition.")],
    *,
    output_format: Output = None,
) -> None:
    """Show one dead letter with its headers and its bytes: as text where they are text, always as base64."""
    settings = session.settings()

    async def work() -> Row:
        async for each in _letters(settings, topic):
            if (each["partition"], each["offset"]) == (partition, offset):
                return each
        raise _missing(topic, partition, offset)

    output.facts(session.run(work), output_format)


@app.command()
def replay(
    topic: OfTopic,
    partition: Partition = None,
    offset: Offset = None,
    *,
    saying: Saying = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    output_format: Output = None,
) -> None:
    """Send a dead letter once more to where it was found, with its bytes and headers; never twice.

    Do so once the cause is gone. A command is sent only while its run still waits for it.
    """
    meant = _Meant.of(topic, partition, offset, saying)
    _settle(meant, "replay", dry_run, {"by": arguments.user(by), "reason": reason}, output_format)


@app.command()
def drop(
    topic: OfTopic,
    partition: Partition = None,
    offset: Offset = None,
    *,
    saying: Saying = None,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    output_format: Output = None,
) -> None:
    """Set a dead letter aside for good: it is listed no more, and never sent again."""
    meant = _Meant.of(topic, partition, offset, saying)
    _settle(meant, "drop", dry_run, {"by": arguments.user(by), "reason": reason}, output_format)


@dataclass(frozen=True, slots=True)
class _Meant:
    """The letters that are meant: one, or the open ones of a topic whose reason holds a text."""

    topic: str
    place: tuple[int, int] | None
    saying: str

    @classmethod
    def of(cls, topic: str, partition: int | None, offset: int | None, saying: str | None) -> Self:
        """Raises Refused when it is not clear which are meant."""
        if partition is not None and offset is not None and saying is None:
            return cls(topic, (partition, offset), "")
        if partition is None and offset is None and saying is not None:
            return cls(topic, None, saying)
        raise Refused(
            "say which: TOPIC PARTITION OFFSET means one letter, TOPIC --saying TEXT all whose reason holds the text, "
            "and --saying '' every one of the topic"
        )

    def fits(self, row: Row) -> bool:
        """Whether a letter is one of them."""
        if self.place is not None:
            return (row["partition"], row["offset"]) == self.place
        return row["settled"] is None and self.saying in row["exception"]


def _settle(
    meant: _Meant,
    verb: Verb,
    dry_run: bool,  # noqa: FBT001 - the option of both commands
    asked: Mapping[str, str],
    output_format: Output,
) -> None:
    settings = session.settings()

    async def work() -> list[Row]:
        done: list[Row] = []
        rows = [row async for row in _letters(settings, meant.topic) if meant.fits(row)]
        if meant.place is not None and not rows:
            raise _missing(meant.topic, *meant.place)
        async with _settling(settings, verb) as settle:
            for row in rows:
                told = {"verdict": "possible" if dry_run else "done"}
                try:
                    if not dry_run:
                        await settle(row["topic"], row["partition"], row["offset"], **asked)
                except Conflict as conflict:
                    if meant.place is not None:
                        raise
                    told = {"verdict": "refused", "exception": str(conflict)}
                done.append({**row, **told})
                output.note(
                    f"{len(done)} of {len(rows)}: partition {row['partition']} {row['offset']} {told['verdict']}"
                )
        return done

    rows = session.run(work)
    output.rows(rows, {"verdict": "verdict", **_COLUMNS}, output_format, empty="no dead letter fits")
    if any(row["verdict"] == "refused" for row in rows):
        raise typer.Exit(CommandExit.CONFLICT)


@asynccontextmanager
async def _settling(settings: Settings, verb: Verb) -> AsyncGenerator[Callable[..., Awaitable[None]]]:
    """What carries a verb out, over HTTP where a gateway was named, else over Kafka."""
    gateway = session.gateway(settings)
    if gateway is not None:
        async with gateway as client:
            yield partial(client.settle, verb)
    else:
        async with session.letters(settings) as letters:
            yield letters.replay if verb == "replay" else letters.drop


def _missing(topic: str, partition: int, offset: int) -> Refused:
    return Refused(f"{topic} has no letter at partition {partition} offset {offset}, or not any more: see `dlq list`")


async def _letters(settings: Settings, topic: str | None) -> AsyncIterator[Row]:
    gateway = session.gateway(settings)
    if gateway is not None:
        async with gateway as client:
            async for found in client.dead_letters(topic, settled=True):
                yield _seen(found)
        return
    async with session.letters(settings) as letters:
        async for each in letters.all(topic):
            yield _letter(each)


def _letter(letter: Letter) -> Row:
    record = letter.record
    own, kept = dead_letters.told(record)
    place = (record.topic, record.partition, record.offset, record.timestamp_ms)
    key = None if record.key is None else record.key.decode("utf-8", "replace")
    return {**_row(place, key, own, kept, record.value), "settled": letter.settlement and letter.settlement.words}


def _seen(found: Mapping[str, Any]) -> Row:
    own = {f"{group}-{name}": value for group in ("original", "exception") for name, value in found[group].items()}
    value = None if found["value_base64"] is None else base64.b64decode(found["value_base64"])
    place = (found["topic"], found["partition"], found["offset"], unfolding.milliseconds(found["at"]))
    return {**_row(place, found["key"], own, found["headers"], value), "settled": found["settled"]}


def _row(
    place: tuple[str, int, int, int], key: str | None, own: dict[str, str], headers: dict[str, str], value: bytes | None
) -> Row:
    topic, partition, offset, at = place
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "at": output.when(at),
        "key": key,
        "original_topic": own.get("original-topic"),
        "original_partition": own.get("original-partition"),
        "original_offset": own.get("original-offset"),
        "group": own.get("original-group"),
        "exception": f"{own.get('exception-type')}: {own.get('exception-message')}",
        "truncated": own.get("truncated"),
        "headers": headers,
        "size": len(value or b""),
        "text": _text(value),
        "value_base64": None if value is None else base64.b64encode(value).decode(),
    }


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
