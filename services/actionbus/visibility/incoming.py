"""What a writer is given: records of one partition of the events topic, in order, read or refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from actionbus.contracts.events import WorkflowEvent


@dataclass(frozen=True, slots=True)
class Incoming:
    """One record. ``event`` None: it could not be read, for the reason."""

    offset: int
    at: int
    record: bytes
    event: WorkflowEvent | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Records of one partition, by offset. ``position``: the offset of the next one, which nobody has to read yet."""

    partition: int
    records: Sequence[Incoming]
    position: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a batch did: how many events were new, known already, verdicts only, unreadable; how many versions lacked.

    ``generation``: where it was written to.
    """

    generation: int
    events: int = 0
    repeated: int = 0
    verdicts: int = 0
    unreadable: int = 0
    gaps: int = 0

    def __add__(self, other: "Written") -> "Written":
        """Both together."""
        return Written(
            generation=other.generation,
            events=self.events + other.events,
            repeated=self.repeated + other.repeated,
            verdicts=self.verdicts + other.verdicts,
            unreadable=self.unreadable + other.unreadable,
            gaps=self.gaps + other.gaps,
        )
