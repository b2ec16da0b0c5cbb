"""Lots of a seed: the same ones every time."""

from hashlib import blake2b
from random import Random


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
