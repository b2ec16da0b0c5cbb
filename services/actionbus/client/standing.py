"""Where a run stands after an event, read from the event's bytes without decoding it.

A client that waits for thousands of runs meets ten events for each one it has to look into. Decoding each of them took
most of its time: 11 us against 0.3 us here. What is not written exactly as this version writes it is decoded.
"""

from typing import Final

from actionbus.contracts import schemas
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.run import RunStatus
from actionbus.kafka.codec import SINGLE_OBJECT, Codec

_SHARED: Final = schemas.shared(WorkflowEvent)
_PREFIXES: Final = tuple(
    SINGLE_OBJECT + each for each in (schemas.rabin(WorkflowEvent), *([_SHARED.rabin] if _SHARED else []))
)
_BODY: Final = len(_PREFIXES[0])
_STATUSES: Final = tuple(RunStatus)
_TEXTS: Final = 4  # run_id, incarnation, workflow, definition_version stand before version and status
_ODD: Final = 0x81  # of a number that is negative, or goes on: this version writes no such status
_MORE: Final = 0x80  # the bit of a byte that says that the number goes on in the next


def after(data: bytes | None, codec: Codec) -> RunStatus:
    """The status in an event; raises RecordUnreadable for bytes that are none. Source: Avro 1.12, "Binary encoding"."""
    if data is not None and data.startswith(_PREFIXES):
        try:
            place = _BODY
            for _ in range(_TEXTS):
                if data[place] & _MORE:
                    break  # a text of 64 bytes or more, or a damaged one
                place += 1 + (data[place] >> 1)
            else:
                while data[place] & _MORE:
                    place += 1
                if not data[place + 1] & _ODD:
                    return _STATUSES[data[place + 1] >> 1]
        except IndexError:
            pass  # it ends too early: let the decoder say what is wrong
    return RunStatus(codec.glance(WorkflowEvent, data, "status")["status"])
