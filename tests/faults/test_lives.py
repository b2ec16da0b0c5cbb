"""What is said of lives that follow one another is what happened to them."""

from collections import Counter
from types import SimpleNamespace

import pytest

from actionbus.contracts.events import EntryKind
from faults.lives import Lives, judge
from integration.books import Books

ROWS = [
    ("life-0:1/mark", "mark", 0),
    ("life-0:1/close", "close", 0),
    ("life-0:9/mark", "mark", 3),
    ("life-0:9/mark", "unmark", 3),
]
VOUCHED = {"life-0:1/mark", "life-0:1/close", "life-0:9/mark", "life-0:9/mark/undo"}


def _lives() -> Lives:
    """One that went well, one that was refused, one that ended badly."""
    lives = Lives(client=None)
    lives.told.update({0: 0, 1: "REFUSED", 3: "FAILED"})
    return lives


def _published(*lives: str) -> Books:
    books = Books()
    for life in lives:
        books.versions[life] = [1, 2, 3]
        books.kinds[life] = Counter({EntryKind.RUN_STARTED: 1, EntryKind.RUN_ENDED: 1})
    return books


def test_nothing_is_said_of_lives_that_went_well() -> None:
    """Each start has its rows, its inbox rows, and its line of events."""
    assert judge(_lives(), ROWS, _published("life-0:1", "life-0:9"), VOUCHED) == {}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda world: world.rows.append(world.rows[0]), "doubled"),
        (lambda world: world.rows.pop(1), "lost"),
        (lambda world: world.lives.told.update({0: 7}), "lost"),
        (lambda world: world.rows.append(("life-0:5/mark", "mark", 1)), "lost"),
        (lambda world: world.rows.pop(), "lost"),
        (lambda world: world.vouched.pop(), "partial"),
        (lambda world: world.books.versions["life-0:1"].append(3), "disordered"),
        (lambda world: world.books.versions.update({"life-0:1:again": [1]}), "disordered"),
        (lambda world: world.books.kinds["life-0:9"].update([EntryKind.RUN_ENDED]), "disordered"),
    ],
)
def test_what_went_wrong_is_said(change, kind: str) -> None:
    """Rows twice or missing, the result of an earlier life, a refused start that wrote, a run that came back."""
    world = SimpleNamespace(
        lives=_lives(), rows=list(ROWS), books=_published("life-0:1", "life-0:9"), vouched=set(VOUCHED)
    )
    change(world)
    assert kind in judge(world.lives, world.rows, world.books, world.vouched)
