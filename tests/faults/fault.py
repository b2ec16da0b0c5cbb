"""What a fault is, and what one round of it gave."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from faults.bank import Judgement
from faults.ground import Ground

ENOUGH = 0.95  # share of the workflows that have to end for a round to count


class NotHere(Exception):
    """This machine does not permit what the fault needs; the message says what that is."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One round: so many faults were injected into so much work, and this is what an outside oracle found."""

    injected: int
    workflows: int
    steps: int
    effects: int
    faults: dict[str, list[str]] = field(default_factory=dict)
    """lost, doubled, partial, uncompensated, disordered: what was found, in words; all of it should be empty."""
    unfinished: int = 0
    doubted: int = 0
    recovery_ms: tuple[int, ...] = ()
    """For each injection the time until every shard had carried a new workflow from its start to its end."""
    note: str = ""
    """What else was measured, in words for the report."""

    @property
    def clean(self) -> bool:
        """Nothing is wrong, and everything ended."""
        return not self.faults and not self.unfinished

    @property
    def counts(self) -> bool:
        """Whether so much ended that the round says anything at all."""
        return self.workflows > 0 and self.unfinished <= (1 - ENOUGH) * self.workflows

    @classmethod
    def of(cls, judgement: Judgement, *, injected: int, workflows: int, **fields) -> "Outcome":
        """From what the bank says."""
        return cls(
            injected=injected,
            workflows=workflows,
            steps=judgement.steps,
            effects=judgement.effects,
            doubted=judgement.doubted,
            faults=judgement.faults,
            **fields,
        )


Round = Callable[[Ground, int, Random], Awaitable[Outcome]]
"""Injects a fault so many times and says what came of it; everything random comes from the ``Random``."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row of the catalogue."""

    id: str
    """Its number, T01 to T32, and behind a stroke the cell of it: "T04/orchestrator"."""
    name: str
    what: str
    """How it is injected, in a sentence for the report."""
    play: Round
    short: int
    """Injections in ``make test``; 0: none there, and the reason stands beside it."""
    each: int
    """Injections in one recorded round; a round that is interrupted is played again."""
    published: int
    """Injections of the published table."""
    full: int
    """Injections of the full dose."""
    needs: tuple[str, ...] = ("java", "postgres")
    """What the machine has to have: names of pytest marks."""
