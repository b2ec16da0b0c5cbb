"""How many executions there may be at a time, and how often one may begin: what an action or a workflow declares."""

from collections.abc import Iterator
from typing import Final

from pydantic import Field

from actionbus.contracts import expressions
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.part import Part
from actionbus.contracts.payloads import Json
from actionbus.contracts.templates import INPUT

LONGEST_PERIOD_MS: Final = 86_400_000  # as long as ended runs are kept by default, and with them when their turns were
LONGEST_KEY: Final = 200  # characters
HIGHEST_PRIORITY: Final = 100


class LimitPolicy(Part):
    """At most ``concurrency`` at a time, and at most ``rate`` in ``per_ms``; with a key, for each of its values.

    Without a key the numbers are shared out over the shards; with one every shard counts for itself.
    """

    concurrency: int | None = Field(default=None, ge=1, description="Executions at a time; null: any number.")
    rate: int | None = Field(default=None, ge=1, description="Beginnings in a period; null: any number.")
    per_ms: int = Field(default=1_000, ge=1, le=LONGEST_PERIOD_MS, description="The period of the rate.")
    key: str | None = Field(default=None, description="CEL over `input`: what is counted apart; null: all together.")

    def key_of(self, value: Json) -> str:
        """Under which key an input counts; raises PayloadRefused when that is no short text, number or truth value."""
        if self.key is None:
            return ""
        found = expressions.evaluate(self.key, {INPUT: value})
        if not isinstance(found, str | int | float):
            raise PayloadRefused(f"the limit's key {expressions.shown(self.key)} gives {found!r:.80}: that is no key")
        text = str(found)
        if len(text) > LONGEST_KEY:
            raise PayloadRefused(
                f"the limit's key {expressions.shown(self.key)} has more than {LONGEST_KEY} characters"
            )
        return text

    def room(self, shard: int, shards: int) -> int | None:
        """How many of the executions are one shard's: its share, and never none. None: any number."""
        if self.concurrency is None or self.key is not None:
            return self.concurrency
        return max(1, self.concurrency // shards + (shard < self.concurrency % shards))

    def gap_ms(self, shards: int) -> float:
        """How far apart one shard lets executions begin; 0: they need not be."""
        if self.rate is None:
            return 0
        return self.per_ms * (shards if self.key is None else 1) / self.rate

    @property
    def words(self) -> str:
        """The limit in words."""
        parts: list[str] = []
        if self.concurrency is not None:
            parts.append(f"{self.concurrency} at a time")
        if self.rate is not None:
            parts.append(f"{self.rate} in {self.per_ms} ms")
        return " and ".join(parts) + ("" if self.key is None else f" for each {self.key}")


def mistakes(where: str, policy: LimitPolicy | None, schema: Json = None) -> Iterator[str]:
    """Why a limit cannot be kept as it is written; ``schema``: that of the input, where it is known."""
    if policy is None:
        return
    if policy.concurrency is None and policy.rate is None:
        yield f"the limit of {where} limits nothing: give it a concurrency or a rate"
    if policy.key is None:
        return
    for mistake in (*expressions.mistakes(policy.key, [INPUT]), *expressions.strangers(policy.key, INPUT, schema)):
        yield f"the key of the limit of {where}: {mistake}"
