"""How a user says how many executions there may be at a time, and how often one may begin."""

import re
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from actionbus.contracts import limiting
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.limiting import LimitPolicy
from actionbus.sdk import duration

_RATE: Final = re.compile(r"(\d+)/(\d.*)")


@dataclass(frozen=True, kw_only=True)
class Limit:
    """At most ``concurrency`` executions at a time, and at most ``rate`` beginnings, such as ``"100/1s"``.

    ``key`` is an expression over ``input``, such as ``"input.customer_id"``: each value of it has the limit to itself.
    """

    concurrency: int | None = None
    rate: str | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that makes no sense where it is written, not where it is used."""
        _ = self.policy

    @property
    def policy(self) -> LimitPolicy:
        """The limit as definitions carry it; raise DefinitionRefused when it makes no sense."""
        found = _RATE.fullmatch(self.rate or "")
        if self.rate is not None and found is None:
            raise DefinitionRefused(f'Limit(rate={self.rate!r}) is no rate: write "100/1s" or "5/1m"')
        per = {} if found is None else {"per_ms": duration.milliseconds(found[2], what="the period of Limit(rate=)")}
        try:
            policy = LimitPolicy(
                concurrency=self.concurrency, rate=None if found is None else int(found[1]), key=self.key, **per
            )
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            raise DefinitionRefused(f"this Limit makes no sense: {wrong}") from error
        for mistake in limiting.mistakes("this Limit", policy):
            raise DefinitionRefused(mistake)
        return policy
