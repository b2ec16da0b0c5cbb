"""Injects faults by the catalogue: ``python -m tests.faults`` goes on until the published figures are reached.

Every round is kept in docs/reliability.jsonl when it has ended; run again, it goes on from there.
"""

import argparse
import asyncio
import contextlib
import logging
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import structlog

sys.path.insert(0, str(Path(__file__).parents[1]))  # for what tests share

from faults import recorded
from faults.catalogue import FAULTS
from faults.fault import Fault, NotHere, Outcome
from faults.ground import Ground
from support import apache_kafka, postgres


def _say(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)  # noqa: T201 - a command line prints


def _hush() -> None:
    """Say nothing of brokers that are away and of code that raises: both are done here on purpose."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _wanted(fault: Fault, dose: str) -> int:
    return fault.full if dose == "full" else fault.published


@contextlib.contextmanager
def _ground(*, keep: bool) -> Iterator[Ground]:
    """Brokers and databases of this command alone, which end with it."""
    folder = Path(tempfile.mkdtemp(prefix="actionbus-faults-"))
    with ExitStack() as stack:

        @cache
        def cluster(size: int) -> apache_kafka.ApacheKafka:
            return stack.enter_context(apache_kafka.running(folder / f"kafka-{size}", size=size))

        @cache
        def database() -> str:
            return stack.enter_context(postgres.running())

        yield Ground(folder, cluster, database, keep=keep)


def _play(fault: Fault, ground: Ground, count: int, records: Path) -> Outcome:
    """One round, and its record."""
    seed = random.SystemRandom().getrandbits(32)
    began, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    outcome = asyncio.run(fault.play(ground, count, random.Random(seed)))  # noqa: S311 - a schedule, not a secret
    seconds = time.monotonic() - began
    if not outcome.counts:
        raise RuntimeError(f"{outcome.unfinished} of {outcome.workflows} workflows never ended: the round says nothing")
    recorded.append(recorded.record(fault, outcome, seed=seed, seconds=seconds, at=at), records)
    return outcome


def _inject(fault: Fault, ground: Ground, dose: str, records: Path, say: Callable[[str], None]) -> int:
    """Play rounds until there are enough; how many of them were not clean."""
    wanted, bad = _wanted(fault, dose), 0
    have = first = recorded.injected(recorded.read(records))[fault.id]
    began = time.monotonic()
    while have < wanted:
        outcome = _play(fault, ground, min(fault.each, wanted - have), records)
        have += outcome.injected
        left = (time.monotonic() - began) / (have - first) * (wanted - have)
        verdict = "nothing is wrong" if outcome.clean else f"WRONG: {outcome.faults}, {outcome.unfinished} unfinished"
        say(
            f"{fault.id} {fault.name}: {have} of {wanted}; {outcome.workflows} workflows, {outcome.effects} effects: "
            f"{verdict}; {left / 60:.0f} min left"
        )
        bad += not outcome.clean
    return bad


def main() -> int:
    """What is asked for; the exit code is 1 when anything was wrong or could not be played."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("only", nargs="*", help="numbers of faults, as T04 or T04/worker; all of them when left out")
    parser.add_argument("--dose", choices=("published", "full"), default="published", help="how many injections")
    parser.add_argument("--list", action="store_true", help="say what there is, and how much of it was played")
    parser.add_argument("--records", type=Path, default=recorded.RECORDS, help="where rounds are kept")
    parser.add_argument("--keep", action="store_true", help="keep the folders of rounds that went well")
    given = parser.parse_args()
    _hush()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that brokers and databases end with it
    chosen = [
        each for each in FAULTS.values() if not given.only or {each.id, each.id.partition("/")[0]} & {*given.only}
    ]
    if given.list or not chosen:
        have = recorded.injected(recorded.read(given.records))
        for each in chosen or FAULTS.values():
            _say(f"{each.id:20} {have[each.id]:6} of {_wanted(each, given.dose):6}  {each.name}")
        return 0 if chosen else 2
    bad = 0
    with _ground(keep=given.keep) as ground:
        for fault in chosen:
            try:
                bad += _inject(fault, ground, given.dose, given.records, _say)
            except NotHere as reason:
                _say(f"{fault.id} {fault.name} cannot be played on this machine: {reason}")
            except Exception:  # noqa: BLE001 - one fault that cannot be played leaves the others
                _say(f"{fault.id} {fault.name} was not played to its end:\n{traceback.format_exc()}")
                bad += 1
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
