"""Whoever was given the token of an attempt: answers in its worker's place, through the shipped client."""

from collections.abc import Coroutine

from actionbus.client.answering import Answering
from actionbus.contracts import tokens
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import OutRecord
from actionbus.contracts.results import ActionResult
from actionbus.kafka.partitioning import partition_for

WAIT_MS = 30  # at most, until a token is answered: longer than an attempt may take


class Desk:
    """Writes answers at once, in the place of the client's."""

    limits = DEFAULT_LIMITS

    def __init__(self, world) -> None:
        self._world = world

    def now(self) -> int:
        """The time."""
        return self._world.broker.time_ms

    async def answer(self, result: ActionResult) -> None:
        """Write an answer."""
        world = self._world
        shard = partition_for(result.run_id.encode(), world.plan.shards)
        world.tell("holder", result.kind.value, result.command_id)
        record = OutRecord(key=result.run_id.encode(), value=world.codec.encode(result))
        world.broker.append((world.topics.results, shard), [record])


class Holders(Answering):
    """They got the token with what the attempt committed, so they answer for what was done."""

    def __init__(self, world) -> None:
        self._world = world
        self._desk = Desk(world)
        self._tokens: dict[str, None] = {}

    def give(self, token: str) -> None:
        """Somebody has a token from now on, and answers as the seed says: well, with a failure, twice, or not for long."""
        self._tokens[token] = None
        lot = self._world.plan.lot("token", tokens.read(token).command_id)
        self._world.loop.later(lot * 997 % 1 * WAIT_MS, self._speak, token, lot)

    def insist(self) -> None:
        """Everybody answers, once more."""
        for token in self._tokens:
            self._speak(token, 0.0)

    def _speak(self, token: str, lot: float) -> None:
        attempt = tokens.read(token)
        if lot < 0.7:
            _at_once(self.complete_step(token, {"v": attempt.command.step_key}))
        if lot > 0.6:
            _at_once(self.complete_step(tokens.write(attempt.command_id, "0" * 32), {"v": "forged"}))
        if lot > 0.8:
            _at_once(self.fail_step(token, "Busy"))
        if 0.5 < lot < 0.6:
            _at_once(self.complete_step(token, {"v": attempt.command.step_key}))


def _at_once(answering: Coroutine) -> None:
    """Let an answer be written, for which nobody has to wait here."""
    try:
        answering.send(None)
    except StopIteration:
        return
    raise AssertionError("an answer waits for something")
