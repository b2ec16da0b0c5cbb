"""How many there are, how old the oldest is, and how many are older than a bound."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from actionbus.orchestrator.ages import Ages

SECONDS = st.integers(0, 20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("joins"), SECONDS),
        st.tuples(st.just("leaves"), SECONDS),
        st.tuples(st.just("bound"), SECONDS),
    ),
    max_size=60,
)


@given(STEPS)
def test_it_knows_what_one_who_counts_all_of_them_knows(steps) -> None:
    """Whoever joins, leaves and comes again in whatever order: number, oldest and overdue ones are those of a plain list."""
    ages, there, bound = Ages(), Counter(), 0
    for what, second in steps:
        if what == "bound":
            bound = max(bound, second)
        elif what == "joins" or there[second]:
            more = 1 if what == "joins" else -1
            there[second] += more
            ages.add(second, more)
        seconds = sorted(there.elements())
        assert (ages.count, ages.oldest) == (len(seconds), seconds[0] if seconds else None)
        while ages.age(bound, most=2):
            pass
        assert ages.late == sum(each <= bound for each in seconds)


def test_what_comes_and_goes_leaves_nothing_behind() -> None:
    """A second in which much came and went is kept once, and let go when it is looked at."""
    ages = Ages()
    for _ in range(1_000):
        ages.add(7, 1)
        ages.add(7, 1)
        ages.add(7, -1)
        ages.add(7, -1)
    assert ages.oldest is None
    assert ages._fresh._order == []


def test_much_that_waited_is_looked_at_bit_by_bit() -> None:
    """A look at a long backlog stops where it is told to, and the next ones come to its end."""
    ages = Ages()
    for second in range(1, 11):
        ages.add(second, 1)
    assert [(ages.age(5, most=4), ages.late) for _ in range(3)] == [(4, 4), (1, 5), (0, 5)]
    ages.add(3, -1)
    assert (ages.late, ages.count, ages.oldest) == (4, 9, 1)
