"""Many worlds, over the processors of this machine; and what is told of one that breaks a promise."""

import gc
import itertools
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import fields

from simulation import world
from simulation.plan import Plan, drawn
from simulation.world import Report

SEEDS = 10_000  # unless somebody says how many
CHUNK = 50  # worlds that a process runs before it tells
PROGRESS_SECONDS = 10.0


def explore(first: int, seeds: int, *, say=lambda _: None) -> tuple[int | None, Counter]:
    """Run so many worlds from a seed on: the first seed that breaks a promise, and how much of what has happened.

    What is the first one depends on nothing but the seeds: chunks that were begun before it are waited for.
    """
    began = told = time.monotonic()
    done, broken, happened = 0, [], Counter()
    chunks = (
        itertools.batched(range(first, first + seeds), CHUNK)
        if hasattr(itertools, "batched")
        else _batched(first, seeds)
    )
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = {pool.submit(_chunk, chunk) for chunk in itertools.islice(chunks, 2 * workers)}
        while running:
            finished, running = wait(running, return_when=FIRST_COMPLETED)
            for each in finished:
                count, bad, counts = each.result()
                done, happened = done + count, happened + counts
                broken += bad
            if not broken:
                running |= {pool.submit(_chunk, chunk) for chunk in itertools.islice(chunks, len(finished))}
            if time.monotonic() - told > PROGRESS_SECONDS:
                told = time.monotonic()
                say(f"{done} of {seeds} worlds, {done / (told - began):.0f} a second")
    say(
        f"{done} worlds in {time.monotonic() - began:.0f} s, {done / max(0.001, time.monotonic() - began):.0f} a second"
    )
    return min(broken, default=None), happened


def _batched(first: int, seeds: int) -> Iterator[tuple[int, ...]]:
    for start in range(first, first + seeds, CHUNK):
        yield tuple(range(start, min(start + CHUNK, first + seeds)))


def _chunk(seeds: tuple[int, ...]) -> tuple[int, list[int], Counter]:
    """Run some worlds in this process; what the collector finds is looked for between two worlds, never in one."""
    gc.freeze()
    broken, happened = [], Counter()
    for seed in seeds:
        report = world.run(drawn(seed))
        happened.update(report.happened)
        if report.broken is not None:
            broken.append(seed)
    gc.collect()
    return len(seeds), broken, happened


def shrunk(report: Report) -> Report:
    """The world of the fewest acts in which the same promise is broken, as far as leaving out one act at a time leads."""
    shorter = True
    while shorter:
        shorter = False
        for act in report.plan.acts:
            tried = world.run(report.plan.without(act))
            if tried.broken is not None and tried.broken.promise == report.broken.promise:
                report, shorter = tried, True
                break
    return report


def story(report: Report) -> str:
    """A world in words: its plan, and what happened."""
    plan = report.plan
    shown = [f"seed {plan.seed}: {report.broken or 'every promise is kept'}", *(f"  {act}" for act in plan.acts)]
    shown += [f"  {_difference(plan)}", "", report.text()]
    return "\n".join(shown)


def _difference(plan: Plan) -> str:
    plain = Plan(seed=plan.seed, acts=())
    names = [each.name for each in fields(Plan) if each.name not in ("seed", "acts", "limits")]
    found = [f"{name}={getattr(plan, name)!r}" for name in names if getattr(plan, name) != getattr(plain, name)]
    return ", ".join([*found, *([] if plan.limits == plain.limits else ["small limits"])])


def told(seed: int) -> str:
    """The story of a seed; of one that breaks a promise, the shortest one."""
    report = world.run(drawn(seed))
    return story(report if report.broken is None else shrunk(report))
