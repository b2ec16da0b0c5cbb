"""How a run is drawn while somebody watches."""

from rich.console import Console

from actionbus.cli import board
from actionbus.cli.board import Board
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.run import Decision, RunStatus


def _event(version: int, *entries: EventEntry, status: RunStatus = RunStatus.RUNNING) -> WorkflowEvent:
    return WorkflowEvent(
        run_id="a",
        incarnation="1",
        workflow="hello",
        definition_version="1",
        version=version,
        status=status,
        at=version * 1_000,
        entries=entries,
    )


def _drawn(made: Board, now: int) -> list[str]:
    console = Console(width=100, no_color=True)
    with console.capture() as captured:
        console.print(made.draw(now))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_node_shows_where_it_stands() -> None:
    """Status, attempt and how long it has been so; a node inside another one stands below it."""
    made = Board("a")
    made.take(_event(1, EventEntry(kind=EntryKind.STEP_SCHEDULED, step="pick[3].charge", attempt=1)))
    assert "charge  at work  4.0s" in _drawn(made, 5_000)[-1]
    decision = Decision(step="pick[3].charge", attempt=1, decision="retry", reason="it was busy", at=2_000)
    made.take(_event(2, EventEntry(kind=EntryKind.DECISION, step="pick[3].charge", decision=decision)))
    assert "backing off  1.0s  retry: it was busy" in _drawn(made, 3_000)[-1]
    made.take(_event(3, EventEntry(kind=EntryKind.STEP_SCHEDULED, step="pick[3].charge", attempt=2)))
    made.waits = ["the moon"]
    title, pick, third, charge, waits = _drawn(made, 6_000)
    assert (title, waits) == ("a  hello@1  RUNNING  5.0s", "waits for the moon")
    assert ("pick" in pick, "[3]" in third) == (True, True)
    assert "charge  at work  attempt 2  3.0s" in charge


def test_times_stand_still_once_a_run_has_ended() -> None:
    """And nothing is waited for any more."""
    made = Board("a")
    made.waits = ["the moon"]
    made.take(_event(1, EventEntry(kind=EntryKind.STEP_SCHEDULED, step="greet")))
    made.take(_event(3, EventEntry(kind=EntryKind.STEP_SUCCEEDED, step="greet"), status=RunStatus.COMPLETED))
    title, greet = _drawn(made, 9_000_000)
    assert title == "a  hello@1  COMPLETED  2.0s"
    assert "greet  done  2.0s" in greet


def test_what_comes_from_anybody_gives_a_terminal_no_orders() -> None:
    """Control characters in names and reasons are shown as what they are not."""
    made = Board("a\x1b[2J")
    made.take(_event(1, EventEntry(kind=EntryKind.STEP_FAILED, step="greet", reason="\x1b[2J")))
    assert "\x1b" not in "".join(_drawn(made, 2_000))


def test_lengths_of_time_are_short() -> None:
    """Two units at most, as people say them."""
    said = [board.elapsed(each * 1000) for each in (0, 9, 59, 61, 3_600, 90_061)]
    assert said == ["0.0s", "9.0s", "59s", "1m1s", "1h", "1d1h"]
