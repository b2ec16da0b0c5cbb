"""The kinds of nodes that a graph is made of. How each is carried out stands in ``engine/shapes``, one file a kind.

Every node has an id that is unique in its graph, under which later nodes read its output. Where a node holds others,
``inside`` gives them with what their path adds: ``.id``, or ``[]`` for what may happen several times.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from actionbus.contracts.decisions import (
    HEARTBEAT_LEAST_MS,
    Call,
    Compensate,
    ContinueWith,
    Match,
    Retry,
    RetryPolicy,
    Rule,
)
from actionbus.contracts.part import Part

Inside = Iterator[tuple[str, "Node"]]
EACH = "[]"


class _Node(Part):
    id: str

    def inside(self) -> Inside:
        """The nodes directly inside this one."""
        yield from ()


class StepNode(_Node):
    """One use of an action. Its output is the action's."""

    kind: Literal["step"] = "step"
    call: Call
    undo: Call | None = None
    retry: RetryPolicy | None = Field(default=None, description="Null: the action's own policy.")
    rules: tuple[Rule, ...] = ()
    start_to_close_ms: int | None = Field(
        default=None, gt=0, description="Limit of one attempt; null: the action's own."
    )
    schedule_to_start_ms: int | None = Field(
        default=None, gt=0, description="Limit of the time that an attempt waits for a worker."
    )
    schedule_to_close_ms: int | None = Field(default=None, gt=0, description="Limit of all attempts together.")
    heartbeat_ms: int | None = Field(
        default=None,
        ge=HEARTBEAT_LEAST_MS,
        description="How long an attempt that began may say nothing; null: the action's own.",
    )
    pivot: bool = Field(default=False, description="The point of no return; see the graph's ``saga``.")


class EmitNode(_Node):
    """A record that the orchestrator publishes in the transaction that reaches this node. It has no output."""

    kind: Literal["emit"] = "emit"
    topic: str
    key: JsonValue = None
    value: JsonValue = None


class SetNode(_Node):
    """A value that is made of others. It is the output."""

    kind: Literal["set"] = "set"
    value: JsonValue


class ShowNode(_Node):
    """A value that whoever looks at the run can read from here on, under a name. It has no output."""

    kind: Literal["show"] = "show"
    name: str = Field(description="Under which it is shown; the next value of that name takes its place.")
    value: JsonValue = None


class RaiseNode(_Node):
    """A failure that the author decides on. It has no output."""

    kind: Literal["raise"] = "raise"
    error_type: str
    message: JsonValue = Field(default="", description="Template of a text.")
    details: JsonValue = None


class SequenceNode(_Node):
    """Nodes one after the other."""

    kind: Literal["sequence"] = "sequence"
    nodes: tuple["Node", ...]
    output: JsonValue = Field(default=None, description="Template of its output, over the nodes inside it.")

    def inside(self) -> Inside:
        """Its nodes, each under its id."""
        for each in self.nodes:
            yield f".{each.id}", each


class Case(Part):
    """A condition and what follows when it holds."""

    when: JsonValue = Field(description="Template of true or false.")
    then: "Node"


class ChooseNode(_Node):
    """The first case whose condition holds. Its output is that of the node it chose; null when it chose none."""

    kind: Literal["choose"] = "choose"
    cases: tuple[Case, ...]
    otherwise: "Node | None" = None

    def inside(self) -> Inside:
        """What may be chosen, in order."""
        for each in self.cases:
            yield f".{each.then.id}", each.then
        if self.otherwise is not None:
            yield f".{self.otherwise.id}", self.otherwise


class ParallelNode(_Node):
    """Nodes at the same time. Its output is the list of theirs, in their order; null for those that did not succeed."""

    kind: Literal["parallel"] = "parallel"
    branches: tuple["Node", ...]
    enough: int | None = Field(
        default=None,
        ge=1,
        description="How many have to succeed: then the others are given up and undone; null: all.",
    )

    def inside(self) -> Inside:
        """Its branches, each under its id."""
        for each in self.branches:
            yield f".{each.id}", each


class MapNode(_Node):
    """One node for each item of a list. Its output is the list of theirs, in the order of the items.

    Inside, ``scope.<id>.item`` is the item and ``scope.<id>.index`` its place, from 0. A failed item that is allowed to
    fail is undone, and its output is null.
    """

    kind: Literal["map"] = "map"
    items: JsonValue = Field(description="Template of the list.")
    body: "Node"
    concurrency: int = Field(default=50, ge=1, description="Items under way at the same time.")
    may_fail: int = Field(default=0, ge=0, description="How many items may fail without failing the whole.")
    may_fail_percent: float = Field(
        default=0, ge=0, le=100, description="The same as a share of all items; the larger of the two counts."
    )

    def inside(self) -> Inside:
        """What is done for each item."""
        yield EACH, self.body


class RepeatNode(_Node):
    """One node again and again. Its output is that of the last turn; null without a turn.

    Inside and in its conditions, ``scope.<id>.turn`` counts from 0, and ``scope.<id>.last`` is the output of the turn
    before, null in the first. Without a limit every finished turn is final: what it did is not undone any more, so the
    run's state stays as small as one turn.
    """

    kind: Literal["repeat"] = "repeat"
    body: "Node"
    while_: JsonValue = Field(default=None, alias="while", description="Template: whether another turn begins.")
    until: JsonValue = Field(default=None, description="Template: whether the turn that just ended was the last.")
    limit: int | None = Field(default=None, ge=1, description="Most turns; one more fails the node. Null: no limit.")

    def inside(self) -> Inside:
        """What is repeated."""
        yield EACH, self.body


class Waiting(_Node):
    """What is common to the nodes that a signal ends."""

    signal: str
    payload_schema: JsonValue = Field(default_factory=dict, description="JSON Schema of the payload.")
    accept: JsonValue = Field(default=None, description="Template of true or false: whether a payload is taken.")
    answer: JsonValue = Field(default=None, description="Template of what the sender of a payload that is taken gets.")
    timeout_ms: int | None = Field(default=None, gt=0)
    on_timeout: "Node | None" = Field(default=None, description="What follows instead; null: it fails with Timeout.")

    def inside(self) -> Inside:
        """What follows when no signal came."""
        if self.on_timeout is not None:
            yield f".{self.on_timeout.id}", self.on_timeout


class WaitNode(Waiting):
    """A signal that is waited for. Its output is the signal's payload, or that of ``on_timeout``.

    In ``accept`` and ``answer``, ``payload`` is what the signal says. A signal that is not accepted is refused, and
    changes nothing.
    """

    kind: Literal["wait"] = "wait"


class PersonNode(Waiting):
    """A task for a person: a wait whose signal is a filled form. Its output is the form, or that of ``on_timeout``.

    Inside, ``scope.<id>.title`` and ``scope.<id>.assignee`` say what is to be done and by whom.
    """

    kind: Literal["person"] = "person"
    title: JsonValue = Field(description="Template of a text: what is to be done.")
    assignee: JsonValue = Field(default=None, description="Template of a text: who is asked first; null: anybody.")
    due_ms: int | None = Field(default=None, gt=0, description="When it is overdue; it is waited for all the same.")
    remind_after_ms: tuple[Annotated[int, Field(gt=0)], ...] = Field(default=(), description="When to remind.")
    on_reminder: "Node | None" = Field(default=None, description="What reminds, also when it is overdue.")

    def inside(self) -> Inside:
        """What follows when nobody did it, and what reminds."""
        yield from super().inside()
        if self.on_reminder is not None:
            yield EACH, self.on_reminder


class SleepNode(_Node):
    """Time that passes. It has no output."""

    kind: Literal["sleep"] = "sleep"
    for_ms: JsonValue = Field(default=None, description="Template of milliseconds.")
    until: JsonValue = Field(default=None, description="Template of RFC 3339 text or epoch milliseconds.")


class GiveUp(StrEnum):
    """What becomes of a run that another one started and does not wait for any more."""

    CANCEL = "cancel"
    """It is cancelled; what the other run did is undone once it has ended."""
    TERMINATE = "terminate"
    """It is stopped at once and undoes nothing; nobody waits for that."""
    LEAVE = "leave"
    """It goes on by itself."""


class ChildNode(_Node):
    """A run of its own. Its output is that run's; of a run that is not waited for, an object with its ``run_id``."""

    kind: Literal["child"] = "child"
    workflow: str
    version: str | None = Field(default=None, description="Null: the newest that is deployed when the run starts.")
    input: JsonValue = None
    run_id: JsonValue = Field(default=None, description="Template of a text; null: one made of the run and the path.")
    wait: bool = Field(default=True, description="Whether its end is waited for; else only its beginning.")
    give_up: GiveUp = Field(default=GiveUp.CANCEL, description="What becomes of it when it is not waited for any more.")
    timeout_ms: int | None = Field(default=None, gt=0, description="How long it is waited for.")
    undo: Call | None = Field(default=None, description="What takes back a run that completed.")


class ScheduleNode(_Node):
    """The one node of the workflow that is built in for schedules; the run's input says what it starts and when."""

    kind: Literal["schedule"] = "schedule"


class Handle(Part):
    """Go on with another node instead of the block; its output becomes the block's output."""

    kind: Literal["handle"] = "handle"
    node: "Node"


class BlockRule(Match):
    """What follows a failure of a block, once what was done inside is undone."""

    undo: bool = Field(default=True, description="Whether what was done inside is undone before anything follows.")
    then: Annotated[Retry | Handle | ContinueWith | Compensate, Field(discriminator="kind")]


class TryNode(_Node):
    """A block with rules of its own, as try, except and finally. Its output is that of the block or of its handler.

    A failed block is undone before its rules are followed, unless they say otherwise. ``always`` follows in every case
    but that the run ends; its output is not read.
    """

    kind: Literal["try"] = "try"
    body: "Node"
    rules: tuple[BlockRule, ...] = ()
    always: "Node | None" = None
    timeout_ms: int | None = Field(
        default=None, gt=0, description="Limit of one attempt of the block; then it fails with Timeout."
    )

    def inside(self) -> Inside:
        """The block, which may be tried again, its handlers and what always follows."""
        yield EACH, self.body
        for rule in self.rules:
            if isinstance(rule.then, Handle):
                yield f".{rule.then.node.id}", rule.then.node
        if self.always is not None:
            yield f".{self.always.id}", self.always


Node = Annotated[
    StepNode
    | EmitNode
    | SetNode
    | ShowNode
    | RaiseNode
    | SequenceNode
    | ChooseNode
    | ParallelNode
    | MapNode
    | RepeatNode
    | WaitNode
    | PersonNode
    | SleepNode
    | ChildNode
    | ScheduleNode
    | TryNode,
    Field(discriminator="kind"),
]

for _model in (
    SequenceNode, Case, ChooseNode, ParallelNode, MapNode, RepeatNode, WaitNode, PersonNode, Handle, BlockRule, TryNode
):  # fmt: skip
    _model.model_rebuild()
