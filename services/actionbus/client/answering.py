"""Answering for an attempt whose action left that to the holder of its token: a result, written as a worker would."""

from typing import Any, Final

from actionbus.client.asking import written
from actionbus.client.desk import Desk
from actionbus.contracts import tokens
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.identifiers import ERROR_TYPE
from actionbus.contracts.results import ActionError, ActionResult, ResultKind

WORKER: Final = "token"  # where a result names the worker that gave it


class Answering:
    """Answers attempts by their tokens. Each verb returns when the answer is safely in the log.

    There it is treated like a worker's. What does not belong to a step that waits, because it was answered, given up or
    undone meanwhile, or because the token is forged, is passed over and counted, and nobody is told.
    All verbs raise IdentifierRefused for a text that is no token, and Unavailable when the broker did not confirm in
    time: answering again is safe.
    """

    _desk: Desk

    async def complete_step(self, token: str, output: Any = None) -> None:
        """Say that the step is done, and what it gave: anything pydantic can write as JSON.

        An output that does not fit the action fails the attempt, as a worker's would. Raises PayloadRefused when it is
        no JSON, or too much of it.
        """
        data = written(output, self._desk.limits.payload_bytes, "the output")
        await self._answer(token, ResultKind.SUCCEEDED, output=data)

    async def fail_step(
        self, token: str, error_type: str, message: str = "", *, retryable: bool = True, details: Any = None
    ) -> None:
        """Say that the attempt failed, by a name that the rules of the workflow match on.

        Only the current attempt can fail. Raises PayloadRefused when ``error_type`` is no name of an error.
        """
        if ERROR_TYPE.fullmatch(error_type) is None:
            raise PayloadRefused(f"{error_type!r:.80} is no error type: use A-Z a-z 0-9 . _ -, a letter first")
        most = self._desk.limits.error_message_bytes
        if len(message.encode()) > most:
            raise PayloadRefused(f"the message has {len(message.encode())} bytes, {most} are allowed")
        data = None if details is None else written(details, most, "the details")
        error = ActionError(type=error_type, message=message, retryable=retryable, details=data)
        await self._answer(token, ResultKind.FAILED, error=error)

    async def heartbeat_step(self, token: str, details: Any = None) -> None:
        """Say that the step is still worked on and, with ``details``, how far it is; the next attempt is told.

        Raises PayloadRefused for details that are no JSON, or more of it than is kept.
        """
        data = None if details is None else written(details, self._desk.limits.heartbeat_bytes, "the details")
        await self._answer(token, ResultKind.HEARTBEAT, details=data)

    async def _answer(self, token: str, kind: ResultKind, **said: Any) -> None:
        attempt = tokens.read(token)
        result = ActionResult(
            command_id=attempt.command_id,
            step_key=attempt.command.step_key,
            run_id=attempt.command.run_id,
            kind=kind,
            nonce=attempt.nonce,
            worker=WORKER,
            finished_at=0 if kind is ResultKind.HEARTBEAT else self._desk.now(),
            by_token=True,
            **said,
        )
        await self._desk.answer(result)
