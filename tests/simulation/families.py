"""Runs that start others: each is started once, and whoever waits for it hears of it once."""

from collections import Counter

from actionbus.contracts import identifiers, payloads, schedules
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.nodes import GiveUp
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.run import RunStatus, WorkflowRun
from simulation.history import Written
from simulation.judgement import hold
from simulation.verdicts import Verdict

ASKED = "what a run asks of another is written with the state that says so"
BEGUN = "a run is started once by the one that asked for it"
HEARD = "whoever started a run hears of it once"
GIVEN_UP = "a run that is not needed any more is given up as its node says"
FIRED = "each time of a schedule starts one run, or is told of"
TELLING = (RequestKind.START, RequestKind.CANCEL)  # a run that asked for it hears when it is refused


class Families:
    """What is known of runs and those that they started."""

    def __init__(self, world) -> None:
        self._world = world
        self._begun: set[tuple] = set()
        self._open: Counter[tuple] = Counter()  # started and not heard of yet, by the node and the run
        self._fired: dict[tuple[str, str], dict[str, EntryKind]] = {}
        self._missed: dict[tuple[str, str], list[tuple[int, int]]] = {}

    def follow(
        self, runs: dict[str, WorkflowRun], said: Written, asked: list[WorkflowRequest], verdicts: list[Verdict]
    ) -> None:
        """A transaction counts. ``runs``: as they stood before it; ``asked`` and ``verdicts``: what it has consumed."""
        self._asks(said)
        self._reports(runs, said, verdicts)
        told = Counter((each.run_id, each.child.run_id, each.child.status) for each in asked if each.child is not None)
        for event, entry in said.entries(EntryKind.CHILD_STARTED, EntryKind.CHILD_ENDED, EntryKind.FIRING_SKIPPED):
            self._of_child(event, entry, told)
        for event, entry in said.entries(EntryKind.FIRINGS_MISSED):
            missed = payloads.decode(entry.data)
            self._missed.setdefault((event.run_id, event.incarnation), []).append((missed["from"], missed["before"]))

    def _asks(self, said: Written) -> None:
        """What the events say was asked of others is what was written, neither more nor less."""
        entries = said.entries(EntryKind.CHILD_STARTED, EntryKind.CHILD_GIVEN_UP)
        told = Counter()
        for event, entry in entries:
            data = payloads.decode(entry.data)
            told[event.run_id, data["run_id"], data.get("asked", RequestKind.START)] += 1
        written = Counter(
            (each.parent.run_id, each.run_id, each.kind.value)
            for _, _, each in said.requests
            if each.parent is not None and each.kind is not RequestKind.CHILD_REPORT
        )
        hold(told == written, ASKED, f"{told} is told, {written} is written")

    def _reports(self, runs: dict[str, WorkflowRun], said: Written, verdicts: list[Verdict]) -> None:
        """Whoever waits for the beginning or the end of a run is told with it, and so is whoever was refused."""
        wanted = Counter()
        for run_id, run in said.changes.items():
            if run is None or run.parent is None:
                continue
            before = runs.get(run_id)
            fresh = before is None or before.incarnation != run.incarnation
            if fresh:
                started = (run_id, run.parent.run_id, run.parent.incarnation, run.parent.path)
                hold(started not in self._begun, BEGUN, started)
                self._begun.add(started)
            if fresh and not run.parent.waits:
                wanted[run.parent.run_id, run_id, RunStatus.RUNNING] += 1
            if run.parent.waits and run.status.ended:
                wanted[run.parent.run_id, run_id, run.status] += 1
        for request, _, entry in verdicts:
            refused = entry.kind is EntryKind.REQUEST_REJECTED
            if refused and request.parent is not None and request.kind in TELLING:
                wanted[request.parent.run_id, request.run_id, RunStatus.UNKNOWN] += 1
        reports = [each for _, _, each in said.requests if each.kind is RequestKind.CHILD_REPORT]
        written = Counter((each.run_id, each.child.run_id, each.child.status) for each in reports)
        hold(wanted == written, HEARD, f"{wanted} is to be told, {written} is")

    def _of_child(self, event: WorkflowEvent, entry: EventEntry, told: Counter) -> None:
        data = payloads.decode(entry.data)
        node = (event.run_id, event.incarnation, entry.step, data["run_id"])
        if event.workflow == schedules.WORKFLOW and entry.kind is not EntryKind.CHILD_ENDED:
            fired = self._fired.setdefault(node[:2], {})
            hold(
                data["run_id"] not in fired, FIRED, f"{data['run_id']} is {entry.kind} and {fired.get(data['run_id'])}"
            )
            fired[data["run_id"]] = entry.kind
            self._world.report.happened["fired"] += entry.kind is EntryKind.CHILD_STARTED
        if entry.kind is EntryKind.CHILD_STARTED:
            self._open[node] += 1
        elif entry.kind is EntryKind.CHILD_ENDED:
            hold(self._open[node] > 0, HEARD, f"{node} hears twice of one run")
            self._open[node] -= 1
            hold(told[event.run_id, data["run_id"], data["status"]] > 0, HEARD, f"nobody told {node} {data['status']}")
            if data["status"] == RunStatus.COMPLETED:
                self._done(event, entry.step, data["run_id"])

    def _done(self, event: WorkflowEvent, path: str, child: str) -> None:
        """What another run did is there, for whoever is to undo it."""
        incarnation = child.removeprefix(f"{event.run_id}:").partition(":")[0]
        self._world.ledger.done.add(identifiers.step_key(event.run_id, incarnation, path))

    def ended(self, run: WorkflowRun, definition, story) -> None:
        """A run has ended: what it started and still waited for is given up, and if that was to undo itself, it has."""
        let_go = {
            (entry.step, payloads.decode(entry.data)["run_id"])
            for entry in story.entries
            if entry.kind is EntryKind.CHILD_GIVEN_UP
        }
        for (run_id, incarnation, path, child), count in self._open.items():
            node = definition.place(path).node if (run_id, incarnation) == (run.run_id, run.incarnation) else None
            if not count or node is None or node.kind != "child" or not node.wait or node.give_up is GiveUp.LEAVE:
                continue
            hold((path, child) in let_go, GIVEN_UP, f"{child} goes on without {run_id}")
            terminated = run.status is RunStatus.TERMINATED or path in story.by_hand
            hold(terminated or node.give_up is GiveUp.TERMINATE, GIVEN_UP, f"{run_id} ended before {child} did")

    def complete(self, run: WorkflowRun, given: bytes) -> None:
        """A schedule has come to its end: every time of it has had its run, or was told of. ``given``: its first input."""
        schedule = schedules.schedule(payloads.decode(given))
        key = (run.run_id, run.incarnation)
        missed = self._missed.get(key, [])
        wanted = [
            identifiers.firing_run_id(run.run_id, at)
            for at in schedule.firings(run.created_at)
            if not any(since <= at < before for since, before in missed)
        ]
        found = [each for each in self._fired.get(key, {}) if "-t" not in each]
        hold(sorted(found) == sorted(wanted), FIRED, f"{wanted} are due, {found} are told, {missed} are missed")
