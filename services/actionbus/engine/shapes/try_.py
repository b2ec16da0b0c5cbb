"""A block with rules of its own, as try, except and finally.

The block's path carries its attempt, ``block[2]``: an attempt that was undone is closed for ever, the next one is
another. The scope's cursor is the attempt under way; what else it remembers is ``Memory``. Its one timer is the time of
the attempt under way, or between two attempts that before the next one.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, assert_never

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.decisions import Compensate, ContinueWith, Retry, RetryPolicy
from actionbus.contracts.definitions import Graph
from actionbus.contracts.nodes import Handle, TryNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import TimerKind
from actionbus.engine import decide, failure
from actionbus.engine.decide import Failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft

_ONCE = RetryPolicy(attempts=1)  # a block is tried again only by a rule


@dataclass(slots=True, kw_only=True)
class Memory:
    """What a block remembers: since when it goes on, why it failed, the rule that decided, and how it ends.

    ``rule`` counts from 1; 0: none matched. ``delay_ms``: what is waited before the attempt begins; where a block
    has a limit, 0 once it has. ``over``: only what always follows is still to be done.
    """

    since: int
    error: Json = None
    rule: int = 0
    delay_ms: int = 0
    output: Json = None
    over: bool = False

    @classmethod
    def of(cls, draft: "Draft", path: str) -> "Memory":
        """What the scope at a path holds."""
        return cls(**payloads.decode(draft.scopes[path].data or b"{}"))

    def keep(self, draft: "Draft", path: str, attempt: int | None = None) -> None:
        """Write it into the scope."""
        draft.open(path, draft.scopes[path].cursor if attempt is None else attempt, payloads.encode(asdict(self)))


class TryShape(Shape):
    """See ``Shape``."""

    hands_on = True

    def reads(self, node: TryNode) -> Iterator[Json]:
        """The conditions of its rules."""
        for rule in node.rules:
            yield rule.when

    def plan(self, node: TryNode, graph: Graph) -> tuple[Template | None, ...]:
        """The conditions of its rules."""
        del graph
        return tuple(Template.maybe(rule.when) for rule in node.rules)

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Try the block."""
        draft.open(path, 1, payloads.encode(asdict(Memory(since=draft.now))))
        self._begin(draft, place, path)

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """The block, its handler, or what always follows is done."""
        memory = Memory.of(draft, path)
        if child.endswith("]"):
            draft.disarm(path)
        if memory.over:
            self._conclude(draft, path, memory)
            return
        memory.output, memory.error = payloads.decode(output or b"null"), None
        self._end(draft, place, path, memory)

    def failed(self, draft: "Draft", place: "Place", path: str, child: str, error: ActionError) -> None:
        """The block failed: its rules decide. What stands in for it, or follows it, has no rules."""
        memory = Memory.of(draft, path)
        draft.abandon(child)
        if memory.over:
            draft.close(path)
            draft.fail(path, error)
        elif child.endswith("]"):
            draft.disarm(path)
            self._ask(draft, place, path, memory, error)
        else:
            memory.error = _plain(error)
            self._end(draft, place, path, memory)

    def unwound(self, draft: "Draft", place: "Place", path: str, below: str) -> None:
        """What the block did is undone: what was decided follows."""
        del below
        self._follow(draft, place, path, Memory.of(draft, path))

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """The time for the next attempt has come, or that of the attempt under way is over."""
        node: TryNode = place.node
        memory, attempt = Memory.of(draft, path), draft.scopes[path].cursor
        if memory.delay_ms:
            if node.timeout_ms is not None:
                memory.delay_ms = 0
                memory.keep(draft, path)
            self._begin(draft, place, path)
            return
        if node.timeout_ms is None:  # the run went over to a version without a limit
            return
        draft.abandon(f"{path}[{attempt}]")
        message = f"{path}: attempt {attempt} of the block took longer than {node.timeout_ms} ms"
        self._ask(draft, place, path, memory, ActionError(type=failure.TIMEOUT, message=message))

    def gives(self, draft: "Draft", place: "Place", path: str, reader: str) -> Json:
        """Why the block failed, for its handler and what always follows; the error is null when it did not."""
        del place, reader
        memory = Memory.of(draft, path)
        error = None if memory.error is None else failure.as_json(_error(memory.error))
        return {"error": error, "attempt": draft.scopes[path].cursor}

    def _ask(self, draft: "Draft", place: "Place", path: str, memory: Memory, error: ActionError) -> None:
        node: TryNode = place.node
        attempt = draft.scopes[path].cursor
        key = draft.key(path, draft.incarnation)
        failed = Failure(
            error=error,
            attempt=attempt,
            command_id=identifiers.command_id(key, attempt),
            now=draft.now,
            since=memory.since,
            close_at=None,
        )
        verdict = decide.decide(node.rules, _ONCE, failed, holds=decide.conditions(draft, path, place.plan, failed))
        draft.decide(verdict.then.kind, path=path, attempt=attempt, rule=verdict.rule, reason=verdict.reason)
        memory.error, memory.rule, memory.delay_ms = _plain(error), verdict.number, verdict.delay_ms
        memory.keep(draft, path)
        if verdict.number:
            draft.unwind(path, f"{path}[{attempt}]", begun=not node.rules[verdict.number - 1].undo)
        else:
            self._follow(draft, place, path, memory)

    def _follow(self, draft: "Draft", place: "Place", path: str, memory: Memory) -> None:
        then = place.node.rules[memory.rule - 1].then if memory.rule else Compensate()
        match then:
            case Retry():
                attempt = draft.scopes[path].cursor + 1
                if draft.busy:  # attempts that need nobody must let other runs go on
                    memory.delay_ms = max(memory.delay_ms, 1)
                memory.keep(draft, path, attempt)
                if memory.delay_ms:
                    draft.arm(TimerKind.WAKE, draft.now + memory.delay_ms, path)
                else:
                    self._begin(draft, place, path)
            case Handle(node=node):
                draft.enter(f"{path}.{node.id}")
            case ContinueWith(value=value):
                memory.output, memory.error = value, None
                self._end(draft, place, path, memory)
            case Compensate():
                self._end(draft, place, path, memory)
            case _:
                assert_never(then)

    def _begin(self, draft: "Draft", place: "Place", path: str) -> None:
        draft.enter(f"{path}[{draft.scopes[path].cursor}]")
        if place.node.timeout_ms is not None:
            draft.arm(TimerKind.WAKE, draft.now + place.node.timeout_ms, path)

    def _end(self, draft: "Draft", place: "Place", path: str, memory: Memory) -> None:
        always = place.node.always
        if always is None:
            self._conclude(draft, path, memory)
            return
        memory.over = True
        memory.keep(draft, path)
        draft.enter(f"{path}.{always.id}")

    def _conclude(self, draft: "Draft", path: str, memory: Memory) -> None:
        draft.close(path)
        if memory.error is None:
            draft.finish(path, payloads.encode(memory.output))
        else:
            draft.fail(path, _error(memory.error))


def _plain(error: ActionError) -> dict[str, Any]:
    details = None if error.details is None else error.details.decode(errors="replace")
    return {**error.plain(), "details": details}


def _error(plain: dict[str, Any]) -> ActionError:
    return ActionError.model_validate(plain)
