"""How fast this machine is right now, so that figures of two days, or of two minutes, can be compared."""

import time

TURNS = 700


def loop_us() -> float:
    """CPU microseconds of one turn of plain Python: calls, attributes, dicts and bytes, as our own code has them."""
    begun = time.process_time_ns()
    for number in range(TURNS):
        _turn(number)
    return (time.process_time_ns() - begun) / 1_000 / TURNS


class _Thing:
    __slots__ = ("fields", "name")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.fields = {"number": number, "name": name}


def _turn(number: int) -> bytes:
    out = bytearray()
    for name in ("run", "step", "attempt"):
        thing = _Thing(name, number)
        out += thing.name.encode()
        out += thing.fields["number"].to_bytes(8, "big")
    return bytes(out)
