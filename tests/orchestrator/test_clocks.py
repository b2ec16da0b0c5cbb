"""The broker's time between its records."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from actionbus.orchestrator.clocks import BrokerTime, SteadyClock
from actionbus.testing.hand_clock import HandClock


def test_time_goes_on_between_records() -> None:
    """By the steady clock, from the last record seen."""
    clock = HandClock()
    time = BrokerTime(clock, 1_000)
    clock.move(50)
    assert time.read() == 1_050
    assert time.see(2_000) == 2_000
    clock.move(10)
    assert time.read() == 2_010
    assert time.see(1_500) == 2_010


@given(st.lists(st.tuples(st.integers(-5_000, 5_000), st.integers(0, 1_000))))
def test_time_never_goes_back(moves) -> None:
    """Whatever brokers stamp on records, and however they jump."""
    clock = HandClock()
    time = BrokerTime(clock, 10_000)
    stamp, before = 10_000, 0
    for jump, passed in moves:
        stamp += jump
        clock.move(passed)
        for now in (time.see(stamp), time.read()):
            assert now >= before
            before = now


async def test_the_steady_clock_calls_back_and_sleeps() -> None:
    """On the running loop."""
    clock, called = SteadyClock(), asyncio.Event()
    began = clock.now_ms()
    clock.call_in(1, called.set)
    async with asyncio.timeout(30):
        await called.wait()
        await clock.sleep(1)
    assert clock.now_ms() > began
