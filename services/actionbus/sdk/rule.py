"""The decision that a workflow writes beside a step: which failure, and what follows.

Rules are tried in order. One that names the failure decides at once; ``rule.any`` waits until the step's own retries
are used up. A retry rule stands in for the step's own retries, and is passed over when it is used up. Where no rule
matches, the step is tried again by its own policy, then everything is undone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Never, TypeVar

from actionbus.sdk import place
from actionbus.sdk.call import Call
from actionbus.sdk.place import Place
from actionbus.sdk.retry import Retry

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The last failure of a step, as its fallback may read it."""

    type: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFailure(Generic[R_co]):
    """One rule. A fallback and a value to continue with must be of the step's own type."""

    error_type: str | None
    then: Literal["retry", "fallback", "continue_with", "compensate", "fail"]
    place: Place
    policy: Retry | None = None
    fallback: "Call[Any] | Callable[[Failure], Call[Any]] | None" = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class When:
    """A kind of failure, waiting for what follows it."""

    error_type: str | None

    def retry(self, policy: Retry | None = None) -> OnFailure[Never]:
        """Try again by this policy; when it is used up, the next rule decides."""
        return OnFailure(error_type=self.error_type, then="retry", place=place.here(), policy=policy or Retry())

    def fallback(self, call: Call[R] | Callable[[Failure], Call[R]]) -> OnFailure[R]:
        """Do something else instead; what it gives becomes the step's output.

        ``fallback(lambda failure: call(reason=failure.message))`` hands on why the step failed.
        """
        return OnFailure(error_type=self.error_type, then="fallback", place=place.here(), fallback=call)

    def continue_with(self, value: R) -> OnFailure[R]:
        """Go on as if the step had given this value: a constant, known now."""
        return OnFailure(error_type=self.error_type, then="continue_with", place=place.here(), value=value)

    def compensate(self) -> OnFailure[Never]:
        """Undo what the run did, last step first, and end it FAILED."""
        return OnFailure(error_type=self.error_type, then="compensate", place=place.here())

    def fail(self) -> OnFailure[Never]:
        """End the run FAILED at once and undo nothing but this step itself."""
        return OnFailure(error_type=self.error_type, then="fail", place=place.here())


class Rules:
    """``rule("MailboxFull")`` is about failures of that type, ``rule.any`` about all."""

    any: Final = When(None)

    def __call__(self, error_type: str | type[Exception]) -> When:
        """About failures of one type: its name, or the class of the exception that is raised."""
        return When(error_type if isinstance(error_type, str) else error_type.__name__)


rule: Final = Rules()
