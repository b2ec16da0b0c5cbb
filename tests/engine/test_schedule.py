"""Schedules: what fires when, what becomes of firings that meet a live run or come late, and what a schedule is told."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts import moments, payloads, schedules
from actionbus.contracts.events import EntryKind
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.requests import ChildReport
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import Parent, RunStatus, TimerKind
from actionbus.engine.inputs import ChildReported, TimerFired
from actionbus.engine.schedule import GRAPH, ScheduleDefinition
from engine.matchers import has_ended, is_ignored, is_refused
from engine.play import START, Play

MINUTE = 60_000
FIRST = START + 20_000  # the first full minute after the start of a play
SPEC = {"workflow": "report", "every_ms": MINUTE, "input": {"n": 1}}


class Clockwork(Play):
    """A schedule from outside; the runs that it starts are told of by the test."""

    def __init__(self, limits=DEFAULT_LIMITS, run_id="nightly", **spec):
        super().__init__(ScheduleDefinition(limits=limits, run_retention_ms=MINUTE), run_id=run_id)
        self.starts(SPEC | spec)

    @property
    def asked(self):
        """What was asked of other runs: its kind and the end of the run's id."""
        return [(str(each.kind), each.run_id.removeprefix("nightly-")) for each in self.requests]

    @property
    def requests(self):
        """Everything that was asked of other runs."""
        return [request for transition in self.transitions for request in transition.requests]

    @property
    def standing(self):
        """What it remembers."""
        (scope,) = [each for each in self.run.scopes if each.path == "schedule"]
        return schedules.read(schedules.Standing, payloads.decode(scope.data))

    def ends(self, name, status=RunStatus.COMPLETED, **fields):
        """A run that it started tells how it stands."""
        parent = Parent(run_id="nightly", incarnation="0", path="schedule", waits=True)
        child = ChildReport(run_id=f"nightly-{name}", incarnation="7", status=status, **fields)
        return self.give(ChildReported(parent=parent, report=child))

    def refuses(self, name, why="the workflow 'report' is not deployed"):
        """A run that it started cannot begin."""
        error = ActionError(type="ChildRefused", message=why, retryable=False)
        return self.ends(name, RunStatus.UNKNOWN, error=error)

    def sleeps(self, milliseconds):
        """Nobody is there for a while; then what is due is due at once."""
        self.now += milliseconds
        self.wakes()

    def wakes(self):
        """Timers that are due fire, until none is; each may take another transition."""
        while (timer := self._next(self.now)) is not None:
            self.give(TimerFired(timer_id=timer.id))

    def told(self, kind):
        """What the history says of that, in order."""
        return [
            (payloads.decode(entry.data), entry.reason)
            for event in self.events
            for entry in event.entries
            if entry.kind is kind
        ]


def at(minute: int) -> str:
    """The end of the id of a minute's run; 0 is the first."""
    return moments.compact(FIRST + minute * MINUTE)


def test_a_run_is_started_at_each_time():
    """Its id says the time, its input is the schedule's, and it knows who started it."""
    clock = Clockwork(version="2")
    assert clock.passes(19_999) == []
    clock.passes(1)
    (start,) = clock.requests
    assert (start.run_id, start.workflow, start.version) == ("nightly-19700101T001700Z", "report", "2")
    assert (start.payload, start.parent.run_id, start.parent.waits) == (b'{"n":1}', "nightly", True)
    assert clock.standing.next == FIRST + MINUTE


def test_the_firings_of_a_day_leave_the_state_small():
    """What is remembered does not grow with what has fired."""
    clock = Clockwork(overlap="allow")
    sizes = []
    for _ in range(24):
        clock.passes(60 * MINUTE)
        sizes.append(len(payloads.encode(clock.standing.model_dump(mode="json"))))
    assert clock.standing.started == 24 * 60
    assert max(sizes[1:]) - min(sizes[1:]) < 20
    assert len(clock.run.timers) == 1


def test_a_run_that_began_beside_others_is_not_waited_for():
    """With ``allow`` every time starts one, and that it has begun changes nothing."""
    clock = Clockwork(overlap="allow")
    clock.passes(3 * MINUTE)
    assert clock.asked == [("start", at(0)), ("start", at(1)), ("start", at(2))]
    assert {request.parent.waits for request in clock.requests} == {False}
    is_ignored(clock, clock.ends(at(0), RunStatus.RUNNING))


def test_a_firing_that_meets_a_live_run_is_skipped():
    """And told so; the next one after the run's end starts again."""
    clock = Clockwork()
    clock.passes(2 * MINUTE)
    assert clock.asked == [("start", at(0))]
    ((skipped, why),) = clock.told(EntryKind.FIRING_SKIPPED)
    assert skipped == {"run_id": f"nightly-{at(1)}", "at": FIRST + MINUTE}
    assert why == f"the run nightly-{at(0)} is not over"
    clock.ends(at(0))
    assert clock.asked == [("start", at(0))]
    clock.passes(MINUTE)
    assert clock.asked[1:] == [("start", at(2))]
    assert (clock.standing.started, clock.standing.skipped) == (2, 1)


def test_one_firing_waits_for_the_end_of_a_live_run():
    """The next one is skipped, and the one that waits starts with the end."""
    clock = Clockwork(overlap="queue")
    clock.passes(3 * MINUTE)
    assert clock.asked == [("start", at(0))]
    assert [skipped["run_id"] for skipped, _ in clock.told(EntryKind.FIRING_SKIPPED)] == [f"nightly-{at(2)}"]
    clock.ends(at(0), RunStatus.FAILED, error=ActionError(type="Oops", message="it broke"))
    assert clock.asked[1:] == [("start", at(1))]
    assert clock.standing.live == f"nightly-{at(1)}"


def test_a_live_run_is_cancelled_for_the_next_firing():
    """It is asked once; the latest firing starts when it has ended."""
    clock = Clockwork(overlap="cancel_other")
    clock.passes(3 * MINUTE)
    assert clock.asked == [("start", at(0)), ("cancel", at(0))]
    assert [why for _, why in clock.told(EntryKind.FIRING_SKIPPED)] == ["a later firing takes its place"]
    clock.ends(at(0), RunStatus.CANCELLED)
    assert clock.asked[2:] == [("start", at(2))]
    clock.passes(MINUTE)
    assert clock.asked[3:] == [("cancel", at(2))]


def test_a_run_that_ended_before_it_was_cancelled():
    """Its end comes first and lets the next one start; the refusal of the cancellation then changes nothing."""
    clock = Clockwork(overlap="cancel_other")
    clock.passes(2 * MINUTE)
    clock.ends(at(0))
    assert clock.asked[2:] == [("start", at(1))]
    is_ignored(clock, clock.refuses(at(0), "the run has ended already"))


def test_a_run_that_cannot_begin_is_told_of_and_the_schedule_goes_on():
    """However often: the reason is there for whoever looks."""
    clock = Clockwork()
    for minute in range(12):
        clock.passes(20_000 if minute == 0 else MINUTE)
        clock.refuses(at(minute))
    assert len(clock.asked) == clock.standing.refused == 12
    last = clock.standing.recent[-1]
    assert (last.status, last.reason) == ("REFUSED", "the workflow 'report' is not deployed")
    assert len(clock.standing.recent) == schedules.RECENT
    assert len(clock.told(EntryKind.CHILD_ENDED)) == 12


def test_a_run_beside_others_that_cannot_begin_is_told_of_once():
    """Nobody waits for it, and still nobody is left without a word."""
    clock = Clockwork(overlap="allow")
    clock.passes(20_000)
    clock.refuses(at(0))
    is_ignored(clock, clock.refuses(at(0)))
    assert clock.standing.refused == 1


def test_what_somebody_elses_run_tells_is_ignored():
    """A run that was not started by this schedule, or in an earlier life of it."""
    clock = Clockwork()
    clock.passes(20_000)
    is_ignored(clock, clock.ends("another"))
    parent = Parent(run_id="nightly", incarnation="9", path="schedule", waits=True)
    report = ChildReport(run_id=f"nightly-{at(0)}", incarnation="7", status=RunStatus.COMPLETED)
    is_ignored(clock, clock.give(ChildReported(parent=parent, report=report)))


def test_what_is_late_within_the_window_fires():
    """Each of it, in its order; what is older is told of in one entry with its number."""
    clock = Clockwork(overlap="allow", catch_up_ms=3 * MINUTE)
    clock.sleeps(60 * MINUTE)
    assert [name for _, name in clock.asked] == [at(57), at(58), at(59)]
    ((missed, _),) = clock.told(EntryKind.FIRINGS_MISSED)
    assert missed == {"number": 57, "at_least": False, "from": FIRST, "before": clock.now - 3 * MINUTE}
    assert (clock.standing.missed, clock.standing.next) == (57, FIRST + 60 * MINUTE)


def test_a_long_sleep_takes_bounded_transitions():
    """No more starts than the limit in one of them, no more times looked at, and ten years are one entry."""
    limits = DEFAULT_LIMITS.model_copy(update={"schedule_firings": 7, "schedule_times": 50})
    clock = Clockwork(limits, overlap="allow", catch_up_ms=30 * MINUTE)
    clock.sleeps(10 * 365 * 1440 * MINUTE)
    clock.passes(20)
    assert len(clock.asked) == 30
    assert max(len(transition.requests) for transition in clock.transitions) == 7
    ((missed, _),) = clock.told(EntryKind.FIRINGS_MISSED)
    assert (missed["number"], missed["at_least"]) == (50, True)


def test_firings_that_meet_a_live_run_take_bounded_transitions():
    """Also where nothing is started."""
    limits = DEFAULT_LIMITS.model_copy(update={"schedule_times": 10})
    clock = Clockwork(limits, catch_up_ms=60 * MINUTE)
    clock.sleeps(45 * MINUTE)
    clock.passes(20)
    assert clock.standing.skipped == 44
    assert max(len(event.entries) for event in clock.events) <= 11


def test_large_inputs_take_more_transitions():
    """What is written in one of them fits a batch."""
    limits = DEFAULT_LIMITS.model_copy(update={"batch_bytes": 20_000})
    clock = Clockwork(limits, overlap="allow", input={"n": "x" * 9_000})
    clock.sleeps(10 * MINUTE)
    clock.passes(20)
    assert len(clock.asked) == 10
    assert max(len(transition.requests) for transition in clock.transitions) == 3


def test_a_paused_schedule_catches_up_when_it_is_resumed():
    """While it is paused nothing starts; then what is within the window."""
    clock = Clockwork(overlap="allow", catch_up_ms=2 * MINUTE)
    clock.pauses()
    clock.passes(10 * MINUTE)
    assert clock.asked == []
    clock.resumes()
    assert [name for _, name in clock.asked] == [at(8), at(9)]
    assert clock.standing.missed == 8
    clock.passes(MINUTE)
    assert len(clock.asked) == 3


def test_a_run_that_ends_while_the_schedule_is_paused():
    """What waits for it starts with the resume."""
    clock = Clockwork(overlap="queue")
    clock.passes(2 * MINUTE)
    clock.pauses()
    clock.ends(at(0))
    assert clock.asked == [("start", at(0))]
    clock.resumes()
    assert clock.asked[1:] == [("start", at(1))]


def test_a_schedule_ends_after_its_last_firing():
    """Once the run of that has ended, if it is waited for."""
    clock = Clockwork(end_at=FIRST)
    clock.passes(5 * MINUTE)
    assert clock.run.status is RunStatus.RUNNING
    clock.ends(at(0))
    has_ended(clock, "COMPLETED")


def test_a_schedule_that_is_over_when_it_begins():
    """It starts nothing and completes."""
    clock = Clockwork(end_at=START - 1)
    has_ended(clock, "COMPLETED")
    assert clock.asked == []


def test_the_end_of_a_schedule_leaves_its_runs_alone():
    """Whoever wants them to end asks them."""
    clock = Clockwork()
    clock.passes(20_000)
    clock.terminates()
    has_ended(clock, "TERMINATED")
    assert clock.asked == [("start", at(0))]
    is_ignored(clock, clock.ends(at(0)))


def test_jitter_derives_from_the_id_of_the_run():
    """It is the same whoever computes it, differs from run to run, and stays below its limit."""
    clock = Clockwork(overlap="allow", jitter_ms=5_000)
    clock.passes(10 * MINUTE)
    later = [request.due_at - FIRST - minute * MINUTE for minute, request in enumerate(clock.requests)]
    assert all(0 <= each <= 5_000 for each in later)
    assert len(set(later)) > 5
    again = Clockwork(overlap="allow", jitter_ms=5_000)
    again.passes(10 * MINUTE)
    assert [request.due_at for request in again.requests] == [request.due_at for request in clock.requests]


def test_a_trigger_fires_at_once():
    """With an id that no time of the schedule has; twice in one moment are two runs."""
    clock = Clockwork(overlap="allow")
    for _ in range(2):
        clock.signals("trigger")
    assert clock.asked == [("start", "19700101T001640Z-t1"), ("start", "19700101T001640Z-t2")]
    clock.passes(20_000)
    assert clock.asked[2:] == [("start", at(0))]


def test_a_trigger_that_would_start_nothing_is_refused():
    """Unless it brings an overlap of its own."""
    clock = Clockwork()
    clock.signals("trigger")
    is_refused(clock.signals("trigger"), "is not over, and the overlap is skip")
    clock.signals("trigger", {"overlap": "queue"})
    is_refused(clock.signals("trigger", {"overlap": "queue"}), "another one waits")
    clock.signals("trigger", {"overlap": "allow"})
    assert [name[-2:] for _, name in clock.asked] == ["t1", "t3"]


def test_a_span_is_filled_one_after_the_other():
    """Each run begins when the one before has ended; the ids are those that its times have anyway."""
    clock = Clockwork(start_at=0)
    span = {"from": moments.text(FIRST - 3 * MINUTE), "to": FIRST - MINUTE}
    clock.signals("backfill", span)
    assert clock.asked == [("start", at(-3))]
    is_refused(clock.signals("backfill", span), "another span is being filled")
    for minute in (-3, -2, -1):
        clock.ends(at(minute))
    assert clock.asked == [("start", at(-3)), ("start", at(-2)), ("start", at(-1))]
    assert clock.standing.backfill is None
    clock.passes(20_000)
    assert clock.asked[3:] == [("start", at(0))]


def test_a_span_is_filled_all_at_once():
    """In as many transitions as the limits ask for."""
    limits = DEFAULT_LIMITS.model_copy(update={"schedule_firings": 4})
    clock = Clockwork(limits)
    clock.signals("backfill", {"from": FIRST - 10 * MINUTE, "to": FIRST - MINUTE, "together": True})
    assert len(clock.asked) == 4
    clock.passes(10)
    assert [name for _, name in clock.asked] == [at(minute) for minute in range(-10, 0)]
    assert clock.standing.backfill is None


@pytest.mark.parametrize(
    ("name", "payload", "why"),
    [
        ("backfill", {"from": 0, "to": START + 1}, "is not past"),
        ("backfill", {"from": 9, "to": 8}, "to is before from"),
        ("backfill", None, "does not fit"),
        ("trigger", {"overlap": "never"}, "overlap"),
        ("trigger", 0, "does not fit"),
        ("update", SPEC | {"every_ms": 0}, "every_ms"),
        ("update", None, "does not fit"),
        ("hello", None, "takes the signals trigger, backfill, update"),
    ],
)
def test_what_makes_no_sense_is_refused(name, payload, why):
    """With the reason, and nothing changes."""
    clock = Clockwork()
    before = clock.run
    is_refused(clock.signals(name, payload), why)
    assert clock.run is before


def test_an_update_counts_from_now_on():
    """What was due before it fires as it was; the new times follow, and the run's input is the new schedule."""
    clock = Clockwork(overlap="allow")
    clock.now = FIRST  # due, and its timer has not fired yet
    new = {"workflow": "other", "every_ms": 2 * MINUTE, "overlap": "allow"}
    clock.signals("update", new)
    assert clock.requests[0].workflow == "report"
    assert payloads.decode(clock.run.input) == new
    clock.passes(MINUTE)
    assert clock.asked == [("start", at(0)), ("start", at(1))]
    assert clock.requests[1].workflow == "other"
    assert clock.standing.next == FIRST + 3 * MINUTE


def test_an_update_of_a_paused_schedule():
    """What the pause held back of the old one is told as missed, and the new one waits for the resume."""
    clock = Clockwork(overlap="allow")
    clock.pauses()
    clock.passes(2 * MINUTE)
    is_refused(clock.signals("trigger"), "paused")
    clock.signals("update", SPEC | {"overlap": "allow", "every_ms": 2 * MINUTE})
    assert [missed["number"] for missed, _ in clock.told(EntryKind.FIRINGS_MISSED)] == [2]
    clock.resumes()
    assert clock.asked == []
    clock.passes(2 * MINUTE)
    assert clock.asked == [("start", at(3))]


def test_an_update_waits_for_a_span():
    """Whose times it would change."""
    clock = Clockwork()
    clock.signals("backfill", {"from": FIRST - 3 * MINUTE, "to": FIRST - MINUTE})
    is_refused(clock.signals("update", SPEC), "a span is being filled")


def test_a_time_that_is_moved_fires_nothing_by_itself():
    """An operator who lets it look earlier finds nothing due; who lets it look later delays what is due."""
    clock = Clockwork()
    clock.moves("schedule", clock.now)
    clock.wakes()
    assert clock.asked == []
    clock.moves("schedule", FIRST + 30_000)
    clock.passes(20_000)
    assert clock.asked == []
    clock.passes(30_000)
    assert clock.asked == [("start", at(0))]


@pytest.mark.parametrize("spec", [{"every_ms": 0}, {"cron": "* * * * *"}, {"time_zone": "Mars/Olympus"}])
def test_a_schedule_that_cannot_fire_does_not_begin(spec):
    """Whoever asks for it hears why."""
    play = Play(ScheduleDefinition(limits=DEFAULT_LIMITS, run_retention_ms=MINUTE))
    is_refused(play.starts(SPEC | spec), "the input is refused")


def test_a_schedule_whose_runs_could_have_no_id_does_not_begin():
    """Its own id has to leave room for the time."""
    play = Play(ScheduleDefinition(limits=DEFAULT_LIMITS, run_retention_ms=MINUTE), run_id="s" * 168)
    is_refused(play.starts(SPEC), "at most 167 characters")


def test_a_schedule_that_has_not_begun_takes_nothing():
    """It may be asked for with a time to begin at."""
    play = Play(ScheduleDefinition(limits=DEFAULT_LIMITS, run_retention_ms=MINUTE))
    play.starts(SPEC, due_at=START + MINUTE)
    is_refused(play.signals("trigger"), "has not begun yet")


def test_what_a_newer_version_remembers_stops_nobody():
    """While versions change, an older one may meet fields that it does not know."""
    clock = Clockwork(overlap="allow")
    (root, scope) = clock.run.scopes
    newer = {"next": FIRST, "mood": "fine", "recent": [{"at": 1, "run_id": "nightly-x", "mood": "fine"}]}
    given = SPEC | {"overlap": "allow", "mood": "fine"}
    clock.run = clock.run.replace(
        input=payloads.encode(given), scopes=(root, scope.replace(data=payloads.encode(newer)))
    )
    clock.passes(20_000)
    assert clock.asked == [("start", at(0))]


def test_the_built_in_definition_never_changes():
    """Schedules that live are pinned to it: another graph needs another version beside this one."""
    assert GRAPH.hash == "0d0a350f1a64114b1a9ddd30e12ec266299e303a9c467920a61144b7ce9cacf1"


JUMPS = st.lists(
    st.tuples(
        st.sampled_from(["time", "time", "time", "end", "refusal", "pause", "resume", "trigger", "update"]),
        st.sampled_from([1, 20_000, MINUTE, 5 * MINUTE, 29 * MINUTE, 30 * MINUTE + 1, 300 * MINUTE]),
    ),
    min_size=1,
    max_size=25,
)


@given(overlap=st.sampled_from(list(schedules.Overlap)), jumps=JUMPS)
def test_every_time_fires_once_or_is_told_of(overlap, jumps):
    """However time jumps and whatever happens: started, skipped, missed, or still to come, each exactly once."""
    limits = DEFAULT_LIMITS.model_copy(update={"schedule_firings": 5, "schedule_times": 20})
    clock = Clockwork(limits, overlap=overlap, catch_up_ms=30 * MINUTE)
    for what, milliseconds in jumps:
        match what:
            case "time":
                clock.sleeps(milliseconds)
            case "end" if clock.standing.live is not None:
                clock.ends(clock.standing.live.removeprefix("nightly-"))
            case "refusal" if clock.standing.live is not None:
                clock.refuses(clock.standing.live.removeprefix("nightly-"))
            case "pause":
                clock.pauses()
            case "resume":
                clock.resumes()
            case "trigger":
                clock.signals("trigger")
            case "update":
                clock.signals("update", SPEC | {"overlap": overlap, "catch_up_ms": 30 * MINUTE})
            case _:
                pass
    standing = clock.standing
    started = [request.run_id for request in clock.requests if str(request.kind) == "start"]
    skipped = [each["run_id"] for each, _ in clock.told(EntryKind.FIRING_SKIPPED)]
    waiting = [] if standing.waiting is None else [standing.waiting.run_id]
    missed = [
        f"nightly-{moments.compact(moment)}"
        for each, _ in clock.told(EntryKind.FIRINGS_MISSED)
        for moment in range(each["from"], each["before"], MINUTE)
    ]
    found = Counter([*started, *skipped, *waiting, *missed])
    wanted = Counter(f"nightly-{moments.compact(moment)}" for moment in range(FIRST, standing.next, MINUTE))
    by_hand = Counter(name for name in found if "-t" in name)
    assert max(found.values(), default=1) == 1
    assert found - by_hand == wanted
    assert clock.run.status is RunStatus.PAUSED or standing.next > clock.now or _goes_on(clock)


def _goes_on(clock) -> bool:
    """What is left follows at once."""
    return any(timer.kind is TimerKind.WAKE and timer.due_at <= clock.now + 1 for timer in clock.run.timers)
