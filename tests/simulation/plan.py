"""What a seed means: the workflow, who takes part, what is asked, and what goes wrong. All of it is drawn before the world begins.

A plan is a list of acts, and each act stands alone: a shorter plan is a plan, which is how a failure is made small.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from random import Random

from actionbus.contracts.definitions import Graph
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.requests import RequestKind
from engine.any_workflow import Author, written

MOST_NODES = 6
ACTIVE_MS = 1_600  # in this time everything is asked and everything goes wrong
KINDS = {  # of requests that may go wrong, by kind of process
    "o": ("add", "write", "end", "end", "fence", "publish", "publish", "publish", "read"),
    "w": ("reply", "reply", "settle"),
}
SMALL = Limits(moves_per_transition=4, signals_buffered=3, fold_inputs=2)
OPERATIONS = (
    *(RequestKind.CANCEL, RequestKind.CANCEL, RequestKind.PAUSE, RequestKind.RESUME, RequestKind.SIGNAL),
    *(RequestKind.SIGNAL, RequestKind.RETRY_STEP, RequestKind.SKIP_STEP, RequestKind.COMPLETE_STEP),
    *(RequestKind.TERMINATE, RequestKind.CHANGE_TIMER),
)


class Dice(Random):
    """Lots of a seed."""

    def one_of(self, *choices):
        """Any of them."""
        return self.choice(choices)

    def number(self, low, high):
        """Any whole number from one to the other."""
        return self.randint(low, high)

    def some_of(self, choices, most, *, unique=False):
        """A few of them, at most so many."""
        count = self.randint(0, most)
        return self.sample(choices, min(count, len(choices))) if unique else self.choices(choices, k=count)


def lot(seed: int, *about) -> float:
    """From 0 to 1, the same for the same seed and matter, whatever else was drawn before."""
    drawn = blake2b(repr((seed, *about)).encode(), digest_size=7).digest()
    return int.from_bytes(drawn, "big") / 2**56


@dataclass(frozen=True)
class Ask:
    """Somebody asks something of a run; ``pick`` chooses among its steps."""

    at_ms: int
    run: str
    kind: RequestKind
    request_id: str
    pick: float = 0.0


@dataclass(frozen=True)
class Kill:
    """A process dies right before or right after an effect, and comes back after a while.

    It is the ``then``-th effect after the ``number``-th one of a kind; the kind "" is any. ``who`` is a process, or "o" or
    "w" for whichever orchestrator or worker it is then.
    """

    who: str
    kind: str
    number: int
    then: int
    after: bool
    back_ms: int


@dataclass(frozen=True)
class Freeze:
    """A process stands still from an effect on, for a while; what it has sent is under way."""

    who: str
    kind: str
    number: int
    then: int
    for_ms: int


@dataclass(frozen=True)
class Trouble:
    """Something happens to a process's n-th request of a kind."""

    who: str
    kind: str
    number: int
    fate: str
    ms: int


@dataclass(frozen=True)
class Move:
    """The group gives the shard, or a worker's partitions, to another process; each hears of it in its time."""

    at_ms: int
    to: str
    told_new_ms: int
    told_old_ms: int


@dataclass(frozen=True)
class Jump:
    """The broker's clock jumps."""

    at_ms: int
    by_ms: int


@dataclass(frozen=True)
class Markers:
    """The markers of ended transactions are late for a while."""

    at_ms: int
    for_ms: int


Act = Ask | Kill | Freeze | Trouble | Move | Jump | Markers


@dataclass(frozen=True)
class Plan:
    """One world, before it begins."""

    seed: int
    acts: tuple[Act, ...]
    orchestrators: tuple[str, ...] = ("o1", "o2")
    workers: tuple[str, ...] = ("w1",)
    latency_ms: float = 1.0
    verifies: bool = True
    reconcile_after_ms: int = 600_000
    failing: float = 0.2
    limits: Limits = DEFAULT_LIMITS
    keeps_shelves: bool = False

    @cached_property
    def graph(self) -> Graph:
        """The workflow."""
        return written(Author(Dice(self.seed), most=MOST_NODES, alone=True))

    def without(self, act: Act) -> "Plan":
        """The same, but for one act."""
        return replace(self, acts=tuple(each for each in self.acts if each is not act))

    def lot(self, *about) -> float:
        """See ``lot``."""
        return lot(self.seed, *about)


def drawn(seed: int) -> Plan:
    """The plan of a seed."""
    dice = Dice(f"plan {seed}")
    orchestrators = ("o1", "o2", "o3")[: dice.one_of(1, 2, 2, 2, 3)]
    workers = ("w1", "w2")[: dice.one_of(1, 2, 2)]
    acts: list[Act] = []
    for number in range(1, dice.one_of(1, 2, 2, 3, 4) + 1):
        acts += _run(dice, f"r{number}")
    for _ in range(dice.one_of(0, 1, 2, 2, 3, 4)):
        acts += _fault(dice, orchestrators, workers)
    return Plan(
        seed=seed,
        acts=tuple(acts),
        orchestrators=orchestrators,
        workers=workers,
        latency_ms=dice.one_of(0.3, 1.0, 4.0),
        verifies=dice.one_of(True, True, False),
        reconcile_after_ms=dice.one_of(600_000, 600_000, 600_000, 2_000),
        failing=dice.one_of(0.0, 0.1, 0.3),
        limits=dice.one_of(DEFAULT_LIMITS, DEFAULT_LIMITS, SMALL),
        keeps_shelves=dice.one_of(True, False),
    )


def _run(dice: Dice, run: str) -> list[Act]:
    """A run: begun, perhaps twice, and what operators and users ask of it."""
    began = dice.number(0, dice.one_of(20, 200, 800))
    acts: list[Act] = [Ask(began, run, RequestKind.START, f"{run}-start")]
    if dice.random() < 0.3:
        acts.append(Ask(began + dice.number(0, dice.one_of(20, 100, 700)), run, RequestKind.START, f"{run}-start"))
    for number in range(dice.one_of(0, 0, 1, 1, 2, 3)):
        soon = dice.number(0, dice.one_of(10, 60, 600))
        kind = dice.one_of(*OPERATIONS)
        acts.append(Ask(began + soon, run, kind, f"{run}-{kind}-{number}", dice.random()))
        if dice.random() < 0.2:
            acts.append(replace(acts[-1], at_ms=acts[-1].at_ms + dice.number(0, 500)))
    return acts


def _fault(dice: Dice, orchestrators: tuple[str, ...], workers: tuple[str, ...]) -> list[Act]:  # noqa: PLR0911 - a table of cases
    """Something goes wrong: mostly one thing, sometimes two that are bad together."""
    who = dice.one_of("o", "o", "w", *orchestrators[:1], *workers[:1])
    moment = ("", dice.number(1, dice.one_of(8, 25, 60)), 0)
    match dice.one_of(
        "end",
        "end",
        "move",
        "trouble",
        "trouble",
        "doubt",
        "doubt",
        "unheard",
        "unheard",
        "crossing",
        "jump",
        "markers",
    ):
        case "end":
            return [_end(dice, who, *moment)]
        case "move":
            to = dice.one_of(*orchestrators, *workers)
            return [_move(dice, to, _soon(dice))]
        case "jump":
            return [Jump(_soon(dice), dice.one_of(-5_000, -50, 50, 5_000, 60_000))]
        case "markers":
            return [Markers(_soon(dice), dice.number(1, 400))]
        case "doubt":  # a process that does not know what became of a request ends soon after it
            trouble = _trouble(dice, who)
            return [trouble, _end(dice, who, trouble.kind, trouble.number, dice.number(0, dice.one_of(3, 12)))]
        case "unheard":  # what is lost would be sent again, if its sender did not die before it can
            who, kind = dice.one_of(("o", "publish"), ("w", "reply"))
            number = dice.number(1, dice.one_of(3, 8, 20))
            then = dice.number(1, 8 if who == "o" else 3)
            return [
                Trouble(who, kind, number, "lost", 0),
                Kill(who, kind, number, then, after=True, back_ms=dice.one_of(10, 400)),
            ]
        case "crossing":  # one takes over slowly, and another comes in between
            slow, other = dice.one_of(*orchestrators), dice.one_of(*orchestrators)
            began = dice.number(0, dice.one_of(30, 1_000))
            trouble = Trouble(slow, "fence", dice.one_of(2, 2, 2, 4), "slow", dice.number(5, 400))
            return [trouble, _move(dice, slow, began), _move(dice, other, began + dice.number(1, 200))]
        case _:
            return [_trouble(dice, who)]


def _soon(dice: Dice) -> int:
    """A moment at which something is probably under way."""
    return dice.number(0, dice.one_of(60, 300, 900, ACTIVE_MS))


def _end(dice: Dice, who: str, kind: str, number: int, then: int) -> Act:
    if dice.random() < 0.3:
        return Freeze(who, kind, number, then, dice.one_of(100, 2_000, 6_000, 12_000))
    return Kill(who, kind, number, then, dice.one_of(True, False), dice.one_of(10, 400, 2_500))


def _move(dice: Dice, to: str, at_ms: int) -> Move:
    return Move(at_ms, to, dice.number(0, dice.one_of(0, 300)), dice.number(0, dice.one_of(20, 3_000)))


def _trouble(dice: Dice, who: str) -> Trouble:
    kind = dice.one_of(*KINDS[who[0]])
    fates = ["lost", "lost", "unanswered", "slow"]
    if kind in ("end", "add"):
        fates += ["late", "late", "doubled"]
    return Trouble(
        who, kind, dice.number(1, dice.one_of(3, 8, 20)), dice.one_of(*fates), dice.one_of(5, 60, 400, 3_000)
    )
