"""What goes wrong in a world, drawn from its seed: mostly one thing, sometimes two that are bad together."""

from simulation.acts import Act, Freeze, Jump, Kill, Markers, Move, Trouble
from simulation.dice import Dice

ACTIVE_MS = 1_600  # in this time everything is asked and everything goes wrong
KINDS = {  # of requests that may go wrong, by kind of process
    "o": ("add", "write", "end", "end", "fence", "publish", "publish", "publish", "read"),
    "w": ("reply", "reply", "settle"),
}


def fault(dice: Dice, orchestrators: tuple[str, ...], workers: tuple[str, ...]) -> list[Act]:  # noqa: PLR0911 - a table of cases
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
            return [Markers(_soon(dice), dice.number(1, 400), lost=dice.one_of(True, False))]
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
    told = (dice.number(0, dice.one_of(0, 300)), dice.number(0, dice.one_of(20, 3_000)))
    return Move(at_ms, to, *told, shard=dice.number(0, 2))


def _trouble(dice: Dice, who: str) -> Trouble:
    kind = dice.one_of(*KINDS[who[0]])
    fates = ["lost", "lost", "unanswered", "slow"]
    if kind in ("end", "add"):
        fates += ["late", "late", "doubled"]
    return Trouble(
        who, kind, dice.number(1, dice.one_of(3, 8, 20)), dice.one_of(*fates), dice.one_of(5, 60, 400, 3_000)
    )
