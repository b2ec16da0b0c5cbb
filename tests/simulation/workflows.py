"""The workflows of a world, drawn from its seed: the one that runs are asked of, a later version of it, and another one.

What only some worlds have costs the others nothing: a plan names what its workflows may do.
"""

import importlib
from contextlib import contextmanager
from types import SimpleNamespace
from unittest import mock

from actionbus.contracts import identifiers
from actionbus.contracts.definitions import Graph, WorkflowDefinition
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.records import OutRecord
from actionbus.engine.definition import Definition
from engine.any_workflow import LEAVES, Author, written
from engine.graphs import DAY_MS, ref
from simulation.dice import Dice

MOST_NODES = 6
FEW_NODES = 2
ORDER, OTHER = "order", "other"  # the usual one is the first
CHILDREN, UPDATES, LIMITS, LATER, VERSIONS, SCHEDULES = (
    "children",
    "updates",
    "limits",
    "later",
    "versions",
    "schedules",
)
FEATURES = (CHILDREN, UPDATES, LIMITS, LATER, VERSIONS, SCHEDULES)


class Writer(Author):
    """Writes workflows that do what the features say."""

    def __init__(self, dice: Dice, features: tuple[str, ...], most: int, *, children: bool) -> None:
        super().__init__(dice, most, alone=UPDATES not in features)
        self.leaves = [each for each in LEAVES if each != "child"] + ["child"] * 3 * children
        self.leaves += ["wait"] * 2 * (UPDATES in features)

    def child(self, name, reads, scopes):
        """A run of its own, of the other workflow; the version may be said, also one that is not there."""
        made, named = super().child(name, reads, scopes)
        given = {"n": ref("input", "n"), "reads": reads, "scopes": scopes}
        return made.model_copy(update={"input": given, "version": self.one_of(None, None, None, "1", "9")}), named


def graphs(plan) -> list[Graph]:
    """Of what is deployed at the beginning, and last, in worlds that have it, the version that comes later."""
    features = plan.features
    children = CHILDREN in features
    found = [_graph(plan, Dice(plan.seed), MOST_NODES, children=children)]
    if children or SCHEDULES in features:
        other = _graph(plan, Dice(f"other {plan.seed}"), FEW_NODES)
        found.append(other.model_copy(update={"name": OTHER, "output": {"v": other.output}}))
    if VERSIONS in features:
        later = _graph(plan, Dice(f"later {plan.seed}"), FEW_NODES, children=children)
        found.append(later.model_copy(update={"version": "2", "limit": found[0].limit, "actions": found[0].actions}))
    return found


def _graph(plan, dice: Dice, most: int, *, children: bool = False) -> Graph:
    made = written(Writer(dice, plan.features, most, children=children))
    return _limited(made, Dice(f"limits {plan.seed}")) if LIMITS in plan.features else made


def _limited(graph: Graph, dice: Dice) -> Graph:
    """The same under limits that all workflows of a world share: of each action, and of runs."""
    of = {"a": _limit(dice, "input.given"), "f": _limit(dice), "u": _limit(dice)}
    actions = {name: spec.model_copy(update={"limit": of[name]}) for name, spec in graph.actions.items()}
    return graph.model_copy(update={"actions": actions, "limit": _limit(dice, "input.n")})


def _limit(dice: Dice, key: str | None = None) -> LimitPolicy | None:
    rate = dice.one_of(None, None, 2)
    policy = LimitPolicy(
        concurrency=dice.one_of(1, 1, 2, 3), rate=rate, per_ms=dice.one_of(120, 240), key=dice.one_of(None, key)
    )
    return dice.one_of(policy, policy, None)


def record(codec, definition: WorkflowDefinition) -> OutRecord:
    """What deploys a workflow."""
    key = identifiers.definition_key(definition.name, definition.version)
    return OutRecord(key=key.encode(), value=codec.encode(definition))


@contextmanager
def compiled_once():
    """Whoever reads a definition inside gets the one that somebody has compiled: it is the same for all of a world."""
    module = importlib.import_module("actionbus.orchestrator.definitions")
    real, known = module.Definition, {}

    def deployed(definition: WorkflowDefinition, **given) -> Definition:
        if definition.hash not in known:
            known[definition.hash] = real.deployed(definition, **given)
        return known[definition.hash]

    with mock.patch.object(module, "Definition", SimpleNamespace(deployed=deployed)):
        yield


def compiled(definition: WorkflowDefinition, limits) -> Definition:
    """A workflow as an orchestrator has it."""
    module = importlib.import_module("actionbus.orchestrator.definitions")
    return module.Definition.deployed(definition, limits=limits, run_retention_ms=DAY_MS)
