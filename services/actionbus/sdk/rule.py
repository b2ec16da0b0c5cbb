"""The decision that a workflow writes beside a step or a block: which failure, and what follows.

Rules are tried in order. One that names the failure or has a condition decides at once; ``rule.any`` waits until the
step's own retries are used up. A retry rule stands in for the step's own retries, and is passed over when it is used
up. Where no rule matches, the step is tried again by its own policy, then everything is undone; a block fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, Never, TypeVar

from actionbus.contracts.templates import ATTEMPT, ELAPSED, ERROR, REF
from actionbus.sdk import place
from actionbus.sdk.call import Call
from actionbus.sdk.expression import Expression, written
from actionbus.sdk.place import Place
from actionbus.sdk.retry import Retry

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

GIVEN: Final = {name: {REF: [name]} for name in (ERROR, ATTEMPT, ELAPSED)}
"""What the condition of a rule sees beside what is bound to it: templates by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """The last failure of a step or block, as what follows it may read it."""

    type: str
    message: str
    retryable: bool


@dataclass(frozen=True, kw_only=True)
class Decision(Generic[R_co]):
    """One rule. What stands in for the value of a step must be of the step's own type."""

    matches: "When"
    then: Literal["retry", "fallback", "handle", "continue_with", "compensate", "pause", "fail"]
    place: Place
    policy: Retry | None = None
    instead: "Call[Any] | Callable[[Failure], Any] | None" = None
    value: Any = None
    undo: bool = True


class OnFailure(Decision[R_co]):
    """A rule that a step may have."""


class OnBlockFailure(Decision[R_co]):
    """A rule that a block may have."""


class OnAnyFailure(OnFailure[R_co], OnBlockFailure[R_co]):
    """A rule that both may have. ``undo=False`` is for blocks: it keeps what the failed block did."""


@dataclass(frozen=True, slots=True)
class When:
    """A kind of failure, waiting for what follows it."""

    error_type: str | None
    condition: Expression | None = None

    def when(self, text: str, /, **names: Any) -> "When":
        """Only where an expression holds: ``rule.any.when("attempt < 3 && error.details.code == 429")``.

        It sees ``error`` (type, message, retryable, and details where the action gave some), ``attempt`` (1 for the
        first), ``elapsed_ms`` since that one, and what is bound by name. Without an answer it does not hold.
        """
        return When(self.error_type, written(text, names, GIVEN))

    def retry(self, policy: Retry | None = None, *, undo: bool = True) -> OnAnyFailure[Never]:
        """Try again by this policy; when it is used up, the next rule decides."""
        return OnAnyFailure(matches=self, then="retry", place=place.here(), policy=policy or Retry(), undo=undo)

    def fallback(self, call: Call[R] | Callable[[Failure], Call[R]]) -> OnFailure[R]:
        """Run another action instead of the step; what it gives becomes the step's output.

        ``fallback(lambda failure: call(reason=failure.message))`` hands on why the step failed.
        """
        return OnFailure(matches=self, then="fallback", place=place.here(), instead=call)

    def handle(self, handler: Callable[[Failure], R], *, undo: bool = True) -> OnBlockFailure[R]:
        """Do something else instead of the block; what the handler returns becomes what the block gives."""
        return OnBlockFailure(matches=self, then="handle", place=place.here(), instead=handler, undo=undo)

    def continue_with(self, value: R, *, undo: bool = True) -> OnAnyFailure[R]:
        """Go on as if the step or block had given this value: a constant, known now."""
        return OnAnyFailure(matches=self, then="continue_with", place=place.here(), value=value, undo=undo)

    def compensate(self, *, undo: bool = True) -> OnAnyFailure[Never]:
        """Undo what the run did, last step first, and end it FAILED; inside a block, the block's rules decide."""
        return OnAnyFailure(matches=self, then="compensate", place=place.here(), undo=undo)

    def pause(self) -> OnFailure[Never]:
        """Wait for an operator, who tries the step again, skips it, completes it by hand or gives the run up."""
        return OnFailure(matches=self, then="pause", place=place.here())

    def fail(self) -> OnFailure[Never]:
        """End the run FAILED at once and undo nothing but this step itself."""
        return OnFailure(matches=self, then="fail", place=place.here())


class Rules:
    """``rule("MailboxFull")`` is about failures of that type, ``rule.any`` about all."""

    any: Final = When(None)

    def __call__(self, error_type: str | type[Exception]) -> When:
        """About failures of one type: its name, or the class of the exception that is raised."""
        return When(error_type if isinstance(error_type, str) else error_type.__name__)


rule: Final = Rules()
