"""Silence and lag are told apart by whether the log was read to its end."""

from actionbus.orchestrator.hearing import LISTEN_MS, Hearing
from actionbus.testing.hand_clock import HandClock


def test_silence_is_silence_after_the_end_of_the_log_was_met_for_a_while() -> None:
    """Not before the log was looked at, and not while records wait to be folded."""
    clock = HandClock()
    hearing = Hearing(clock)
    assert not hearing.complete
    hearing.read(0)
    assert not hearing.complete
    clock.move(LISTEN_MS)
    assert hearing.complete
    hearing.read(3)
    hearing.read(0)
    assert not hearing.complete
    clock.move(LISTEN_MS)
    hearing.read(0)
    assert hearing.complete
