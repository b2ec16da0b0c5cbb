"""What is said to every worker about commands that run somewhere: today, that nobody waits for one any more.

It is a courtesy that saves work. A word that is missed, as while the broker is away, costs nothing but that work.
"""

from contextlib import aclosing
from typing import assert_never

import structlog

from actionbus.contracts.commands import ControlKind, WorkerControl
from actionbus.contracts.errors import PositionLost, RecordUnreadable
from actionbus.contracts.records import InRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.reader import PartitionReader
from actionbus.process import metrics
from actionbus.worker.attempts import Attempts

_log = structlog.get_logger(__name__)


async def follow(reader: PartitionReader, topics: Topics, codec: Codec, attempts: Attempts, position: int) -> None:
    """Obey the control topic from a position on, for ever; raises TopicMissing and AccessRefused.

    Take the position before the first command is read: then no word about a command in hand is missed.
    """
    while True:
        try:
            async with aclosing(reader.follow({(topics.control, 0): position})) as pages:
                async for page in pages:
                    for record in page:
                        _obey(record, codec, attempts)
        except PositionLost:
            _log.warning("words to workers were removed before they were read", topic=topics.control)
            position = await reader.end(topics.control, 0)


def _obey(record: InRecord, codec: Codec, attempts: Attempts) -> None:
    try:
        word = codec.decode(WorkerControl, record.value)
    except RecordUnreadable as error:
        metrics.RECORDS_IGNORED.labels("control").inc()
        _log.warning("a word to workers cannot be read", offset=record.offset, reason=str(error))
        return
    match word.kind:
        case ControlKind.CANCEL:
            if attempts.cancel(word.command_id):
                _log.info("a command is cancelled", command=word.command_id, reason=word.reason)
        case ControlKind.UNKNOWN:
            pass
        case _:
            assert_never(word.kind)
