"""Workflows of every kind of node, drawn at random, small enough to end soon; all of them end in a reliable world."""

from hypothesis import strategies as st

from actionbus.contracts.checks import check
from actionbus.contracts.definitions import Effect
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.engine.definition import Definition
from engine.graphs import (
    COMPENSATE,
    DAY_MS,
    FAIL,
    PAUSE,
    action,
    block,
    call,
    caught,
    cel,
    child,
    choose,
    each,
    emit,
    fallback,
    go_on_with,
    graph,
    handle,
    on,
    parallel,
    person,
    policy,
    put,
    ref,
    repeat,
    retry,
    sequence,
    show,
    sleep,
    step,
    throw,
    wait,
)

ERRORS = ("Oops", "Full", "Busy")
LEAVES = ("step", "step", "step", "step", "step", "emit", "set", "raise", "wait", "sleep", "child", "person", "show")
HOLDERS = ("sequence", "sequence", "parallel", "parallel", "map", "repeat", "try", "try", "choose")
DEEPEST = 3
FIRST = cel("attempt == 1", attempt=ref("attempt"))


class Drawn:
    """Lots as hypothesis draws them; whoever has dice of their own gives an `Author` something of the same three methods."""

    def __init__(self, draw) -> None:
        self._draw = draw

    def one_of(self, *choices):
        """Any of them."""
        return self._draw(st.sampled_from(choices))

    def number(self, low, high):
        """Any whole number from one to the other."""
        return self._draw(st.integers(low, high))

    def some_of(self, choices, most, *, unique=False):
        """A few of them, at most so many."""
        return self._draw(st.lists(st.sampled_from(choices), max_size=most, unique=unique))


class Author:
    """Writes one workflow. ``known``: the nodes that can be read; ``scopes``: what the nodes around give.

    ``most``: once there are so many nodes, whatever follows holds no others. ``alone``: it starts no other runs and
    answers nobody, for worlds in which every request has its verdict at once and comes from outside.
    """

    def __init__(self, lots, most=1_000, *, alone=False) -> None:
        self.alone = alone
        self.leaves = [each for each in LEAVES if not (alone and each == "child")]
        self.one_of, self.number, self.some_of = lots.one_of, lots.number, lots.some_of
        self.most = most
        self.count = 0

    def node(self, depth, known, scopes):
        """A node, and the ids inside it that later nodes can read."""
        self.count += 1
        name = f"n{self.count}"
        kind = self.one_of(*self.leaves, *(HOLDERS if depth < DEEPEST and self.count < self.most else ()))
        if kind in LEAVES:
            return self.leaf(kind, name, known, scopes)
        return getattr(self, kind)(name, depth + 1, known, scopes)

    def leaf(self, kind, name, known, scopes):  # noqa: PLR0911 - a table of cases
        """A node that holds no other."""
        reads = [ref("steps", one, "v") for one in self.some_of(known, 2)] if known else []
        match kind:
            case "step":
                return self.step(name, reads, scopes), [name]
            case "emit":
                return emit(name, "told", name, {"reads": reads}), []
            case "set":
                return put(name, {"v": [reads, scopes]}), [name]
            case "raise":
                return throw(name, self.one_of(*ERRORS), ["because of", reads]), []
            case "sleep":
                return sleep(name, self.one_of(0, 15)), []
            case "show":
                return show(name, "stage", [reads, scopes]), []
            case "child":
                return self.child(name, reads, scopes)
            case _:
                return self.waiting(kind, name), []

    def child(self, name, reads, scopes):
        """A run of its own, which perhaps is not waited for."""
        waits = self.one_of(True, True, False)
        given = {"reads": reads, "scopes": scopes}
        made = child(
            name,
            input=given,
            wait=waits,
            give_up=self.one_of("cancel", "cancel", "terminate", "leave"),
            timeout_ms=self.one_of(None, None, 20),
            undo=call("u", of=ref("made", "v"), **given) if waits and self.one_of(True, False) else None,
        )
        return made, [name] if waits else []

    def waiting(self, kind, name):
        """A signal that is waited for, which may be asked of a person, and may be refused and answered."""
        limit = self.one_of(None, 20)
        more = {
            "timeout_ms": limit,
            "on_timeout": put(f"{name}-late", 0) if limit and self.one_of(False, True) else None,
            "accept": None if self.alone else self.one_of(None, cel("v > 0", v=ref("payload", "v"))),
            "answer": None if self.alone else self.one_of(None, ref("payload", "v")),
        }
        if kind == "wait":
            return wait(name, "go", **more)
        times = {"remind_after_ms": self.some_of((5, 10), 2, unique=True), "due_ms": self.one_of(None, 15)}
        mail = step(f"{name}-mail", action="a", input={"reads": [], "given": ref("input", "n")})
        reminds = self.one_of(None, mail) if any(times.values()) else None
        return person(name, signal="go", on_reminder=reminds, **times, **more)

    def step(self, name, reads, scopes):
        """A step with rules, limits and perhaps an undo."""
        given = self.some_of([*ERRORS, "Timeout", None], 2, unique=True)
        return step(
            name,
            *(on(error, self.then(), when=self.one_of(None, None, FIRST)) for error in given),
            action="a",
            input={"reads": reads, "scopes": scopes, "given": ref("input", "n")},
            undo=call("u", of=ref("made", "v"), reads=reads, scopes=scopes) if self.one_of(True, True, False) else None,
            retry=policy(self.number(1, 3), initial_ms=self.one_of(0, 10)),
            schedule_to_close_ms=self.one_of(None, None, 25),
            schedule_to_start_ms=self.one_of(None, None, 15),
        )

    def then(self):
        """What follows a step's failure."""
        why = fallback("f", why=ref("error", "type"))
        return self.one_of(COMPENSATE, FAIL, PAUSE, PAUSE, go_on_with({"v": -1}), why, why, retry(2), retry(3))

    def sequence(self, name, depth, known, scopes):
        """Nodes that read one another."""
        inner, seen = [], []
        for _ in range(self.number(0, 3)):
            made, named = self.node(depth, [*known, *seen], scopes)
            inner.append(made)
            seen += named
        return sequence(name, *inner), seen

    def parallel(self, name, depth, known, scopes):
        """Branches; what they gave can be read if all of them have to succeed."""
        made = [self.node(depth, known, scopes) for _ in range(self.number(0, 3))]
        enough = self.one_of(None, 1, 2) if len(made) > 1 else None
        seen = [] if enough else [one for _, named in made for one in named]
        return parallel(name, *(branch for branch, _ in made), enough=enough), seen

    def map(self, name, depth, known, scopes):
        """A short list."""
        items = self.one_of([], [1], [1, 2], [1, 2, 3])
        body, _ = self.node(depth, known, [*scopes, ref("scope", name, "item")])
        return each(name, items, body, concurrency=self.one_of(1, 2, 9), may_fail=self.one_of(0, 1, 2)), []

    def repeat(self, name, depth, known, scopes):
        """A few turns; without a limit each is final."""
        turn = ref("scope", name, "turn")
        body, _ = self.node(depth, known, [*scopes, turn])
        until = self.one_of(None, cel("turn >= 1", turn=turn))
        return repeat(
            name, body, until=until, limit=self.one_of(1, 2) if until is None else self.one_of(None, 1, 2)
        ), []

    def choose(self, name, depth, known, scopes):
        """One node or another."""
        one, _ = self.node(depth, known, scopes)
        other, _ = self.node(depth, known, scopes)
        return choose(name, (self.one_of(False, True), one), otherwise=self.one_of(None, other)), []

    def try_(self, name, depth, known, scopes):
        """A block with rules and perhaps something that always follows."""
        body, _ = self.node(depth, known, scopes)
        rules = []
        for error in self.some_of([*ERRORS, "Timeout", None], 2, unique=True):
            self.count += 1
            handler, _ = self.node(DEEPEST, known, [*scopes, ref("scope", name, "error", "type")])
            then = self.one_of(
                retry(2, initial_ms=0), retry(2, initial_ms=10), handle(handler), go_on_with(1), COMPENSATE
            )
            rules.append(caught(error, then, undo=self.one_of(True, True, False)))
        always = self.node(DEEPEST, known, scopes)[0] if self.one_of(True, False, False) else None
        return block(name, body, *rules, always=always, timeout_ms=self.one_of(None, None, 50)), []


setattr(Author, "try", Author.try_)  # a keyword, and a kind of node


def written(author):
    """The graph of a workflow that the checks let pass."""
    nodes, known = [], []
    for _ in range(author.number(1, 4)):
        made, named = author.node(0, known, [])
        nodes.append(made)
        known += named
    inbox = {"effect": Effect.TRANSACTIONAL, "store": "default", "start_to_close_ms": 20}
    few = LimitPolicy(concurrency=1, rate=1)
    held_back = {name: author.one_of(None, None, few) for name in ("a", "f", "u", "whole")}
    return graph(
        *nodes,
        actions=[
            action(name, **inbox, retry=policy(2, initial_ms=5), limit=held_back[name]) for name in ("a", "f", "u")
        ],
        limit=held_back["whole"],
        output=[ref("steps", one, "v") for one in known[:2]],
        run_timeout_ms=author.one_of(None, None, 200),
        undo_retry=policy(author.one_of(None, 2), initial_ms=author.one_of(0, 5), cap_ms=50),
    )


@st.composite
def workflows(draw):
    """A workflow, compiled."""
    made = written(Author(Drawn(draw)))
    limits = draw(st.sampled_from([DEFAULT_LIMITS, Limits(moves_per_transition=4, signals_buffered=3)]))
    check(made, limits)
    return Definition(made, limits=limits, run_retention_ms=DAY_MS)
