"""What one process remembers: attempts in hand, and the latest answers within their bounds."""

import asyncio

from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.worker.attempts import Attempt, Attempts, Claim
from actionbus.worker.metadata import Position
from actionbus.worker.offsets import Progress
from worker.commands import execute


def taken(attempts, number, progress=None):
    """An attempt in hand whose command stands at the offset ``number``."""
    progress = progress or Progress(Position(offset=0), metadata_bytes=4_096)
    progress.receive(number)
    attempt = Attempt(execute(step=f"s-{number}"), [Claim(progress, number)])
    attempts.in_hand[attempt.command.command_id] = attempt
    return attempt


def result(attempt, output=b"1"):
    """Its result."""
    command = attempt.command
    return ActionResult(
        command_id=command.command_id,
        step_key=command.step_key,
        run_id=command.run_id,
        kind=ResultKind.SUCCEEDED,
        nonce=command.nonce,
        output=output,
    )


def test_only_so_many_answers_are_remembered():
    """The oldest answer is forgotten first, by number and by bytes; a large one alone does not stay beyond the bound."""
    for bounds, outputs, kept in (
        ((2, 1_000), [b"1"] * 4, [2, 3]),
        ((9, 100), [b"x" * 40] * 4, [2, 3]),
        ((9, 100), [b"1", b"x" * 101], []),
        ((0, 100), [b"1"], []),
    ):
        attempts = Attempts(*bounds)
        in_hand = [taken(attempts, number) for number in range(len(outputs))]
        for attempt, output in zip(in_hand, outputs, strict=True):
            attempts.settle(attempt, result(attempt, output))
        known = [n for n, attempt in enumerate(in_hand) if attempts.result_of(attempt.command.command_id)]
        assert known == kept
        assert not attempts.in_hand


def test_an_answer_that_is_replaced_counts_once():
    """The same command answered again takes the place of its old answer, in the bytes too."""
    attempts = Attempts(9, 100)
    for _ in range(10):
        attempt = taken(attempts, 1)
        attempts.settle(attempt, result(attempt, b"x" * 90))
    assert attempts.result_of(attempt.command.command_id) is not None


def test_every_place_of_a_command_is_finished_with_its_answer():
    """Places of duplicates, in whatever partition, are finished when the one result is acknowledged."""
    attempts = Attempts(9, 100)
    here, there = (Progress(Position(offset=0), metadata_bytes=4_096) for _ in range(2))
    attempt = taken(attempts, 0, here)
    there.receive(5)
    assert attempts.join(attempt.command.command_id, Claim(there, 5))
    assert not attempts.join("r-9:2s/other/1", Claim(there, 6))
    attempts.settle(attempt, result(attempt))
    assert (here.unfinished, there.unfinished) == (0, 0)


async def test_a_command_is_cancelled_once_and_only_while_it_is_in_hand():
    """A word about a command that is not here, or is answered, changes nothing."""
    attempts = Attempts(9, 100)
    attempt = taken(attempts, 0)
    attempt.task = asyncio.create_task(asyncio.Event().wait())
    assert not attempts.cancel("r-9:2s/other/1")
    attempt.answered = True
    assert not attempts.cancel(attempt.command.command_id)
    attempt.answered = False
    assert attempts.cancel(attempt.command.command_id)
    await asyncio.wait([attempt.task])
    assert (attempt.cancelled, attempt.task.cancelled()) == (True, True)


async def test_an_attempt_whose_task_has_not_begun_is_not_cancelled_away() -> None:
    """A word that nobody waits may come before the first step: the task still runs, sees the word, and frees its slot."""
    begun = []

    async def carry_out() -> None:
        attempt.due = False
        begun.append(attempt.cancelled)

    attempt = Attempt(execute(), [], due=True)
    attempts = Attempts(remembered=1, remembered_bytes=1, in_hand={attempt.command.command_id: attempt})
    attempt.task = asyncio.create_task(carry_out())
    assert attempts.cancel(attempt.command.command_id)
    await attempt.task
    assert begun == [True]
