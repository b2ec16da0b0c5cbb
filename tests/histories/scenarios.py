"""The runs whose histories are recorded, told as plays. A scenario is only told again when its recording is new."""

from actionbus.contracts.definitions import Effect
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.requests import RequestKind
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import Parent, RunStatus
from engine.graphs import (
    COMPENSATE,
    DAY_MS,
    FAIL,
    PAUSE,
    action,
    block,
    call,
    caught,
    cel,
    child,
    choose,
    each,
    emit,
    fallback,
    go_on_with,
    handle,
    on,
    parallel,
    person,
    policy,
    put,
    ref,
    repeat,
    retry,
    sequence,
    sequence_giving,
    show,
    sleep,
    step,
    throw,
    wait,
    workflow,
)
from engine.play import START, Play, started
from engine.test_schedule import MINUTE, SPEC, Clockwork, at

SIGNUP = workflow(
    step("create-user", input={"email": ref("input", "email")}, undo=call("delete-user", id=ref("made", "id"))),
    step(
        "welcome",
        on("MailboxFull", fallback("queue-letter", user=ref("steps", "create-user", "id"), why=ref("error", "type"))),
        on(None, COMPENSATE),
        input={"to": ref("input", "email")},
        undo=call("apologise", message=ref("made", "id")),
        retry=policy(3, jitter=0.5),
    ),
    step("update-crm", input={"user": ref("steps", "create-user", "id")}),
    output={"user": ref("steps", "create-user", "id"), "message": ref("steps", "welcome", "id")},
    actions=[
        action("create-user", effect=Effect.TRANSACTIONAL, store="users"),
        action("delete-user", effect=Effect.TRANSACTIONAL, store="users"),
        action("welcome", start_to_close_ms=10_000, emits=("mails",)),
    ],
    name="signup",
    run_timeout_ms=3_600_000,
)
ADA = {"email": "ada@example.org"}


def _signed_up(play: Play) -> Play:
    play.succeeds("create-user", {"id": 7})
    return play


def happy_path() -> Play:
    """Every step succeeds; a record is emitted on the way; the run is kept for a day and then forgotten."""
    play = _signed_up(started(SIGNUP, ADA))
    play.begins("welcome")
    play.succeeds("welcome", {"id": "m-1"}, emits=("mails",))
    play.succeeds("update-crm")
    play.passes(DAY_MS)
    return play


def retry_then_success() -> Play:
    """Two attempts fail, the third succeeds; delays grow and are spread by the command ids."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "Busy")
    play.passes(1_000)
    play.fails("welcome", "Busy", retry_after_ms=5_000)
    play.passes(5_000)
    play.succeeds("welcome", {"id": "m-1"})
    play.succeeds("update-crm")
    return play


def exhausted_compensates() -> Play:
    """A step is used up; it and all before it are undone, last first, and one undo needs a second attempt."""
    play = _signed_up(started(SIGNUP, ADA))
    play.succeeds("welcome", {"id": "m-1"})
    play.fails("update-crm", "Rejected", retryable=False, details=b'{"code":422}')
    play.fails("welcome", "Busy", undo=True)
    play.passes(2_000)
    play.undoes("welcome")
    play.undoes("create-user")
    return play


def fallback_stands_in() -> Play:
    """A named error leads to the fallback, after the failed step was undone; its output goes on in the step's place."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "MailboxFull")
    play.undoes("welcome", "never_happened")
    play.succeeds("welcome.queue-letter", {"id": "letter-1"})
    play.succeeds("update-crm")
    return play


def continue_with_value() -> Play:
    """A step is left behind and the run goes on with a value; a nested sequence and a record follow."""
    play = started(
        workflow(
            step("price", on("Closed", go_on_with({"amount": 0}))),
            sequence(
                "shipping",
                step(
                    "book", on("Full", retry(2, initial_ms=0)), on("Full", FAIL), input=ref("steps", "price", "amount")
                ),
                emit("booked", "bookings", ref("input"), {"at": ref("steps", "price", "amount")}),
            ),
        ),
        "order-1",
    )
    play.fails("price", "Closed")
    play.fails("shipping.book", "Full")
    play.succeeds("shipping.book")
    return play


def cancel_mid_run() -> Play:
    """Somebody cancels while a step is under way; late results are ignored; a second cancel changes nothing."""
    play = _signed_up(started(SIGNUP, ADA))
    play.cancels("changed her mind")
    play.succeeds("welcome", {"id": "m-1"}, attempt=1)
    play.cancels(request_id="cancel-2")
    play.undoes("welcome")
    play.undoes("create-user")
    play.cancels(request_id="cancel-3")
    return play


def late_success_while_backing_off() -> Play:
    """The first attempt succeeds after all, while the second waits for its time."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "Busy")
    play.succeeds("welcome", {"id": "m-1"}, attempt=1)
    play.succeeds("update-crm")
    return play


def late_success_of_an_earlier_attempt() -> Play:
    """The first attempt succeeds while the second is under way; the second one's success comes too late."""
    play = _signed_up(started(SIGNUP, ADA))
    play.fails("welcome", "Busy")
    play.passes(1_000)
    play.succeeds("welcome", {"id": "m-1"}, attempt=1)
    play.succeeds("welcome", {"id": "m-2"}, attempt=2)
    play.succeeds("update-crm")
    return play


def late_success_while_compensating() -> Play:
    """The failed step's success arrives while it is undone, and is ignored."""
    play = started(SIGNUP, ADA)
    play.fails("create-user", "Lost", retryable=False)
    play.succeeds("create-user", {"id": 7}, attempt=1)
    play.undoes("create-user")
    return play


def attempt_times_out() -> Play:
    """An attempt that has begun takes too long and is tried again."""
    play = _signed_up(started(SIGNUP, ADA))
    play.passes(120_000)
    play.begins("welcome")
    play.passes(12_000)
    play.succeeds("welcome", {"id": "m-1"})
    play.succeeds("update-crm")
    return play


def run_times_out() -> Play:
    """The run takes longer than its definition allows and is undone."""
    play = _signed_up(started(SIGNUP, ADA))
    play.passes(3_600_000)
    play.undoes("welcome", "never_happened")
    play.undoes("create-user")
    return play


def step_times_out() -> Play:
    """All attempts of a step together take too long while the next one waits."""
    play = started(workflow(step("slow", retry=policy(None, initial_ms=4_000, factor=1), schedule_to_close_ms=10_000)))
    play.fails("slow")
    play.passes(4_000)
    play.fails("slow")
    play.passes(4_000)
    play.passes(2_000)
    return play


def duplicate_start() -> Play:
    """The same request is answered alike, another one for the same run is rejected, before and after its end."""
    play = started(workflow(step("a")))
    play.starts()
    play.starts(request_id="start-2")
    play.succeeds("a")
    play.starts()
    play.starts(request_id="start-3")
    return play


def retention_and_reuse() -> Play:
    """An ended run is forgotten; its id is used again, and results of the earlier incarnation are strangers to it."""
    play = started(workflow(step("a")))
    play.succeeds("a")
    play.passes(DAY_MS)
    play.succeeds("a", attempt=1)
    play.incarnation = "1z"
    play.starts(request_id="start-2")
    play.incarnation = "0"
    play.succeeds("a", attempt=1)
    play.incarnation = "1z"
    play.succeeds("a")
    return play


def undo_becomes_incident() -> Play:
    """An undo is used up: the run waits for an operator, until a late answer of the undo closes the incident."""
    play = started(workflow(step("a", undo="undo-a"), step("b"), undo_retry=policy(2)))
    play.succeeds("a")
    play.fails("b")
    play.fails("a", "Stuck", undo=True)
    play.passes(1_000)
    play.fails("a", "Stuck", undo=True)
    play.undoes("a", attempt=1)
    return play


def choice_and_values() -> Play:
    """A condition chooses, a value is computed, and a failure of the author's own undoes what was done."""
    big = cel("n > 10", n=ref("input"))
    play = started(
        workflow(
            choose("size", (big, step("crate", undo="uncrate")), otherwise=put("bag", "small")),
            put("label", {"of": ref("steps", "size"), "twice": cel("n * 2", n=ref("input"))}),
            choose("fits", (cel("n > 11", n=ref("input")), throw("heavy", "TooHeavy", ref("steps", "label", "twice")))),
        ),
        12,
    )
    play.succeeds("size.crate", "crated")
    play.undoes("size.crate")
    return play


def enough_branches() -> Play:
    """Two of four branches are enough: one that failed and one that was under way are undone."""
    quotes = [step(f"ask-{name}", undo="withdraw") for name in "abcd"]
    play = started(workflow(parallel("quotes", *quotes, enough=2), step("buy"), output=ref("steps", "quotes")))
    play.fails("quotes.ask-b")
    play.succeeds("quotes.ask-d", 4)
    play.succeeds("quotes.ask-a", 1)
    play.undoes("quotes.ask-b", "never_happened")
    play.succeeds("quotes.ask-c", 3, attempt=1)
    play.undoes("quotes.ask-c")
    play.succeeds("buy")
    return play


def list_of_items() -> Play:
    """Two items at a time; one that fails is undone, and the outputs stand in the order of the list."""
    body = sequence_giving(
        "line",
        ref("steps", "pack"),
        step("reserve", input=ref("scope", "lines", "item"), undo=call("free", of=ref("made"))),
        step("pack", input=[ref("steps", "reserve"), ref("scope", "lines", "index")]),
    )
    lines = each("lines", ref("input"), body, concurrency=2, may_fail=1)
    play = started(workflow(lines, output=ref("steps", "lines")), ["x", "y", "z"])
    play.succeeds("lines[1].reserve", "Y")
    play.succeeds("lines[0].reserve", "X")
    play.fails("lines[1].pack")
    play.undoes("lines[1].reserve")
    play.succeeds("lines[2].reserve", "Z")
    play.succeeds("lines[2].pack", 3)
    play.succeeds("lines[0].pack", 1)
    return play


def loop_until_done() -> Play:
    """A loop asks until it is told; each turn reads what the one before gave, and is final."""
    turn = step("poll", input=[ref("scope", "polls", "turn"), ref("scope", "polls", "last")], undo="unpoll")
    done = cel("last == 'done'", last=ref("scope", "polls", "last"))
    play = started(
        workflow(repeat("polls", sequence_giving("s", ref("steps", "poll"), turn, sleep("nap", 1_000)), until=done))
    )
    play.succeeds("polls[0].poll", "not yet")
    play.passes(1_000)
    play.succeeds("polls[1].poll", "done")
    play.passes(1_000)
    return play


def signal_and_deadline() -> Play:
    """One signal comes early, one is waited for, and one does not come in time."""
    play = started(
        workflow(
            step("ask"),
            wait("first", "answer", payload_schema={"type": "string"}),
            wait("second", "answer", payload_schema={"type": "string"}, timeout_ms=5_000),
            wait("third", "answer", payload_schema={"type": "string"}, timeout_ms=5_000, on_timeout=put("none", "no")),
            output=[ref("steps", name) for name in ("first", "second", "third")],
        )
    )
    play.signals("answer", "early", request_id="answer-1")
    play.succeeds("ask")
    play.signals("answer", "early", request_id="answer-1")
    play.signals("answer", 7, request_id="answer-2")
    play.signals("answer", "in time", request_id="answer-3")
    play.passes(5_000)
    return play


def signal_starts_the_run() -> Play:
    """A signal starts the run that it is for, and meets it when it waits."""
    play = Play(workflow(step("a", input=ref("input")), wait("w", "go"), output=ref("steps", "w")))
    play.signals_with_start("go", 1, {"n": 2})
    play.signals_with_start("go", 1, {"n": 2})
    play.succeeds("a")
    return play


def block_is_tried_again() -> Play:
    """A block is undone and tried again, its handler stands in, and what always follows does."""
    body = sequence("booking", step("hotel", undo="cancel-hotel"), step("flight", undo="cancel-flight"))
    rules = (
        caught("Full", retry(2, initial_ms=2_000)),
        caught(None, handle(put("home", ref("scope", "trip", "error", "type")))),
    )
    play = started(workflow(block("trip", body, *rules, always=step("tell")), output=ref("steps", "trip")))
    for number in (1, 2):
        play.succeeds(f"trip[{number}].hotel")
        play.fails(f"trip[{number}].flight", "Full")
        play.undoes(f"trip[{number}].flight", "never_happened")
        play.undoes(f"trip[{number}].hotel")
        play.passes(2_000)
    play.succeeds("trip.tell")
    return play


def block_keeps_what_it_did() -> Play:
    """A rule keeps what a block did; an undo that had begun for a fallback is waited for."""
    inside = parallel("p", step("a", on(None, fallback("f")), undo="u"), step("b", undo="u"), step("c"))
    play = started(workflow(block("t", inside, caught("Full", handle(step("h")), undo=False)), step("z")))
    play.succeeds("t[1].b")
    play.fails("t[1].a")
    play.fails("t[1].c", "Full")
    play.undoes("t[1].a")
    play.succeeds("t.h")
    play.succeeds("z")
    return play


def pause_and_resume() -> Play:
    """While a run is paused results are taken in and nothing follows; the resume lets it all go on in order."""
    play = started(
        workflow(
            parallel("p", step("a", retry=policy(3)), step("b", on(None, fallback("f")), undo="u"), sleep("s", 5_000)),
            step("z", undo="u"),
        )
    )
    play.pauses()
    play.fails("p.a")
    play.fails("p.b")
    play.passes(5_000)
    play.resumes()
    play.undoes("p.b")
    play.succeeds("p.b.f")
    play.succeeds("p.a")
    play.pauses()
    play.fails("z")
    play.resumes()
    play.undoes("z")
    return play


def operator_steps_in() -> Play:
    """A step calls an operator, who tries it again and then completes it; another one is skipped, a time is changed."""
    play = started(
        workflow(
            step("charge", on(None, PAUSE), undo="refund"),
            sleep("night", 3_600_000),
            step("mail", retry=policy(5)),
            step("crm"),
            output=ref("steps", "charge"),
        )
    )
    play.fails("charge", "Refused")
    play.retries("charge")
    play.fails("charge", "Refused")
    play.completes("charge", {"by": "bank"})
    play.moves("night", play.now + 10)
    play.passes(10)
    play.fails("mail")
    play.retries("mail")
    play.skips("mail")
    play.succeeds("crm")
    return play


def stuck_undo_is_done_by_hand() -> Play:
    """An undo that failed for good is tried again by a resume, and then done by hand."""
    play = started(workflow(step("a", undo="undo-a"), step("b"), undo_retry=policy(1)))
    play.succeeds("a")
    play.fails("b")
    play.fails("a", "Stuck", undo=True)
    play.resumes()
    play.fails("a", "Stuck", undo=True)
    play.succeeds("a", attempt=1)
    play.completes("a")
    return play


def terminated() -> Play:
    """Somebody stops the run at once; nothing is undone, and late answers are ignored."""
    play = started(workflow(parallel("p", step("a", undo="u"), wait("w", "go", timeout_ms=9_000))))
    play.terminates()
    play.succeeds("p.a", attempt=1)
    play.passes(9_000)
    return play


def rules_with_conditions() -> Play:
    """A rule looks at the attempt and the error; no worker comes in time for the last attempt."""
    early = cel("attempt < 2 && error.type != 'Closed'", attempt=ref("attempt"), error=ref("error"))
    rules = (on(None, retry(5, initial_ms=0), when=early), on("Timeout", go_on_with("nobody")), on(None, retry(5)))
    play = started(workflow(step("a", *rules, schedule_to_start_ms=500), output=ref("steps", "a")))
    play.fails("a", "Busy")
    play.begins("a")
    play.fails("a", "Busy")
    play.passes(2_000)
    play.passes(500)
    return play


def silent_attempt() -> Play:
    """An attempt says how far it is and falls silent; the next one goes on there."""
    play = started(workflow(step("a", heartbeat_ms=5_000, retry=policy(2)), output=ref("steps", "a")))
    play.beats("a", {"page": 3})
    play.passes(7_000)
    play.begins("a")
    play.beats("a")
    play.succeeds("a", 9)
    return play


def answered_by_token() -> Play:
    """Nobody answers the first attempt in time; the second one is answered by the token of the first, and is undone."""
    asks = action("ask", effect=Effect.TRANSACTIONAL, start_to_close_ms=60_000, emits=("letters",))
    withdraw = action("withdraw", effect=Effect.TRANSACTIONAL)
    asking = step("ask", retry=policy(2), undo=call("withdraw", id=ref("made", "id")))
    play = started(workflow(asking, step("b"), actions=[asks, withdraw]))
    play.begins("ask")
    play.defers("ask", emits=("letters",))
    play.beats("ask", "reminded")
    play.passes(61_000)
    play.defers("ask", emits=("letters",))
    play.succeeds("ask", {"id": 7}, attempt=1, by_token=True)
    play.fails("b", retryable=False)
    play.defers("ask", undo=True)
    play.undoes("ask")
    return play


def nobody_knows() -> Play:
    """Nobody knows what became of an attempt: one step is done by hand, one tried again, and an undo is looked at."""
    once = [action(name, effect=Effect.AT_MOST_ONCE) for name in ("pay", "post", "take-back")]
    steps = (step("pay", undo="take-back"), step("post"), step("check"))
    play = started(workflow(*steps, actions=once))
    play.begins("pay")
    play.doubts("pay")
    play.completes("pay", {"id": 7})
    play.begins("post")
    play.passes(60_000)
    play.retries("post")
    play.doubts("post")
    play.succeeds("post")
    play.fails("check", retryable=False)
    play.doubts("pay", undo=True)
    play.completes("pay")
    return play


def migrated_mid_run() -> Play:
    """A run that waits goes over to another version, under which its next steps are others; what is done keeps its undo."""
    play = started(
        workflow(
            step("reserve", undo="free"), wait("approval", "approved"), step("charge"), output=ref("steps", "reserve")
        )
    )
    play.succeeds("reserve", 7)
    other = workflow(
        step("reserve", undo="free"),
        wait("consent", "approved"),
        step("bill", input=ref("steps", "consent")),
        output=[ref("steps", "reserve")],
        version="2",
    )
    play.migrates(other, approval="consent")
    play.signals("approved", "yes")
    play.fails("bill")
    play.undoes("reserve")
    return play


def schedule_of_minutes() -> Play:
    """A schedule fires, waits for a live run, is late, is triggered, filled, updated and deleted."""
    play = Clockwork(overlap="queue", catch_up_ms=3 * MINUTE, start_at=0)
    play.passes(3 * MINUTE)
    play.ends(at(0))
    play.refuses(at(1))
    play.signals("trigger", {"overlap": "allow"})
    play.sleeps(10 * MINUTE)
    play.signals("backfill", {"from": START - 2 * MINUTE, "to": START})
    while play.standing.backfill is not None or play.standing.live is not None:
        play.ends(play.standing.live.removeprefix("nightly-"))
    play.signals("update", SPEC | {"cron": "*/2 * * * *", "every_ms": None, "overlap": "cancel_other"})
    play.passes(5 * MINUTE)
    play.terminates()
    return play


def child_completes() -> Play:
    """A run waits for another one, goes on with what that gave, and takes it back when a later step fails."""
    play = started(
        workflow(
            step("a", undo="ua"),
            child("c", input=ref("input"), undo=call("uc", order=ref("made", "order"))),
            step("z", input={"order": ref("steps", "c", "order")}),
        ),
        {"n": 1},
    )
    play.succeeds("a")
    play.hears("c", RunStatus.COMPLETED, output={"order": 7})
    play.fails("z", retryable=False)
    play.undoes("c")
    play.undoes("a")
    return play


def child_fails() -> Play:
    """A rule looks into the failure of another run; a run that only has to begin says so; one takes too long."""
    closed = cel("error.details.shop == 'closed'", error=ref("error"))
    ship = block("t", child("ship"), caught("Refused", go_on_with("by hand"), when=closed))
    late = block("u", child("slow", timeout_ms=1_000, give_up="terminate"), caught("Timeout", go_on_with("late")))
    play = started(workflow(ship, child("tell", wait=False), late, output=ref("steps", "t")))
    error = ActionError(type="Refused", message="no", retryable=False, details=b'{"shop":"closed"}')
    play.hears("t[1]", RunStatus.FAILED, error=error)
    play.hears("tell", RunStatus.RUNNING)
    play.passes(1_000)
    return play


def child_is_cancelled_with_its_run() -> Play:
    """What the run did is undone once the other run, which it cancels, has ended; one had completed before that."""
    both = parallel("p", child("c"), child("d", undo=call("ud", gave=ref("made"))))
    play = started(workflow(step("a", undo="ua"), both))
    play.succeeds("a")
    play.cancels()
    play.hears("p.c", RunStatus.CANCELLED, error=ActionError(type="Cancelled", message="not wanted", retryable=False))
    play.hears("p.d", RunStatus.COMPLETED, output=[1])
    play.undoes("p.d")
    play.undoes("a")
    return play


def child_too_deep() -> Play:
    """A run that another one started may itself start none, because too many wait for one another."""
    play = Play(workflow(child("c")))
    play.starts(parent=Parent(run_id="r-0", incarnation="0", path="c", waits=True, depth=DEFAULT_LIMITS.child_depth))
    return play


def update_answered_later() -> Play:
    """Updates come early: one is refused once something waits for it, one is answered, and one finds the run ended."""
    positive = cel("n > 0", n=ref("payload"))
    added = wait("w", "add", accept=positive, answer=cel("n * 2", n=ref("payload")))
    play = started(workflow(step("a"), added, show("s", "sum", ref("steps", "w")), step("b")))
    play.signals("add", -1, request_id="update-1")
    play.signals("add", 3, request_id="update-2")
    play.succeeds("a")
    play.signals("add", 4, request_id="update-3")
    play.succeeds("b")
    return play


def person_reminded() -> Play:
    """Somebody is asked, reminded, and somebody else asked in their place; a form for the one task fills it."""
    ask = person(
        "ok",
        ref("scope", "m", "item"),
        assignee="ann",
        payload_schema={"type": "boolean"},
        remind_after_ms=[1_000],
        due_ms=2_000,
        on_reminder=step("mail", input={"to": ref("scope", "ok", "assignee")}),
    )
    play = started(workflow(each("m", ["x", "y"], ask), output=ref("steps", "m")))
    play.passes(1_000)
    play.succeeds("m[0][0]")
    play.asks(RequestKind.ASSIGN_TASK, step="m[1]", value="bob", reason="ann is ill")
    play.asks(RequestKind.SIGNAL, step="m[1]", value=True)
    play.passes(1_000)
    play.signals("ok", value=False)
    return play


def turns_waited_for() -> Play:
    """The run waits for its turn, then a step for each of its attempts, and what undoes it as well."""
    one = LimitPolicy(concurrency=1, key="input.of")
    limited = [action("a", limit=one), action("ua", limit=one)]
    a = step("a", input={"of": ref("input", "of")}, retry=policy(2), undo=call("ua", of=ref("made", "of")))
    play = started(workflow(a, step("z"), actions=limited, limit=LimitPolicy(concurrency=1)), {"of": "x"})
    play.passes(500)
    play.admits("")
    play.admits("a")
    play.fails("a")
    play.passes(1_000)
    play.pauses()
    play.resumes()
    play.admits("a")
    play.succeeds("a", {"of": "y"})
    play.fails("z", retryable=False)
    play.admits("a")
    play.undoes("a")
    return play


def debounced_start() -> Play:
    """A run that has not begun takes the input of later starts, the last of which brings another definition."""
    play = Play(workflow(step("a", input={"q": ref("input")})))
    debounce = {"if_exists": "debounce"}
    play.starts("t", due_at=play.now + 3_000, **debounce)
    play.passes(1_000)
    play.starts("te", request_id="start-2", due_at=play.now + 3_000, **debounce)
    play.passes(1_000)
    other = workflow(step("b", input={"q": ref("input")}), version="2")
    play.starts("tea", request_id="start-3", due_at=play.now + 3_000, target=other, **debounce)
    play.passes(3_000)
    play.succeeds("b")
    return play


def silent_after_deferring() -> Play:
    """An attempt begins, leaves its answer to somebody else, and takes too long, counted from its beginning."""
    play = started(workflow(step("a", heartbeat_ms=40_000, start_to_close_ms=60_000, retry=policy(3, initial_ms=0))))
    play.passes(1_000)
    play.begins("a")
    play.passes(30_000)
    play.defers("a")
    play.passes(20_000)
    play.beats("a", "soon")
    play.passes(10_000)
    play.defers("a")
    play.passes(40_000)
    play.succeeds("a", by_token=True)
    return play


def goes_back() -> Play:
    """A run goes back over a step and a run that it started, then fails, and each is undone under its own key."""
    undo = call("uk", of=ref("made"))
    play = started(
        workflow(
            step("a", undo="ua", input={"n": ref("input")}),
            put("s", {"a": ref("steps", "a")}),
            step("b", undo="ub", input={"s": ref("steps", "s"), "n": ref("input")}),
            child("k", undo=undo),
            step("c"),
        ),
        5,
    )
    play.succeeds("a", 1)
    play.succeeds("b", 2)
    play.hears("k", RunStatus.COMPLETED, output=3)
    play.rewinds("b", input=5, outputs={"s": {"a": 1}})
    play.undoes("k")
    play.undoes("b")
    play.succeeds("b", 4, incarnation="0")
    play.succeeds("b", 4)
    play.hears("k", RunStatus.COMPLETED, output=5)
    play.fails("c", retryable=False)
    for path in ("k", "b", "a"):
        play.undoes(path)
    return play


def found_by_attributes() -> Play:
    """A run can be found by its input, and then by what it shows."""
    made = workflow(
        show("open", "stage", "open"),
        step("pay"),
        show("paid", "stage", ref("steps", "pay")),
        searchable={"customer": "input.customer", "stage": None},
    )
    play = started(made, {"customer": "c-1"})
    play.succeeds("pay", "paid")
    return play


SCENARIOS = (
    happy_path,
    retry_then_success,
    exhausted_compensates,
    fallback_stands_in,
    continue_with_value,
    cancel_mid_run,
    late_success_while_backing_off,
    late_success_of_an_earlier_attempt,
    late_success_while_compensating,
    attempt_times_out,
    run_times_out,
    step_times_out,
    duplicate_start,
    retention_and_reuse,
    undo_becomes_incident,
    choice_and_values,
    enough_branches,
    list_of_items,
    loop_until_done,
    signal_and_deadline,
    signal_starts_the_run,
    block_is_tried_again,
    block_keeps_what_it_did,
    pause_and_resume,
    operator_steps_in,
    stuck_undo_is_done_by_hand,
    terminated,
    rules_with_conditions,
    silent_attempt,
    answered_by_token,
    nobody_knows,
    migrated_mid_run,
    schedule_of_minutes,
    child_completes,
    child_fails,
    child_is_cancelled_with_its_run,
    child_too_deep,
    update_answered_later,
    person_reminded,
    turns_waited_for,
    debounced_start,
    silent_after_deferring,
    goes_back,
    found_by_attributes,
)
