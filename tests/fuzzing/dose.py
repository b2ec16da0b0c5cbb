"""The full dose: a million hostile records between real orders, on a broker of its own: `python -m tests.fuzzing.dose`.

It tells after every batch how far it is, and at the end what became of every record. `--from` goes on at a number with
the same records as a run from the beginning would have had there, in an installation of its own.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from actionbus.client import Client
from fuzzing.installed import Poisoned
from integration import orders
from support import apache_kafka

ORDERS = 50  # of them in every batch


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


async def _poison(poisoned: Poisoned, asked: argparse.Namespace) -> bool:
    installation, began, numbers = poisoned.installation, time.monotonic(), itertools.count()
    outcomes: dict[str, tuple[int, str]] = {}
    first, count, at_once = asked.first, asked.count, asked.batch
    async with (
        Client(installation.connection, prefix=installation.prefix) as client,
        poisoned.poisoner(asked.seed) as poisoner,
    ):
        for begin in range(first, first + count, at_once):
            tasks = orders.begin(client, itertools.islice(numbers, ORDERS))
            await poisoner.send(begin, min(at_once, first + count - begin))
            outcomes |= await orders.outcomes(tasks)
            await poisoner.settle()
            passed = time.monotonic() - began
            sent = sum(poisoner.accounting.sent.values())
            _say(f"{passed:.0f} s: {sent} records, {sent / passed:.0f} a second, {len(outcomes)} orders")
            if passed > asked.seconds:
                break
        _say(str(poisoner.accounting))
        poisoned.restart_orchestrator()
        outcomes |= await orders.outcomes(orders.begin(client, itertools.islice(numbers, ORDERS)))
        await poisoner.look()
        _say(f"state: {poisoner.accounting.ignored['state']} passed over by the takeovers")
    judgement = poisoned.ledger.judge(outcomes)
    _say(f"orders: {len(outcomes)}, {'nothing lost, doubled, partial or left' if judgement.clean else judgement}")
    _say(f"services that live: {', '.join(poisoned.pids)}")
    return poisoner.accounting.balanced and judgement.clean and len(poisoned.pids) == len(poisoned.services)


def main() -> int:
    """One installation, poisoned until the end or until its time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--batch", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end behind the batch that passes them")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="poison-") as folder:
        (Path(folder) / "kafka").mkdir()
        (Path(folder) / "installation").mkdir()
        with apache_kafka.running(Path(folder) / "kafka", size=1) as cluster:
            poisoned = Poisoned(cluster.bootstrap, "poisoned", Path(folder) / "installation")
            poisoned.start()
            try:
                well = asyncio.run(_poison(poisoned, asked))
            finally:
                poisoned.close()
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
