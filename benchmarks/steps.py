"""Steps per second and latency of the whole product: broker, orchestrator, worker and driver on one machine.

``make bench`` runs it on a real Apache Kafka of its own. A figure means something beside the pace of the same row: what
a turn of plain Python, a plain write and a transaction took just before, and so it is also printed in these units.
Nothing is asserted; figures are printed as a table and, with ``--json FILE``, written for comparison.
"""

import argparse
import asyncio
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from actionbus.client import Client  # noqa: E402 - the same
from actionbus.contracts.events import EntryKind  # noqa: E402 - the same
from calibration import Pace, Probe  # noqa: E402 - the path above comes first
from integration.installation import Installation, Service  # noqa: E402 - the same
from support.apache_kafka import ApacheKafka  # noqa: E402 - the same

STEPS = 10
TICKS = os.sysconf("SC_CLK_TCK")
COMMITS = "actionbus_txn_commits_total"


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def quantile(values: list[float], share: float) -> float:
    """The value below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def load(client: Client, in_flight: int, runs: int, tag: str) -> tuple[float, list[float]]:
    """Keep so many runs in flight until all are done; seconds taken and milliseconds of each run."""
    numbers = iter(range(runs))
    latencies: list[float] = []

    async def lane() -> None:
        for number in numbers:
            begun = time.perf_counter()
            handle = await client.start("ten-noops", number, run_id=f"{tag}-{number}", wait=False)
            await handle.result()
            latencies.append((time.perf_counter() - begun) * 1_000)

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(in_flight)))
    return time.perf_counter() - begun, latencies


async def gaps(client: Client, tag: str, runs: int) -> list[float]:
    """Milliseconds between one step's success and the next one's, by the broker's clock, from the runs' histories."""
    found: list[float] = []
    for number in range(min(runs, 50)):
        events = await client.handle(f"{tag}-{number}").history()
        times = [event.at for event in events if any(e.kind is EntryKind.STEP_SUCCEEDED for e in event.entries)]
        found += [float(after - before) for before, after in itertools.pairwise(times)]
    return found


@contextmanager
def installation(bootstrap: str | None) -> Iterator[tuple[Installation, list[tuple[str, int]]]]:
    """Broker, topics, one orchestrator and one worker; and the processes whose CPU time is counted."""
    with tempfile.TemporaryDirectory(prefix="actionbus-bench-") as name:
        folder = Path(name)
        cluster = None
        if bootstrap is None:
            (folder / "kafka").mkdir()
            cluster = ApacheKafka(folder / "kafka", heap_mb=1024)
            cluster.start()
        made = Installation(
            bootstrap=bootstrap or cluster.bootstrap,
            prefix=f"bench{os.getpid()}",
            folder=folder,
            app=Path(__file__).with_name("noop_app.py"),
            extra={"ACTIONBUS_WORKER_CONCURRENCY": "2000"},
        )
        try:
            made.prepare()
            services: list[Service] = [made.orchestrator(), made.worker()]
            made.wait_ready()
            counted = [(each.name, each.pid) for each in services] + [("driver", os.getpid())]
            if cluster is not None:
                counted.append(("broker", cluster.nodes[0].process.pid))
            yield made, counted
        finally:
            made.close()
            if cluster is not None:
                cluster.stop()


def in_its_pace(row: dict, pace: Pace) -> dict:
    """The pace of a row, and its figures in units of it."""
    return {
        "pace": {name: round(value, 2) for name, value in asdict(pace).items()},
        "gap_p50_in_hops": round(row["gap_p50_ms"] / pace.hop_ms, 1),
        "gap_p50_in_transactions": round(row["gap_p50_ms"] / pace.transaction_ms, 1),
        "cpu_loops_per_step": {name: round(used / pace.loop_us, 1) for name, used in row["cpu_us_per_step"].items()},
    }


async def measure(made: Installation, counted: list[tuple[str, int]], levels: list[int], seconds: float) -> list[dict]:
    """One row of figures per level of runs in flight."""
    rows = []
    probe = Probe(made.connection, made.prefix)
    async with Client(made.connection, prefix=made.prefix) as client:
        await load(client, 50, 500, "warm")
        for level in levels:
            runs = 200 if level == 1 else max(4 * level, int(seconds * 800))
            pace = await probe.pace()
            commits = made.services[0].metric(COMMITS)
            before = {name: cpu_seconds(pid) for name, pid in counted}
            taken, latencies = await load(client, level, runs, f"l{level}")
            cpu = {name: cpu_seconds(pid) - before[name] for name, pid in counted}
            hops = await gaps(client, f"l{level}", runs)
            rows.append(
                {
                    "in_flight": level,
                    "runs": runs,
                    "steps_per_second": round(runs * STEPS / taken),
                    "run_p50_ms": round(quantile(latencies, 0.5), 1),
                    "run_p99_ms": round(quantile(latencies, 0.99), 1),
                    "gap_p50_ms": quantile(hops, 0.5),
                    "gap_p99_ms": quantile(hops, 0.99),
                    "cpu_us_per_step": {name: round(used / (runs * STEPS) * 1e6, 1) for name, used in cpu.items()},
                    "cpu_seconds": {name: round(used, 2) for name, used in cpu.items()},
                    "steps_per_transaction": round(runs * STEPS / (made.services[0].metric(COMMITS) - commits), 1),
                },
            )
            rows[-1] |= in_its_pace(rows[-1], pace)
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", help="HOST:PORT of a running broker; default: an Apache Kafka of its own")
    parser.add_argument("--levels", default="1,100,500,2000", help="runs in flight, comma separated")
    parser.add_argument("--seconds", type=float, default=20, help="about how long each level works")
    parser.add_argument("--json", type=Path, help="write the rows there")
    chosen = parser.parse_args()
    with installation(chosen.kafka) as (made, counted):
        levels = [int(level) for level in chosen.levels.split(",")]
        rows = asyncio.run(measure(made, counted, levels, chosen.seconds))
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
