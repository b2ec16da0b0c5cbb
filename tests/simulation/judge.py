"""The judge sees everything that is committed, the moment it is, and knows what was promised."""

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus, StepStatus, WorkflowRun
from actionbus.engine.schedule import ScheduleDefinition
from actionbus.kafka.partitioning import partition_for
from engine.books import Books
from simulation.allowances import Allowances
from simulation.families import Families
from simulation.history import LINEAR, ONCE, Shard, Written, read
from simulation.judgement import hold
from simulation.processes import NONCE_KEY
from simulation.verdicts import Verdicts, answers

GAPLESS = "events are gapless and match the state"
SCHEDULED = "a command exists only for a step that a committed state has scheduled"
COMPLETE = "what a run did is kept or undone, as it ended"
EMITS = "what is to be published is published once, with the state that says so"
ASTRAY = "what went astray comes to its shard"
PINNED = "a run keeps its version"
PAUSED = "a paused run schedules nothing"
SCHEDULING = (EntryKind.STEP_SCHEDULED, EntryKind.COMPENSATION_SCHEDULED, EntryKind.CHILD_STARTED)
BY_HAND = (RequestKind.SKIP_STEP, RequestKind.COMPLETE_STEP)


@dataclass
class Story:
    """What has happened to one run."""

    events: list[WorkflowEvent] = field(default_factory=list)
    by_hand: set[str] = field(default_factory=set)
    again: list[set[str]] = field(default_factory=list)  # the nodes that it went back over, each time

    @property
    def entries(self) -> list[EventEntry]:
        """All of it in order."""
        return [entry for event in self.events for entry in event.entries]


class Judge:
    """What is known of the world, from its committed records alone."""

    def __init__(self, world) -> None:
        self._world = world
        self._decode = world.codec.decode
        self._topics = world.topics
        self.shards = [Shard(number) for number in range(world.plan.shards)]
        self.runs: dict[str, WorkflowRun] = {}
        self.stories: defaultdict[tuple[str, str], Story] = defaultdict(Story)
        self.scheduled: set[str] = set()
        self.commands: dict[str, ActionCommand] = {}
        self._verdicts = Verdicts()
        self._families = Families(world)
        self._allowances = Allowances(world)
        self.succeeded: set[str] = set()

    def appended(self, place, first: int, records) -> None:
        """Something was written outside any transaction."""
        topic, partition = place
        if topic == self._topics.requests:
            asked = (self._decode(WorkflowRequest, each.value) for each in records)
            self.shards[partition].requests |= dict(enumerate(asked, first))
        elif topic == self._topics.results:
            said = (self._decode(ActionResult, each.value) for each in records)
            self.shards[partition].results |= dict(enumerate(said, first))
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
        said = read(self._decode, self._topics, written)
        shard, position = self.shards[said.shard], said.position
        told = (f"{run_id} {run and run.status.value} v{run and run.version}" for run_id, run in said.changes.items())
        self._world.tell(position.owner, f"commits {said.shard}:", position.txn_seq, *told)
        asked = len(said.entries(EntryKind.RECORD_EMITTED))
        hold(said.emitted == asked, EMITS, f"{asked} records are to be published, {said.emitted} are")
        requests, results = shard.moves_on(position)
        requests = self._own(said, requests)
        verdicts = self._verdicts.follow(self.runs, said, requests)
        self._families.follow(self.runs, said, requests, verdicts)
        self._allowances.follow(said.shard, said.changes)
        for request, event, entry in verdicts:
            if entry.kind is EntryKind.REQUEST_ACCEPTED and event.version:
                if request.kind in BY_HAND:
                    self.stories[event.run_id, event.incarnation].by_hand.add(request.step)
                hold(request.version in (None, event.definition_version), PINNED, f"{request} begins {event}")
        self._caused(said, [each for each in results if _genuine(each)])
        self._follow(said)
        for partition, offset, request in said.requests:
            self.shards[partition].requests[offset] = request

    def _own(self, said: Written, requests: list[WorkflowRequest]) -> list[WorkflowRequest]:
        """The requests that are for this shard; any other one is handed on in the same transaction."""
        own = []
        for request in requests:
            shard = partition_for(request.run_id.encode(), len(self.shards))
            if shard == said.shard:
                own.append(request)
                continue
            found = next((each for each in said.requests if each[0] == shard and each[2] == request), None)
            hold(found is not None, ASTRAY, request)
            self._world.report.happened["astray"] += 1
        return own

    def _caused(self, said: Written, results: list[ActionResult]) -> None:
        """A step succeeds once, and is undone, by a result that this very transaction has consumed."""
        heard = [
            (each, identifiers.parse_command_id(each.command_id))
            for each in results
            if each.kind is ResultKind.SUCCEEDED
        ]
        for event, entry in said.entries(EntryKind.STEP_SUCCEEDED, EntryKind.STEP_COMPENSATED):
            undo = entry.kind is EntryKind.STEP_COMPENSATED
            if undo and (entry.reason is not None or entry.data is None):
                continue
            about = (event.run_id, event.incarnation, entry.step, undo)
            found = [
                each.step_key
                for each, of in heard
                if (of.run_id, of.incarnation.partition(".")[0], of.path, of.undo) == about
                and (undo or of.attempt == entry.attempt)
            ]
            hold(found, ONCE, f"nobody said that {about} is done")
            if not undo:
                fresh = next((key for key in found if key not in self.succeeded), None)
                hold(fresh is not None, ONCE, f"{about} succeeds twice")
                self.succeeded.add(fresh)

    def _follow(self, said: Written) -> None:
        """Each run follows from itself, with an event for each of its versions."""
        told: defaultdict[str, list[WorkflowEvent]] = defaultdict(list)
        for event in said.events:
            if event.version:
                told[event.run_id].append(event)
        hold(told.keys() <= said.changes.keys(), GAPLESS, f"{told.keys()} are told, {said.changes.keys()} are changed")
        for run_id, run in said.changes.items():
            before = last = self.runs.get(run_id)
            if run is None:
                hold(before is not None and before.status.ended, LINEAR, f"{run_id} is forgotten while it lives")
                del self.runs[run_id]
                continue
            for _, life in groupby(told[run_id], attrgetter("incarnation")):
                last = self._lives(last, list(life), run)
            stands = (run.incarnation, run.version, run.status)
            hold(
                last is not None and (last.incarnation, last.version, last.status) == stands,
                GAPLESS,
                f"{run_id} {stands}",
            )
            hold(run.txn_seq == said.position.txn_seq, LINEAR, f"{run_id} says {run.txn_seq}, not as its shard")
            same = before is not None and before.incarnation == run.incarnation
            hold(not same or before.definition_hash == run.definition_hash, PINNED, run_id)
            hold(not (same and before.status.ended), LINEAR, f"{run_id} goes on after its end")
            self.runs[run_id] = run
            for step in run.steps:
                if step.dispatch_seq:
                    undo = step.status is StepStatus.COMPENSATING
                    self.scheduled.add(identifiers.command_id(run.key(step), step.attempt, undo=undo))

    def _lives(self, before, life: list[WorkflowEvent], run: WorkflowRun) -> WorkflowEvent:
        """One run goes on, or begins in the place of one that has ended, within a transaction that ends with ``run``."""
        first, last = life[0], life[-1]
        same = before is not None and before.incarnation == first.incarnation
        hold(before is None or same or before.status.ended, LINEAR, f"{run.run_id} is replaced while it lives")
        self._world.report.happened["replaced"] += not same and before is not None
        since = before.version if same else 0
        versions = [event.version for event in life]
        hold(
            versions == list(range(since + 1, since + 1 + len(life))),
            GAPLESS,
            f"{versions} of {run.run_id} after {since}",
        )
        story = self.stories[run.run_id, first.incarnation]
        definition = self._world.definition_of(first)
        for event in life:
            paused = story.events and story.events[-1].status is event.status is RunStatus.PAUSED
            hold(not paused or not any(each.kind in SCHEDULING for each in event.entries), PAUSED, event)
            story.events.append(event)
            self._world.report.happened["answered"] += answers(event, definition.place)
            for entry in event.entries:
                self._world.report.happened[entry.kind.value] += 1
                if entry.kind is EntryKind.RUN_REWOUND:
                    story.again.append(_again(definition, entry.step))
        if last.status.ended:
            self._world.report.happened[last.status.value] += 1
            ended = run if run.incarnation == last.incarnation else last
            self._families.ended(ended, definition, story)
            self.balances(ended)
        return last

    def balances(self, run: WorkflowRun | WorkflowEvent) -> None:
        """What the run did is there or can never be, as its end wants it; the event of its end will do."""
        ledger, story = self._world.ledger, self.stories[run.run_id, run.incarnation]
        definition = self._world.definition_of(run)
        if isinstance(definition, ScheduleDefinition):
            if run.status is RunStatus.COMPLETED:
                self._families.complete(
                    run, next(each.data for each in story.entries if each.kind is EntryKind.RUN_STARTED)
                )
            return
        books = Books(definition, run.status, story.entries, story.by_hand, again=story.again)
        hold(books.last_first(), COMPLETE, f"{run.run_id} did not undo the last first")
        for path, at, kept in books.wanted():
            key = identifiers.step_key(run.run_id, f"{run.incarnation}.{at}" if at else run.incarnation, path)
            if kept:
                hold(ledger.there(key), COMPLETE, f"{key} is not there and the run is {run.status}")
            else:
                hold(ledger.closed(key), COMPLETE, f"{key} is not closed and the run is {run.status}")

    def ended(self) -> bool:
        """Whether every run that was begun has ended, and every request is answered."""
        return not any(shard.waiting[0] for shard in self.shards) and all(
            run.status.ended for run in self.runs.values()
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
        for shard in self.shards:
            requests, results = shard.waiting
            found += [f"shard {shard.number} has read neither {requests} requests nor {results} results"] * bool(
                requests or results or shard.position is None
            )
        return found


def _genuine(result: ActionResult) -> bool:
    return result.nonce == identifiers.nonce(NONCE_KEY, result.command_id)


def _again(definition, path: str) -> set[str]:
    """The nodes that a run goes back over when it goes back to one."""
    around, _, name = path.rpartition(".")
    ids = definition.place(around).plan.ids
    return {f"{around}.{each}".lstrip(".") for each in ids[ids.index(name) :]}
