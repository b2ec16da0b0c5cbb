"""From an outcome to the record that tells it: an ``ActionResult`` with its headers. Sending it is done elsewhere."""

import time
from typing import Any, Final, assert_never

from actionbus.contracts import headers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.model import trusted
from actionbus.contracts.records import OutRecord
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.kafka.codec import Codec
from actionbus.worker.outcomes import Deferred, Done, Failed, InDoubt, Outcome

SOURCE: Final = "worker"
_result = trusted(ActionResult)


def now_ms() -> int:
    """Epoch milliseconds by this machine's clock."""
    return time.time_ns() // 1_000_000


def result(command: ActionCommand, outcome: Outcome, *, worker: str, started_at: int) -> ActionResult:
    """What is answered to a command. ``started_at`` is epoch milliseconds, 0 when user code did not begin."""
    match outcome:
        case Done(output=output, emits=emits):
            return _result(
                **_known(command),
                kind=ResultKind.SUCCEEDED,
                worker=worker,
                output=output,
                emits=emits,
                started_at=started_at,
                finished_at=now_ms(),
            )
        case Failed(error=error) | InDoubt(error=error):
            return ActionResult(
                **_known(command),
                kind=ResultKind.FAILED if isinstance(outcome, Failed) else ResultKind.IN_DOUBT,
                worker=worker,
                error=error,
                started_at=started_at,
                finished_at=now_ms(),
            )
        case Deferred(emits=emits):
            return _result(
                **_known(command),
                kind=ResultKind.DEFERRED,
                worker=worker,
                emits=emits,
                started_at=started_at,
                finished_at=now_ms(),
            )
        case _:
            assert_never(outcome)


def started(command: ActionCommand, *, worker: str, started_at: int) -> ActionResult:
    """The word that user code has begun, for attempts that take longer than a moment."""
    return ActionResult(**_known(command), kind=ResultKind.STARTED, worker=worker, started_at=started_at)


def heartbeat(command: ActionCommand, details: bytes | None, *, worker: str) -> ActionResult:
    """The word that user code goes on; ``details``: JSON, how far it is."""
    return ActionResult(**_known(command), kind=ResultKind.HEARTBEAT, worker=worker, details=details)


def record(codec: Codec, answer: ActionResult, trace: str | None) -> OutRecord:
    """The record of a result. Its key is the run id; its CloudEvents id tells it from other results of the command."""
    return OutRecord(
        key=answer.run_id.encode(),
        value=codec.encode(answer),
        headers=headers.cloud_event(
            "ActionResult", f"{answer.command_id}/{answer.kind.value}", SOURCE, now_ms(), trace=trace
        ),
    )


def _known(command: ActionCommand) -> dict[str, Any]:
    return {
        "command_id": command.command_id,
        "step_key": command.step_key,
        "run_id": command.run_id,
        "nonce": command.nonce,
    }
