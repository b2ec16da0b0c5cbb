"""Which records of the state topic a takeover believes. What runs are, and where a shard stands, is not decided here.

Only owners of shards may write there, and brokers are told so. A record of somebody else is passed over with a word in
the log: it could otherwise never be got rid of, and no owner would ever serve the shard again. One that says it is ours
and whose schema nobody here knows is another matter: a newer version wrote it, and whoever went on without it would
begin another history.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import structlog

from actionbus.contracts import headers, identifiers, schemas
from actionbus.contracts.errors import Doubt, RecordUnreadable
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.records import InRecord
from actionbus.contracts.run import WorkflowRun
from actionbus.kafka.codec import SINGLE_OBJECT, Codec
from actionbus.process import metrics

KIND: Final = "state"  # in the metric
_NAME_AT: Final = (11, 12)  # where the run id of a state begins: behind the frame, and one or two bytes of its length
_PREFIX: Final = SINGLE_OBJECT + schemas.rabin(WorkflowRun)

_log = structlog.get_logger(__name__)


class Vetting:
    """One takeover's look at the records of a state topic. ``closely``: each is decoded as a whole.

    Else the frame and the place of the run id are looked at, which tells most of what is foreign in a fiftieth of the
    time. What is met twice is told of once.
    """

    def __init__(self, codec: Codec) -> None:
        self.closely = False
        self.latest: int | None = None
        """The shard's last transaction, as soon as it is known."""
        self._codec = codec
        self._told: set[tuple[int, int]] = set()

    def believes(self, record: InRecord) -> bool:
        """Whether a record is a state or a position; raises Doubt for what a newer version seems to have written."""
        try:
            why = self._foreign(record)
        except RecordUnreadable as error:
            if _newer(record):
                raise Doubt(f"a record at {record.offset} of the state topic is of a newer version: {error}") from error
            why = str(error)
        if why is None:
            return True
        place = (record.partition, record.offset)
        if place not in self._told:
            self._told.add(place)
            metrics.RECORDS_IGNORED.labels(KIND).inc()
            about = {"partition": record.partition, "offset": record.offset, "key": repr(record.key)[:100]}
            _log.error("a record of the state topic is not believed", reason=why, **about)
        return False

    def _foreign(self, record: InRecord) -> str | None:  # noqa: PLR0911 - a table of cases
        """Why a record is not ours; None when it is."""
        key, value = record.key, record.value
        if key is None:
            return "it has no key"
        if key == POSITION_KEY:
            self._codec.decode(ShardPosition, value)
            return None
        if value is None:
            return None
        if not self.closely and value.startswith(_PREFIX) and any(value.startswith(key, at) for at in _NAME_AT):
            return None
        run = self._codec.decode(WorkflowRun, value)
        if identifiers.RUN_ID.fullmatch(run.run_id) is None or run.run_id.encode() != key:
            return f"it is of the run {run.run_id!r:.100}"
        if self.latest is not None and ahead(run.plain(), self.latest):
            return f"it is of a transaction behind {self.latest}, the last of its shard"
        return None


def ahead(run: Mapping[str, Any], latest: int) -> bool:
    """Whether a run, or a command of it, is of a transaction after the last one of its shard."""
    return run["txn_seq"] > latest or any(step["dispatch_seq"] > latest for step in run["steps"])


def _newer(record: InRecord) -> bool:
    model = ShardPosition if record.key == POSITION_KEY else WorkflowRun
    value = record.value or b""
    claims = record.header("ce_type") == headers.kind_of(model.__name__)
    return claims and value.startswith(SINGLE_OBJECT) and value[: len(_PREFIX)] not in _known()


@cache
def _known() -> frozenset[bytes]:
    """The frames of every schema that this version knows."""
    ours = [schemas.rabin(model) for model in schemas.MODELS]
    return frozenset(SINGLE_OBJECT + each for each in (*ours, *(one.rabin for one in schemas.released())))
