"""The judge sees everything that is committed, the moment it is, and knows what was promised."""

from collections import defaultdict

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import StepStatus, WorkflowRun
from engine.books import Books
from simulation.judgement import hold

LINEAR = "the shard has one history"
GAPLESS = "events are gapless and match the state"
ONCE = "each input is consumed once"
SCHEDULED = "a command exists only for a step that a committed state has scheduled"
COMPLETE = "what a run did is kept or undone, as it ended"
EMITS = "what is to be published is published once, with the state that says so"
READABLE = "nothing that was written well is set aside"
VERDICTS = (EntryKind.REQUEST_ACCEPTED, EntryKind.REQUEST_REJECTED)
EMITTED = "told"  # where the workflows publish
BY_HAND = (RequestKind.SKIP_STEP, RequestKind.COMPLETE_STEP)


class Judge:
    """What is known of the world, from its committed records alone."""

    def __init__(self, world) -> None:
        self._world = world
        self._decode = world.codec.decode
        self._topics = world.topics
        self.position: ShardPosition | None = None
        self.runs: dict[str, WorkflowRun] = {}
        self.requests: list[WorkflowRequest] = []  # by offset: nothing else is written there
        self.results: list[ActionResult] = []
        self.scheduled: set[str] = set()
        self.commands: dict[str, ActionCommand] = {}
        self._accepted: set[tuple[str, str, str]] = set()
        self._succeeded: set[tuple[str, str, str]] = set()
        self._entries: defaultdict[tuple[str, str], list] = defaultdict(list)
        self._by_hand: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def appended(self, place, records) -> None:
        """Something was written outside any transaction."""
        topic = place[0]
        if topic == self._topics.requests:
            self.requests += [self._decode(WorkflowRequest, each.value) for each in records]
        elif topic == self._topics.results:
            self.results += [self._decode(ActionResult, each.value) for each in records]
        elif topic in self._world.command_topics:
            for each in records:
                self._ordered(self._decode(ActionCommand, each.value))

    def _ordered(self, command: ActionCommand) -> None:
        text = command.command_id
        self._world.tell("broker", "command", text)
        hold(text in self.scheduled, SCHEDULED, text)
        known = self.commands.setdefault(text, command)
        hold(known == command, SCHEDULED, f"{text} comes again and is another one")

    def committed(self, written) -> None:
        """A transaction counts."""
        topics = self._topics
        changes: dict[str, WorkflowRun | None] = {}
        events: list[WorkflowEvent] = []
        position, emitted = None, 0
        for (topic, _), _, records in written:
            if topic == topics.state:
                for each in records:
                    if each.key == POSITION_KEY:
                        position = self._decode(ShardPosition, each.value)
                    else:
                        run_id = each.key.decode()
                        changes[run_id] = None if each.value is None else self._decode(WorkflowRun, each.value)
            elif topic == topics.events:
                events += [self._decode(WorkflowEvent, each.value) for each in records]
            elif topic == EMITTED:
                emitted += len(records)
            else:
                hold(topic != topics.dead_letters, READABLE, records)
        hold(position is not None, LINEAR, "a transaction without a position counts")
        self._world.tell(
            position.owner,
            "commits",
            position.txn_seq,
            *(f"{run_id} {run and run.status.value} v{run and run.version}" for run_id, run in changes.items()),
        )
        asked = sum(entry.kind is EntryKind.RECORD_EMITTED for event in events for entry in event.entries)
        hold(emitted == asked, EMITS, f"{asked} records are to be published, {emitted} are")
        self._moves_on(position, events)
        self._follow(changes, events, position)

    def _moves_on(self, position: ShardPosition, events: list[WorkflowEvent]) -> None:
        """One transaction follows from the one before it, and passes over no input."""
        before = self.position
        seq, requests, results, latest = (
            (before.txn_seq, before.requests_offset, before.results_offset, before.latest_time)
            if before
            else (0, 0, 0, 0)
        )
        hold(position.txn_seq == seq + 1, LINEAR, f"{position.txn_seq} of {position.owner} comes after {seq}")
        hold(position.latest_time >= latest, LINEAR, "time goes back")
        hold(position.dispatched_through <= seq, LINEAR, "it knows of commands that nobody has sent")
        hold(requests <= position.requests_offset <= len(self.requests), ONCE, f"{position} after {before}")
        hold(results <= position.results_offset <= len(self.results), ONCE, f"{position} after {before}")
        self.position = position
        asked = [each.request_id for each in self.requests[requests : position.requests_offset]]
        told = [(event, entry) for event in events for entry in event.entries if entry.kind in VERDICTS]
        hold([entry.request_id for _, entry in told] == asked, ONCE, f"{asked} are answered by {told}")
        for request, (event, entry) in zip(self.requests[requests:], told, strict=False):
            if entry.kind is EntryKind.REQUEST_ACCEPTED and event.version:
                key = (event.run_id, event.incarnation, request.request_id)
                hold(key not in self._accepted, "no request is carried out twice", key)
                self._accepted.add(key)
                if request.kind in BY_HAND:
                    self._by_hand[key[:2]].add(request.step)
        self._caused(events, self.results[results : position.results_offset])

    def _caused(self, events: list[WorkflowEvent], results: list[ActionResult]) -> None:
        """A step succeeds once, by a result that this very transaction has consumed."""
        said = {each.command_id for each in results if each.kind is ResultKind.SUCCEEDED}
        undone = {each.step_key for each in results if each.kind is ResultKind.SUCCEEDED}
        for event in events:
            for entry in event.entries:
                if entry.kind is EntryKind.STEP_SUCCEEDED:
                    step = (event.run_id, event.incarnation, entry.step)
                    key = identifiers.step_key(*step)
                    hold(identifiers.command_id(key, entry.attempt) in said, ONCE, f"nobody said that {key} succeeded")
                    hold(step not in self._succeeded, ONCE, f"{key} succeeds twice")
                    self._succeeded.add(step)
                elif entry.kind is EntryKind.STEP_COMPENSATED and entry.reason is None and entry.data is not None:
                    key = identifiers.step_key(event.run_id, event.incarnation, entry.step)
                    hold(key in undone, ONCE, f"nobody said that {key} is undone")

    def _follow(self, changes, events: list[WorkflowEvent], position: ShardPosition) -> None:
        """Each run follows from itself, with an event for each of its versions."""
        told: defaultdict[str, list[WorkflowEvent]] = defaultdict(list)
        for event in events:
            if event.version:
                told[event.run_id].append(event)
        hold(told.keys() <= changes.keys(), GAPLESS, f"{told.keys()} are told, {changes.keys()} are changed")
        for run_id, run in changes.items():
            before = self.runs.get(run_id)
            if run is None:
                hold(before is not None and before.status.ended, LINEAR, f"{run_id} is forgotten while it lives")
                del self.runs[run_id]
                continue
            same = before is not None and before.incarnation == run.incarnation
            hold(before is None or same or before.status.ended, LINEAR, f"{run_id} is replaced while it lives")
            hold(not (same and before.status.ended), LINEAR, f"{run_id} goes on after its end")
            hold(run.txn_seq == position.txn_seq, LINEAR, f"{run_id} says {run.txn_seq}, its shard {position.txn_seq}")
            since = before.version if same else 0
            versions = [event.version for event in told[run_id]]
            hold(versions == list(range(since + 1, run.version + 1)), GAPLESS, f"{run_id}: {versions} after {since}")
            hold({event.incarnation for event in told[run_id]} <= {run.incarnation}, GAPLESS, run_id)
            hold(not versions or told[run_id][-1].status is run.status, GAPLESS, f"{run_id} is {run.status}")
            self.runs[run_id] = run
            self._remember(run, told[run_id])

    def _remember(self, run: WorkflowRun, told: list[WorkflowEvent]) -> None:
        for step in run.steps:
            if step.dispatch_seq:
                undo = step.status is StepStatus.COMPENSATING
                key = identifiers.step_key(run.run_id, run.incarnation, step.path)
                self.scheduled.add(identifiers.command_id(key, step.attempt, undo=undo))
        entries = self._entries[run.run_id, run.incarnation]
        entries += [entry for event in told for entry in event.entries]
        if run.status.ended:
            self._world.report.happened[run.status.value] += 1
            self.balances(run)

    def balances(self, run: WorkflowRun) -> None:
        """What the run did is there or can never be, as its end wants it."""
        ledger = self._world.ledger
        books = Books(
            self._world.definition, run.status, self._entries[run.run_id, run.incarnation],
            self._by_hand[run.run_id, run.incarnation],
        )  # fmt: skip
        hold(books.last_first(), COMPLETE, f"{run.run_id} did not undo the last first")
        for path, kept in books.wanted():
            key = identifiers.step_key(run.run_id, run.incarnation, path)
            if kept:
                hold(ledger.there(key), COMPLETE, f"{key} is not there and the run is {run.status}")
            else:
                hold(ledger.closed(key), COMPLETE, f"{key} is not closed and the run is {run.status}")

    def ended(self) -> bool:
        """Whether every run that was begun has ended, and every request is answered."""
        position = self.position
        return (
            position is not None
            and position.requests_offset >= len(self.requests)
            and all(run.status.ended for run in self.runs.values())
        )

    def unanswered(self) -> list[str]:
        """Steps that wait for a worker, and requests and results that nobody has read."""
        found = [
            f"{run.run_id}/{step.path} is {step.status.value}, attempt {step.attempt}"
            for run in self.runs.values()
            for step in run.steps
            if step.dispatch_seq
            and step.stuck is None
            and step.status in (StepStatus.SCHEDULED, StepStatus.COMPENSATING)
        ]
        position = self.position
        if position is None or position.requests_offset < len(self.requests):
            found.append("a request waits")
        if position is not None and position.results_offset < len(self.results):
            found.append("a result waits")
        return found
