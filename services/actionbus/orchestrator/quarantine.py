"""Finds the input whose effect the brokers refuse, when a transaction fails in the same way again and again.

Only a refusal counts, which is a property of what is written. Silence, lost connections and fences are properties of
the world: however often they come, no input is to blame.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from actionbus.contracts.errors import AccessRefused, BatchTooLarge, Refused, TopicMissing
from actionbus.contracts.records import InRecord
from actionbus.orchestrator.firing import Firing

Identity = tuple[str, int] | str  # topic and offset of a record, or the run whose timer fired


@dataclass(slots=True, kw_only=True)
class _Window:
    """Inputs of which a transaction was refused: how many are not committed yet, and how often it was refused so."""

    left: int
    kind: type[BaseException]
    failures: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """What is to be done with an input whose effect was refused.

    Severity 1: it counts as a failure, and is kept among the dead letters; 2: it is only kept; 3: it is passed over.
    """

    cause: BaseException
    severity: int

    @property
    def hopeless(self) -> bool:
        """Whether it would be refused again later, and what follows from that was not tried yet."""
        return isinstance(self.cause, BatchTooLarge) and self.severity == 1


class Quarantine:
    """Survives the takeovers between the failures of one batch."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._window: _Window | None = None
        self._guilty: dict[Identity, Sentence] = {}
        self.cap: int | None = None

    def failed(self, inputs: Sequence[InRecord | Firing], cause: BaseException | None, *, foreign: bool) -> None:
        """A transaction with these inputs was not committed. ``foreign``: it also wrote to topics that are not ours."""
        if not inputs or cause is None or not _to_blame(cause, foreign=foreign):
            return
        window = self._window
        if window is None or window.kind is not type(cause):
            self._window, self.cap = _Window(left=len(inputs), kind=type(cause)), None
            return
        window.failures += 1
        if self.cap is None:
            window.left = len(inputs)
        if window.failures < self._rounds:
            return
        if len(inputs) > 1:
            self.cap = max(1, len(inputs) // 2)
        else:
            self.condemn(inputs[0], cause)
            self._window, self.cap = None, None

    def condemn(self, each: InRecord | Firing, cause: BaseException) -> None:
        """One input alone was refused; once more than before if it was condemned already."""
        before = self._guilty.get(identity(each))
        self._guilty[identity(each)] = Sentence(cause=cause, severity=1 if before is None else before.severity + 1)

    def passed(self, inputs: Sequence[InRecord | Firing]) -> None:
        """A transaction with these inputs was committed."""
        if self._window is not None and inputs:
            self._window.left -= len(inputs)
            if self.cap is None or self._window.left <= 0:
                self._window, self.cap = None, None
        for each in inputs:
            self._guilty.pop(identity(each), None)

    def pardon(self, each: InRecord | Firing) -> None:
        """Let an input be tried again as it is."""
        self._guilty.pop(identity(each), None)

    def sentence(self, each: InRecord | Firing) -> Sentence | None:
        """What is to be done with an input, if it was found guilty."""
        return self._guilty.get(identity(each)) if self._guilty else None


def identity(each: InRecord | Firing) -> Identity:
    """What names an input over a takeover."""
    return each.run_id if isinstance(each, Firing) else (each.topic, each.offset)


def _to_blame(cause: BaseException, *, foreign: bool) -> bool:
    if isinstance(cause, TopicMissing | AccessRefused):
        return foreign  # a missing topic of our own concerns every input, and is an operator's business
    return isinstance(cause, Refused)
