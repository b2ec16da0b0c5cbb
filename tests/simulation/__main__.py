"""Runs worlds: ``python -m tests.simulation 123`` tells one, ``--seeds 1000000 --from 0`` looks for one that breaks a promise."""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what tests share

from simulation import explore


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line prints


def main() -> int:
    """What is asked for; the exit code is 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "seed", type=int, nargs="?", help="tell the world of this seed, the shortest one if it is broken"
    )
    parser.add_argument("--seeds", type=int, default=explore.SEEDS, help="how many worlds")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed")
    given = parser.parse_args()
    seed, broken = given.seed, False
    if seed is None:
        seed, _ = explore.explore(given.first, given.seeds, say=_say)
    if seed is not None:
        story = explore.told(seed)
        broken = "every promise is kept" not in story.partition("\n")[0]
        _say(story)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
