"""How a user says when a failed attempt is tried again."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.errors import DefinitionRefused
from actionbus.sdk import duration
from actionbus.sdk.duration import Duration


@dataclass(frozen=True, kw_only=True)
class Retry:
    """When a failed attempt is tried again: after ``initial``, then ``factor`` times longer each time, up to ``cap``.

    ``attempts`` counts the first one too; None: without limit. ``jitter`` is the share of each delay that is spread.
    ``delays`` names every delay instead; their number limits the attempts.
    """

    attempts: int | None = 5
    initial: Duration = "1s"
    factor: float = 2.0
    cap: Duration = "1m"
    jitter: float = 0.1
    delays: Sequence[Duration] | None = None

    def __post_init__(self) -> None:
        """Refuse a policy that makes no sense where it is written, not where it is used."""
        _ = self.policy

    @property
    def policy(self) -> RetryPolicy:
        """The policy as definitions carry it; raise DefinitionRefused when it makes no sense."""
        delays = None
        if self.delays is not None:
            delays = tuple(duration.milliseconds(each, what="a delay of Retry") for each in self.delays)
        try:
            return RetryPolicy(
                attempts=self.attempts if delays is None else len(delays) + 1,
                initial_ms=duration.milliseconds(self.initial, what="Retry(initial=)"),
                factor=self.factor,
                cap_ms=duration.milliseconds(self.cap, what="Retry(cap=)"),
                jitter=self.jitter,
                delays_ms=delays,
            )
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise DefinitionRefused(f"this Retry makes no sense: {wrong}") from error
