"""How far everything is known to be published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts.errors import InvariantBroken
from actionbus.orchestrator.dispatching import Dispatching


def test_a_gap_holds_the_mark_below_it() -> None:
    """Later acknowledgements do not count until the gap is closed."""
    dispatching = Dispatching(4)
    dispatching.sending(5)
    dispatching.sending(5)
    dispatching.sending(6)
    dispatching.acknowledged(6)
    dispatching.acknowledged(5)
    assert dispatching.through(6) == 4
    dispatching.acknowledged(5)
    assert dispatching.through(6) == 6
    assert len(dispatching) == 0


def test_commands_come_in_the_order_of_their_transactions() -> None:
    """Anything else is a mistake of ours, and would make the mark lie."""
    dispatching = Dispatching(0)
    dispatching.sending(2)
    with pytest.raises(InvariantBroken):
        dispatching.sending(1)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_mark_never_passes_what_waits_and_never_goes_back(gaps, dice) -> None:
    """Whatever the order of acknowledgements."""
    dispatching, seq, waiting, before = Dispatching(0), 0, [], 0
    for gap in gaps:
        seq += gap
        dispatching.sending(seq)
        waiting.append(seq)
    dice.shuffle(waiting)
    while waiting:
        mark = dispatching.through(seq)
        assert before <= mark < min(waiting)
        before = mark
        dispatching.acknowledged(waiting.pop())
    assert dispatching.through(seq) == seq
