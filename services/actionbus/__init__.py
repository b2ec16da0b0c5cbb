"""actionbus: durable workflows on Kafka. These are the names a user needs; every room below has a docstring of its own.

Declare with ``action`` and ``workflow``; compute with ``cel``; decide with ``rule`` and ``Retry``; hold back with
``Limit``; fail with ``ActionFailed``, ``NonRetryable``, ``RetryAfter`` and ``OutcomeUnknown``. ``actionbus.testing``
runs workflows without Kafka; ``actionbus.client`` starts and follows them.
"""

from actionbus.contracts.errors import ActionbusError, Conflict, DefinitionRefused, PayloadRefused, Refused, RunFailed
from actionbus.sdk.action import Action
from actionbus.sdk.call import Call
from actionbus.sdk.context import ActionContext
from actionbus.sdk.declare import action
from actionbus.sdk.errors import ActionFailed, NonRetryable, OutcomeUnknown, RetryAfter
from actionbus.sdk.expression import cel
from actionbus.sdk.flow import Flow
from actionbus.sdk.limit import Limit
from actionbus.sdk.loops import Turn
from actionbus.sdk.retry import Retry
from actionbus.sdk.rule import Failure, OnBlockFailure, OnFailure, rule
from actionbus.sdk.waits import Task
from actionbus.sdk.workflow import Workflow, workflow

__all__ = [
    "Action",
    "ActionContext",
    "ActionFailed",
    "ActionbusError",
    "Call",
    "Conflict",
    "DefinitionRefused",
    "Failure",
    "Flow",
    "Limit",
    "NonRetryable",
    "OnBlockFailure",
    "OnFailure",
    "OutcomeUnknown",
    "PayloadRefused",
    "Refused",
    "Retry",
    "RetryAfter",
    "RunFailed",
    "Task",
    "Turn",
    "Workflow",
    "action",
    "cel",
    "rule",
    "workflow",
]
