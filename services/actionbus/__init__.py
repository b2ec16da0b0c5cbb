"""actionbus: durable workflows on Kafka. These are the names a user needs; every room below has a docstring of its own.

Declare with ``action`` and ``workflow``; decide with ``rule`` and ``Retry``; fail with ``ActionFailed``,
``NonRetryable`` and ``RetryAfter``. ``actionbus.testing`` runs workflows without Kafka; ``actionbus.client`` starts and
follows them.
"""

from actionbus.contracts.errors import ActionbusError, Conflict, DefinitionRefused, PayloadRefused, Refused, RunFailed
from actionbus.sdk.action import Action
from actionbus.sdk.call import Call
from actionbus.sdk.context import ActionContext
from actionbus.sdk.declare import action
from actionbus.sdk.errors import ActionFailed, NonRetryable, RetryAfter
from actionbus.sdk.flow import Flow
from actionbus.sdk.retry import Retry
from actionbus.sdk.rule import OnFailure, rule
from actionbus.sdk.workflow import Workflow, workflow

__all__ = [
    "Action",
    "ActionContext",
    "ActionFailed",
    "ActionbusError",
    "Call",
    "Conflict",
    "DefinitionRefused",
    "Flow",
    "NonRetryable",
    "OnFailure",
    "PayloadRefused",
    "Refused",
    "Retry",
    "RetryAfter",
    "RunFailed",
    "Workflow",
    "action",
    "rule",
    "workflow",
]
