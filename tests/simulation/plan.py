"""What a seed means: the workflow, who takes part, what is asked, and what goes wrong. All of it is drawn before the world begins.

A plan is a list of acts, and each act stands alone: a shorter plan is a plan, which is how a failure is made small.
"""

from dataclasses import dataclass, replace
from functools import cached_property

from actionbus.contracts.definitions import Graph
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.requests import IfExists, RequestKind
from actionbus.contracts.schedules import WORKFLOW as SCHEDULE
from simulation import workflows
from simulation.acts import Act, Ask, Deploy
from simulation.dice import Dice, lot
from simulation.faults import fault

SMALL = Limits(moves_per_transition=4, signals_buffered=3, fold_inputs=2)
OPERATIONS = (
    *(RequestKind.CANCEL, RequestKind.CANCEL, RequestKind.PAUSE, RequestKind.RESUME, RequestKind.SIGNAL),
    *(RequestKind.SIGNAL, RequestKind.RETRY_STEP, RequestKind.SKIP_STEP, RequestKind.COMPLETE_STEP),
    *(RequestKind.TERMINATE, RequestKind.CHANGE_TIMER, RequestKind.REWIND, RequestKind.ASSIGN_TASK),
)
AGAIN = (IfExists.REPLACE, IfExists.REPLACE, IfExists.REJECT, IfExists.RETURN)  # where there is a run already
TOLD = (RequestKind.SIGNAL, RequestKind.SIGNAL, RequestKind.PAUSE, RequestKind.RESUME, RequestKind.CANCEL)  # a schedule
WIDE = 0.75  # the share of worlds whose workflows may do more than run steps


@dataclass(frozen=True)
class Plan:
    """One world, before it begins."""

    seed: int
    acts: tuple[Act, ...]
    orchestrators: tuple[str, ...] = ("o1", "o2")
    workers: tuple[str, ...] = ("w1",)
    shards: int = 1
    latency_ms: float = 1.0
    verifies: bool = True
    reconcile_after_ms: int = 600_000
    failing: float = 0.2
    limits: Limits = DEFAULT_LIMITS
    keeps_shelves: bool = False
    features: tuple[str, ...] = ()

    @cached_property
    def graphs(self) -> list[Graph]:
        """The workflows."""
        return workflows.graphs(self)

    @property
    def later(self) -> float:
        """The share of attempts that leave their answers to others."""
        return 0.5 if workflows.LATER in self.features else 0.0

    def without(self, act: Act) -> "Plan":
        """The same, but for one act."""
        return replace(self, acts=tuple(each for each in self.acts if each is not act))

    def lot(self, *about) -> float:
        """See ``lot``."""
        return lot(self.seed, *about)


def drawn(seed: int, *, wide: bool = True) -> Plan:
    """The plan of a seed; unless it is ``wide``, its workflows do nothing but run steps, so that it costs less."""
    dice = Dice(f"plan {seed}")
    orchestrators = ("o1", "o2", "o3")[: dice.one_of(1, 2, 2, 2, 3)]
    workers = ("w1", "w2")[: dice.one_of(1, 2, 2)]
    features = _features(dice) if wide else ()
    acts: list[Act] = []
    for number in range(1, dice.one_of(1, 2, 2, 3, 4) + 1):
        acts += _run(dice, f"r{number}", features)
    if workflows.VERSIONS in features:
        acts.append(Deploy(dice.number(0, dice.one_of(60, 600))))
    if workflows.SCHEDULES in features:
        acts += _schedule(dice)
    for _ in range(dice.one_of(0, 1, 2, 2, 3, 4)):
        acts += fault(dice, orchestrators, workers)
    return Plan(
        seed=seed,
        acts=tuple(acts),
        orchestrators=orchestrators,
        workers=workers,
        shards=dice.one_of(1, 1, 2, 3),
        latency_ms=dice.one_of(0.3, 1.0, 4.0),
        verifies=dice.one_of(True, True, False),
        reconcile_after_ms=dice.one_of(600_000, 600_000, 600_000, 2_000),
        failing=dice.one_of(0.0, 0.1, 0.3),
        limits=dice.one_of(DEFAULT_LIMITS, DEFAULT_LIMITS, SMALL),
        keeps_shelves=dice.one_of(True, False),
        features=features,
    )


def _features(dice: Dice) -> tuple[str, ...]:
    """What the workflows of a world do beside the usual: often nothing, mostly little, for a wide world costs more."""
    chosen = dice.some_of(workflows.FEATURES, 4, unique=True) if dice.random() < WIDE else ()
    return tuple(each for each in workflows.FEATURES if each in chosen)


def _run(dice: Dice, run: str, features: tuple[str, ...]) -> list[Act]:
    """A run: begun, perhaps twice, and what operators and users ask of it."""
    began = dice.number(0, dice.one_of(20, 200, 800))
    version = dice.one_of(None, None, "1", "2") if workflows.VERSIONS in features else None
    first = Ask(began, run, RequestKind.START, f"{run}-start", dice.random(), version=version)
    acts: list[Act] = [first]
    if dice.random() < 0.1:
        acts = [replace(first, kind=RequestKind.SIGNAL, request_id=f"{run}-signal-start", workflow=workflows.ORDER)]
    if dice.random() < 0.3:
        acts.append(replace(first, at_ms=began + dice.number(0, dice.one_of(20, 100, 700))))
    if dice.random() < 0.15:
        soon, again = began + dice.number(20, dice.one_of(200, 1_500)), dice.one_of(*AGAIN)
        acts.append(replace(first, at_ms=soon, request_id=f"{run}-start-again", if_exists=again))
    for number in range(dice.one_of(0, 0, 1, 1, 2, 3)):
        acts += _asked(dice, run, began, number, OPERATIONS)
    if workflows.CHILDREN in features:
        for number in range(3, 3 + dice.one_of(0, 1, 1, 2)):
            acts += [replace(each, below=True) for each in _asked(dice, run, began, number, OPERATIONS)]
    if workflows.UPDATES in features:
        for number in range(6, 6 + dice.one_of(1, 2, 3)):
            acts += _asked(dice, run, began, number, (RequestKind.SIGNAL,))
    return acts


def _schedule(dice: Dice) -> list[Act]:
    """A schedule that fires a few times, and what it is told."""
    began = dice.number(0, dice.one_of(20, 800))
    first = Ask(began, "s1", RequestKind.START, "s1-start", dice.random(), workflow=SCHEDULE)
    acts: list[Act] = [first]
    for number in range(dice.one_of(0, 1, 1, 2, 3)):
        acts += _asked(dice, "s1", began, number, TOLD)
    return acts


def _asked(dice: Dice, run: str, began: int, number: int, kinds: tuple[RequestKind, ...]) -> list[Act]:
    """One thing that is asked of a run, perhaps twice."""
    kind = dice.one_of(*kinds)
    at_ms = began + dice.number(0, dice.one_of(10, 60, 600))
    acts: list[Act] = [Ask(at_ms, run, kind, f"{run}-{kind}-{number}", dice.random())]
    if dice.random() < 0.2:
        acts.append(replace(acts[0], at_ms=at_ms + dice.number(0, 500)))
    if dice.random() < 0.1:
        acts[-1] = replace(acts[-1], astray=True)
    return acts
