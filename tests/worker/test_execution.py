"""One attempt: every way that user code can end is one outcome, and no secret leaves with it."""

import asyncio
import math
import threading
import time

import pytest
from pydantic import BaseModel

from actionbus.contracts import payloads
from actionbus.contracts.limits import Limits
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.sdk.errors import ActionFailed, NonRetryable, RetryAfter
from actionbus.worker import outcomes
from actionbus.worker.attempts import Attempt
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.outcomes import Deferred, Done
from actionbus.worker.threads import Threads
from worker.commands import execute, undo
from worker.station import until

SECONDS = 60
LIMITS = Limits(payload_bytes=1_000, record_bytes=8_000, error_message_bytes=100, emits_per_result=3)


class Receipt(BaseModel):
    """An output."""

    n: int


async def attempted(action, command=None, limits=LIMITS, secrets=(), **changes):
    """The outcome of one attempt, carried out in a task of its own as the lane does."""
    threads = Threads(2, action.id)
    execution = Execution(action, limits=limits, failures=Failures(limits, secrets), threads=threads, store=None)
    attempt = Attempt(command=command or execute(value={}, **changes), claims=[])
    ended = []

    async def perform():
        ended.append(await execution.perform(attempt))

    attempt.task = asyncio.create_task(perform())
    try:
        async with asyncio.timeout(SECONDS):
            await attempt.task
    finally:
        threads.close()
    return ended[0]


def action(function, **options):
    """An action around a function."""
    return Action(id="act", execute=function, **options)


def raising(error):
    """User code that fails, as a coroutine and as a plain function."""

    async def in_loop() -> None:
        raise error

    def in_thread() -> None:
        raise error

    return [action(in_loop), action(in_thread)]


class DiskFull(Exception):
    """An exception of user code."""


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (DiskFull("no room"), "DiskFull", True),
        (TimeoutError("the peer"), "TimeoutError", True),
        (SystemExit(3), "SystemExit", True),
        (ActionFailed("MailboxFull", "no room"), "MailboxFull", True),
        (ActionFailed("MailboxGone", retryable=False), "MailboxGone", False),
        (NonRetryable("no such user"), "NonRetryable", False),
        (asyncio.CancelledError(), "CancelledError", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
async def test_whatever_user_code_raises_is_a_failed_attempt(error, kind, retryable):
    """An exception becomes data: its name, its message, whether another attempt may help."""
    for act in raising(error):
        outcome = await attempted(act)
        assert (outcome.error.type, outcome.error.retryable) == (kind, retryable)


async def test_retry_after_and_details_travel():
    """What user code says for rules and people is in the error."""
    for act in raising(RetryAfter("90s", "busy", details={"queue": 7})):
        error = (await attempted(act)).error
        assert (error.type, error.retry_after_ms, error.details) == ("RetryAfter", 90_000, b'{"queue":7}')


async def test_a_coroutine_that_hangs_is_stopped_and_fails():
    """After start_to_close the coroutine is cancelled, its clean-up runs, and the attempt failed with Timeout."""
    cleaned = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(1)

    outcome = await attempted(action(hang, timeout="20ms"))
    assert (outcome.error.type, outcome.error.retryable, cleaned) == ("Timeout", True, [1])
    assert "0.02 s" in outcome.error.message


async def test_the_command_may_allow_more_or_less_time_than_the_action():
    """A step's own start_to_close goes before the action's."""

    async def slow() -> int:
        await asyncio.sleep(0.1)
        return 1

    assert isinstance(await attempted(action(slow, timeout="10ms"), start_to_close_ms=60_000), Done)
    assert (await attempted(action(slow, timeout="1m"), start_to_close_ms=10)).error.type == "Timeout"


async def test_a_function_that_hangs_fails_and_its_thread_is_counted():
    """A thread cannot be stopped: its result is ignored, and its slot stays taken until it returns."""
    leave, told = threading.Event(), []

    def hang(ctx) -> None:
        leave.wait(SECONDS)
        told.append(ctx.cancelled)

    act = action(hang)
    threads = Threads(1, "act")
    execution = Execution(act, limits=LIMITS, failures=Failures(LIMITS), threads=threads, store=None)
    attempt = Attempt(command=execute(value={}, start_to_close_ms=20), claims=[])
    attempt.task = asyncio.create_task(execution.perform(attempt))
    outcome = await attempt.task
    assert outcome.error.type == "Timeout"
    assert execution.busy_threads == 1
    leave.set()
    await until(lambda: not execution.busy_threads)
    assert told == [True]
    threads.close()


async def test_code_that_returns_in_spite_of_its_cancellation_has_succeeded():
    """Work that was finished after all is not thrown away because its time was over a moment before."""

    async def stubborn() -> int:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return 7
        return 0

    assert (await attempted(action(stubborn, timeout="10ms"))).output == b"7"


async def test_a_timeout_of_the_users_own_is_not_ours():
    """A timeout inside user code raises TimeoutError in user code, and the failure says so."""

    async def impatient() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()

    assert (await attempted(action(impatient))).error.type == "TimeoutError"


async def test_the_end_of_the_worker_is_no_failure_of_the_action():
    """When the worker itself ends, the attempt has no outcome: the command is delivered again."""

    async def hang() -> None:
        await asyncio.Event().wait()

    act = action(hang)
    execution = Execution(act, limits=LIMITS, failures=Failures(LIMITS), threads=Threads(1, "x"), store=None)
    task = asyncio.create_task(execution.perform(Attempt(command=execute(value={}), claims=[])))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("value", [math.nan, {"n": object()}, "text", {"n": "x"}, None])
async def test_an_output_that_is_not_of_its_type_is_refused(value):
    """What the function returns is held to its return type and to JSON; the failure is final."""

    async def give() -> Receipt:
        return value

    outcome = await attempted(action(give))
    assert (outcome.error.type, outcome.error.retryable) == ("OutputRefused", False)


@pytest.mark.parametrize("data", [b"{}", b'{"n":"x"}', b'{"n":1,"more":2}', b"[]", b"not json", b"\xff", b""])
async def test_an_input_that_does_not_fit_is_refused(data):
    """An input that breaks the parameters' types is a final failure, and the function is not called."""
    called = []

    async def take(n: int) -> None:
        called.append(n)

    outcome = await attempted(action(take), command=execute(input=data))
    assert (outcome.error.type, outcome.error.retryable, called) == ("InputRefused", False, [])


async def test_outputs_and_emits_beyond_the_limits_are_refused():
    """Too large an output, too many emits or too large ones fail the attempt with what was allowed."""

    async def large(ctx, output: int, emits: int, size: int) -> str:
        for _ in range(emits):
            ctx.emit("sales", value=b"x" * size)
        return "x" * output

    act = action(large, emits=["sales"])
    fits = {"output": 900, "emits": 3, "size": 900}
    assert isinstance(await attempted(act, execute(value=fits)), Done)
    for change in ({"output": 999}, {"emits": 4}, {"size": 2_000}):
        outcome = await attempted(act, execute(value=fits | change))
        assert (outcome.error.type, outcome.error.retryable) == ("ResultTooLarge", False)


async def test_an_emit_to_a_topic_that_is_not_declared_is_refused():
    """The action may only emit where its declaration says; the failure is final and names the topic."""

    async def stray(ctx) -> None:
        ctx.emit("elsewhere", value=b"x")

    outcome = await attempted(action(stray, emits=["sales"]))
    assert (outcome.error.type, outcome.error.retryable) == ("EmitRefused", False)
    assert "elsewhere" in outcome.error.message


async def test_a_command_after_its_deadline_is_not_begun():
    """Whoever finds a command later than its deadline refuses it, so that it cannot run after its step was undone."""
    called = []

    async def work() -> None:
        called.append(1)

    now = time.time_ns() // 1_000_000
    outcome = await attempted(action(work), deadline=now - 1_000)
    assert (outcome.error.type, outcome.error.retryable, called) == ("DeadlinePassed", True, [])
    assert isinstance(await attempted(action(work), deadline=now + 600_000), Done)


async def test_an_undo_answers_that_it_undid():
    """The result of a compensation is the same JSON whatever the function returns."""

    async def refund(booking: str) -> str:
        return booking

    outcome = await attempted(action(refund), undo(value={"booking": "b"}, template=False))
    assert outcome == Done(output=outcomes.UNDONE)


async def test_a_template_is_never_given_to_an_action_without_inbox():
    """A compensation that has to be filled from an inbox row is refused where there is none."""
    outcome = await attempted(action(_nothing), undo(value={}, template=True))
    assert outcome.error.type == "InputRefused"


async def _nothing() -> None:
    return None


async def test_secrets_of_the_settings_do_not_leave_with_an_error():
    """Passwords that an exception quotes are hidden in message and details; the rest of the message stays."""

    async def leak() -> None:
        raise ActionFailed("Refused", "no login at db with hunter22", details={"url": "db://me:hunter22@x"})

    error = (await attempted(action(leak), secrets=["hunter22", "a"])).error
    assert error.message == "no login at db with ***"
    assert payloads.decode(error.details) == {"url": "db://me:***@x"}


async def test_a_message_is_cut_at_its_limit_in_whole_characters():
    """A long message is bounded in bytes and stays valid text; long details are dropped; odd text survives."""

    async def talk() -> None:
        raise ActionFailed("X" * 500, "é" * 500 + "\ud800", details="y" * 500)

    error = (await attempted(action(talk))).error
    assert len(error.message.encode()) <= LIMITS.error_message_bytes
    assert error.message.endswith("é...")
    assert (len(error.type), error.details) == (200, None)


async def test_an_exception_that_is_raised_again_and_again_does_not_grow():
    """An exception kept by user code and raised in every attempt holds no frames of attempts that have ended."""
    error = DiskFull("no room")
    for act in raising(error) * 3:
        await attempted(act)
        assert error.__traceback__ is None


@pytest.mark.parametrize("plain", [False, True], ids=["coroutine", "plain function"])
async def test_user_code_leaves_the_answer_to_others(plain):
    """It is no failure that user code could catch by mistake, and what was emitted goes with it."""

    def ask(ctx: ActionContext) -> str:
        try:
            ctx.emit("letters", value=ctx.token)
            ctx.answer_later()
        except Exception:  # noqa: BLE001 - as much of user code does
            return "caught"

    async def ask_in_a_coroutine(ctx: ActionContext) -> str:
        return ask(ctx)

    ended = await attempted(action(ask if plain else ask_in_a_coroutine, emits=["letters"]))
    assert [each.topic for each in ended.emits] == ["letters"]
    assert ended == Deferred(emits=ended.emits)


async def test_records_that_go_with_no_answer_have_limits_as_well():
    """What does not fit a record fails the attempt."""

    async def ask(ctx: ActionContext) -> str:
        for _ in range(4):
            ctx.emit("letters")
        ctx.answer_later()

    assert (await attempted(action(ask, emits=["letters"]))).error.type == "ResultTooLarge"
