"""What an author writes beside a step for the case that it fails: rules, tried in order, and what follows."""

from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue

from actionbus.contracts.part import Part

HEARTBEAT_LEAST_MS: Final = 1_000  # workers send what actions say twice a second at best: less is no silence


class RetryPolicy(Part):
    """When a failed attempt is tried again. Times in milliseconds; attempts count the first one."""

    attempts: int | None = Field(default=5, ge=1, description="All attempts together; null: without limit.")
    initial_ms: int = Field(default=1_000, ge=0)
    factor: float = Field(default=2.0, ge=1)
    cap_ms: int = Field(default=60_000, ge=0)
    jitter: float = Field(default=0.1, ge=0, le=1, description="Share of the delay that the command id spreads it by.")
    delays_ms: tuple[int, ...] | None = Field(
        default=None, description="Explicit delays instead; their number limits the attempts."
    )


class Call(Part):
    """An action with the template of its input."""

    action: str
    input: JsonValue


class Retry(Part):
    """Try again by this policy; when it is used up, the next rule decides."""

    kind: Literal["retry"] = "retry"
    policy: RetryPolicy


class Fallback(Part):
    """Do something else instead; its output becomes the step's output."""

    kind: Literal["fallback"] = "fallback"
    call: Call


class ContinueWith(Part):
    """Go on as if the step or block had given this value."""

    kind: Literal["continue_with"] = "continue_with"
    value: JsonValue


class Compensate(Part):
    """Undo the run and end it FAILED; inside a block with rules of its own, those decide."""

    kind: Literal["compensate"] = "compensate"


class Pause(Part):
    """Wait for an operator, who tries it again, skips it, completes it by hand or gives the run up."""

    kind: Literal["pause"] = "pause"


class Fail(Part):
    """End the run FAILED at once and undo nothing but the failed step itself."""

    kind: Literal["fail"] = "fail"


Resolution = Annotated[Retry | Fallback | ContinueWith | Compensate | Pause | Fail, Field(discriminator="kind")]


class Match(Part):
    """Which failures a rule is about."""

    error_type: str | None = Field(default=None, description="The error type it is for; null: any.")
    when: JsonValue = Field(
        default=None, description="Template of true or false, over error, attempt and elapsed_ms as well; null: always."
    )


class Rule(Match):
    """What follows a failure of a step. Rules are tried in order; one whose retries are used up is passed over."""

    then: Resolution
