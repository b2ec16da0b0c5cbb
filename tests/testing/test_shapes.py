"""Every shape of a workflow, run to its end in this process: values, failures, time, signals and undos."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from actionbus import (
    DefinitionRefused,
    Flow,
    NonRetryable,
    PayloadRefused,
    Retry,
    RunFailed,
    action,
    cel,
    rule,
    workflow,
)
from actionbus.contracts.run import RunStatus
from actionbus.testing import FakeClock, Signal, answers, never, run_workflow


class Approval(BaseModel):
    """The payload of a signal."""

    by: str


@action(id="do", retry=Retry(attempts=1))
def do(what: str) -> str:
    """Does something."""
    return f"did {what}"


@action(id="undo")
def undo(what: str | None) -> None:
    """Undoes it."""


@action(id="double")
def double(number: int) -> int:
    """Doubles a number."""
    return 2 * number


def flow_of(body: Any, given: Any = Any, gives: Any = Any) -> Any:
    """A workflow whose body is this function."""

    def read(flow: Flow, value: Any) -> Any:
        return body(flow, value)

    read.__annotations__ = {"value": given, "return": gives}
    return workflow(id="w", version="1")(read)


def act(flow: Flow, what: Any, name: str, **more: Any) -> str:
    """A step that can be undone."""
    return flow.run(do(what), id=name, undo=undo, **more)


def undone(run: Any) -> list[Any]:
    """What was undone, in order."""
    return [each["what"] for each in run.called("undo")]


NO = NonRetryable("no", type="No")


@pytest.mark.parametrize(("total", "expected"), [(50, "did small"), (150, "did big"), (1_500, "stop")])
def test_the_first_case_that_holds_is_chosen(total, expected):
    """Conditions are tried in order, and the value of the chosen branch goes on."""
    shop = flow_of(
        lambda flow, total: flow.choose(
            (cel("total > limit", total=total, limit=1_000), lambda: "stop"),
            (cel("total > 100", total=total), lambda: flow.run(do("big"), id="big")),
            otherwise=lambda: flow.run(do("small"), id="small"),
        ),
        int,
        str,
    )
    assert run_workflow(shop, total).result == expected


def test_without_a_case_there_is_no_value():
    """Where nothing is chosen the value is None."""
    nothing = flow_of(lambda flow, wanted: flow.choose((wanted, lambda: "yes")), bool, str | None)
    assert run_workflow(nothing, False).result is None
    assert run_workflow(nothing, True).result == "yes"


def test_branches_run_together_and_are_undone_together():
    """Each branch gives its own value; when one fails, what the others did is undone."""

    def body(flow: Flow, last: str) -> Any:
        a, b = flow.parallel(lambda: act(flow, "a", "a"), lambda: act(flow, last, "b"))
        return {"a": a, "b": b}

    both = flow_of(body, str)
    assert run_workflow(both, "b").result == {"a": "did a", "b": "did b"}
    failed = run_workflow(both, "b", actions={do: lambda what: refuse() if what == "b" else what})
    assert (failed.status, undone(failed)) == (RunStatus.FAILED, [None, "a"])


def refuse() -> Any:
    """Raise a failure that nothing helps against."""
    raise NO


def test_enough_branches_are_enough():
    """What is not needed any more is undone, and its value is None; a branch may fail before."""

    def body(flow: Flow, _: Any) -> Any:
        return flow.parallel(*(lambda n=n: act(flow, n, n) for n in ("a", "b", "c")), enough=2)

    run = run_workflow(flow_of(body), None, actions={do: lambda what: refuse() if what == "a" else what})
    assert (run.result, undone(run)) == ([None, "b", "c"], [None])


def test_the_first_that_succeeds_is_taken():
    """The others are given up: no attempt of theirs begins any more, and what may have happened is undone."""

    def body(flow: Flow, _: Any) -> Any:
        return flow.first(lambda: act(flow, "a", "a"), lambda: act(flow, "b", "b"), lambda: act(flow, "c", "c"))

    run = run_workflow(flow_of(body), None, actions={do: lambda what: refuse() if what == "a" else what})
    assert run.result == "b"
    assert [each["what"] for each in run.called("do")] == ["a", "b"]
    assert run_workflow(flow_of(lambda flow, _: flow.first(lambda: None, lambda: None)), None).result is None


def test_every_item_of_a_list():
    """The body meets each item with its place, some at a time, and the values keep the order of the items."""
    numbers = flow_of(
        lambda flow, numbers: flow.map(
            numbers,
            lambda number, index: {"twice": flow.run(double(number)), "at": index},
            concurrency=2,
        ),
        list[int],
    )
    assert run_workflow(numbers, [5, 7, 9]).result == [
        {"at": 0, "twice": 10},
        {"at": 1, "twice": 14},
        {"at": 2, "twice": 18},
    ]
    assert run_workflow(numbers, []).result == []


def test_some_items_may_fail():
    """A failed item is undone and gives None; one more than allowed fails the run."""
    items = flow_of(lambda flow, items: flow.map(items, lambda item: act(flow, item, "a"), may_fail=1), list[str])
    broken = {do: lambda what: refuse() if what.startswith("bad") else what}
    run = run_workflow(items, ["x", "bad", "y"], actions=broken)
    assert (run.result, undone(run)) == (["x", None, "y"], [None])
    failed = run_workflow(items, ["x", "bad", "bad too"], actions=broken)
    assert failed.status is RunStatus.FAILED
    assert "x" in undone(failed)


def test_a_loop_goes_on_until_its_condition_holds():
    """A turn reads its number and what the one before gave."""

    def body(flow: Flow, start: int) -> Any:
        return flow.repeat(
            lambda turn: flow.compute("last == null ? start : last * 2", int, last=turn.last, start=start),
            until=lambda result: cel("result > 50", result=result),
        )

    assert run_workflow(flow_of(body, int, int), 4).result == 64
    stuck = run_workflow(flow_of(body, int, int), 0)
    assert stuck.reason.startswith("TooManyTurns")


def test_a_loop_goes_on_while_its_condition_holds():
    """Without a turn there is no value."""

    def body(flow: Flow, most: int) -> Any:
        return flow.repeat(lambda turn: turn.number, while_=lambda turn: cel("n < most", n=turn.number, most=most))

    assert run_workflow(flow_of(body, int, int | None), 3).result == 2
    assert run_workflow(flow_of(body, int, int | None), 0).result is None


def approval(flow: Flow, _: Any) -> Any:
    """Waits for a signal, three days at most."""
    found = flow.wait_for("approved", Approval, timeout="3d", on_timeout=lambda: flow.output(Approval, by="nobody"))
    return found.by


def test_a_signal_is_delivered_when_the_run_waits_for_it():
    """At once, or after a delay that only moves the clock; without one in time the timeout decides."""
    for signals, by, hours in (
        ([Signal("approved", Approval(by="ann"))], "ann", 0),
        ([Signal("approved", {"by": "ann"}, after="2h")], "ann", 2),
        ([Signal("approved", Approval(by="late"), after="4d")], "nobody", 72),
        ([], "nobody", 72),
    ):
        clock = FakeClock()
        assert run_workflow(flow_of(approval), None, signals=signals, clock=clock).result == by
        assert clock.elapsed_ms == hours * 3_600_000


def test_signals_of_one_name_come_in_their_order():
    """Each wait takes the next; other names do not hold them up."""

    def body(flow: Flow, _: Any) -> Any:
        one = flow.wait_for("number", int, id="one")
        done = flow.wait_for("done", bool)
        return [one, done, flow.wait_for("number", int, id="two")]

    signals = [Signal("number", 1), Signal("number", 2), Signal("done", True)]
    assert run_workflow(flow_of(body), None, signals=signals).result == [1, True, 2]


def test_a_run_that_waits_says_for_what():
    """A run whose signal never came has not ended, and says so."""
    run = run_workflow(flow_of(lambda flow, _: flow.wait_for("approved", Approval)), None)
    assert (run.status, run.waits_for) == (RunStatus.RUNNING, ("approved",))
    with pytest.raises(RunFailed, match="it waits for the signal approved"):
        _ = run.result
    assert run_workflow(flow_of(approval), None).waits_for == ()


def test_a_signal_that_is_wrong_is_refused():
    """A name that the workflow does not know, and a payload that does not fit, are mistakes of the test."""
    with pytest.raises(DefinitionRefused, match="waits for no signal aproved; it waits for approved"):
        run_workflow(flow_of(approval), None, signals=[Signal("aproved")])
    with pytest.raises(PayloadRefused, match="the signal approved does not fit"):
        run_workflow(flow_of(approval), None, signals=[Signal("approved", {"from": "ann"})])


def test_time_passes_without_waiting():
    """A sleep moves the clock: by a duration, by a number that a run knows, until a moment."""

    def body(flow: Flow, given: Any) -> None:
        flow.sleep("5m")
        flow.sleep(given["ms"])
        flow.sleep(cel("ms * 2", ms=given["ms"]))
        flow.sleep_until(datetime(2026, 1, 1, 1, tzinfo=UTC))
        flow.sleep_until(given["at"])

    clock = FakeClock()
    run = run_workflow(flow_of(body), {"ms": 1_000, "at": "2026-01-01T02:00:00Z"}, clock=clock)
    assert (run.status, clock.elapsed_ms) == (RunStatus.COMPLETED, 2 * 3_600_000)


def test_a_block_is_undone_and_tried_again():
    """What the first attempt did is undone, the time of the retry passes, and the second attempt counts."""

    def body(flow: Flow, _: Any) -> Any:
        def block() -> Any:
            act(flow, "a", "a")
            return act(flow, "b", "b")

        return flow.attempt(block, on_failure=[rule.any.retry(Retry(attempts=2, initial="10s", jitter=0))])

    clock = FakeClock()
    run = run_workflow(flow_of(body), None, actions={do: answers("a", OSError(), "a2", "b2")}, clock=clock)
    assert (run.result, undone(run), clock.elapsed_ms) == ("b2", [None, "a"], 10_000)


def test_a_block_has_a_handler_and_a_finally():
    """The handler reads the failure, stands in for the block, and what always follows comes last."""

    def body(flow: Flow, *, undo: bool) -> Any:
        def block() -> Any:
            act(flow, "a", "a")
            flow.fail("Full", cel("'no room in ' + x", x="b"))

        return flow.attempt(
            block,
            on_failure=[rule("Full").handle(lambda failure: act(flow, failure.message, "h"), undo=undo)],
            always=lambda: act(flow, "z", "z"),
        )

    for keeps in (True, False):
        run = run_workflow(flow_of(lambda flow, _: body(flow, undo=not keeps)), None)  # noqa: B023 - read at once
        assert run.result == "did no room in b"
        assert [each["what"] for each in run.called("do")] == ["a", "no room in b", "z"]
        assert undone(run) == ([] if keeps else ["did a"])


def test_a_block_may_go_on_with_a_value():
    """A failed block gives the constant of its rule."""
    run = run_workflow(
        flow_of(lambda flow, _: flow.attempt(lambda: act(flow, "a", "a"), on_failure=[rule.any.continue_with("none")])),
        None,
        actions={do: answers(NO)},
    )
    assert (run.result, undone(run)) == ("none", [None])


def test_a_failure_of_the_author_undoes_the_run():
    """Nothing around it answers it: the run is undone and FAILED with it."""

    def body(flow: Flow, _: Any) -> Any:
        act(flow, "a", "a")
        flow.fail("CardRefused", "no", details={"code": 7})

    run = run_workflow(flow_of(body), None)
    assert (run.status, run.reason, undone(run)) == (RunStatus.FAILED, "CardRefused: no", ["did a"])


def test_a_rule_may_have_a_condition():
    """It sees the error, the attempt and what is bound to it."""

    def body(flow: Flow, most: int) -> Any:
        return flow.run(
            do("a"),
            on_failure=[
                rule.any.when("attempt < most && error.type == 'Busy'", most=most).retry(
                    Retry(attempts=9, initial="1s", jitter=0)
                ),
                rule.any.continue_with("gave up"),
            ],
        )

    class Busy(Exception):
        """Comes again."""

    run = run_workflow(flow_of(body, int), 3, actions={do: answers(Busy())})
    assert run.result == "gave up"
    assert len(run.called("do")) == 3


def test_a_step_may_wait_for_an_operator():
    """A rule that pauses leaves an incident, and the run says why it has not ended."""
    run = run_workflow(
        flow_of(lambda flow, _: flow.run(do("a"), on_failure=[rule("No").pause()])), None, actions={do: answers(NO)}
    )
    assert run.state.incident is not None
    assert "No: no" in run.reason


def test_an_attempt_that_no_worker_takes_is_tried_again():
    """A wait that is limited ends by the clock."""
    waiting = flow_of(
        lambda flow, _: flow.run(do("a"), schedule_to_start="10m", on_failure=[rule("Timeout").continue_with("late")])
    )
    assert run_workflow(waiting, None).result == "did a"
    assert run_workflow(waiting, None, actions={do: never}).result == "late"
