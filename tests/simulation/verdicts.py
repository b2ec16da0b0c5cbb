"""Whether everybody who asked has heard one verdict: at once, or once something takes the signal that came early."""

from collections import defaultdict
from collections.abc import Mapping

from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.run import WorkflowRun
from simulation.history import ONCE, Written
from simulation.judgement import hold

GIVEN = (EntryKind.REQUEST_ACCEPTED, EntryKind.REQUEST_REJECTED)
ANSWERED = "whoever sends an update hears one answer"
NOT_TWICE = "no request is carried out twice"
Verdict = tuple[WorkflowRequest, WorkflowEvent, EventEntry]


class Verdicts:
    """What was asked, and what was said to it."""

    def __init__(self) -> None:
        self._accepted: set[tuple[str, str, str]] = set()
        self._begins: set[tuple[str, str]] = (
            set()
        )  # signals that may begin a run, and so are accepted before they are taken

    def follow(self, runs: Mapping[str, WorkflowRun], said: Written, asked: list[WorkflowRequest]) -> list[Verdict]:
        """The verdicts that a transaction gives at once to what it has consumed. ``runs``: as they stood before it."""
        wanted: defaultdict[tuple[str, str], list[WorkflowRequest]] = defaultdict(list)
        for request in asked:
            if request.kind is not RequestKind.CHILD_REPORT:
                wanted[request.run_id, request.request_id].append(request)
            if request.kind is RequestKind.SIGNAL and request.workflow is not None:
                self._begins.add((request.run_id, request.request_id))
        told: defaultdict[tuple[str, str], list] = defaultdict(list)
        for event, entry in said.entries(*GIVEN):
            told[event.run_id, entry.request_id].append((event, entry))
            self._once(event, entry)
        found: list[Verdict] = []
        for key in dict.fromkeys((*wanted, *told)):
            requests, verdicts = wanted.get(key, []), told.get(key, [])
            if requests and requests[0].kind is not RequestKind.SIGNAL:
                hold(len(verdicts) == len(requests), ONCE, f"{key} is asked {len(requests)} times, and told {verdicts}")
                found += [(request, *verdict) for request, verdict in zip(requests, verdicts, strict=True)]
            else:
                before = runs.get(key[0])
                self._of_signal(key, (before, said.changes.get(key[0], before)), len(requests), len(verdicts))
        return found

    def _once(self, event: WorkflowEvent, entry: EventEntry) -> None:
        if entry.kind is EntryKind.REQUEST_ACCEPTED and event.version:
            key = (event.run_id, event.incarnation, entry.request_id)
            hold(key not in self._accepted or (event.run_id, entry.request_id) in self._begins, NOT_TWICE, key)
            self._accepted.add(key)

    def _of_signal(self, key: tuple[str, str], run: tuple, asked: int, told: int) -> None:
        """One that nothing waits for yet may be kept, and is answered later; asked again meanwhile, it waits as before."""
        waited, waits = (_keeps(each, key[1]) for each in run)
        most = 0 if waited and waits else asked + waited - waits
        least = int((asked or waited) and not waits)
        if key in self._begins:
            most += 1
        hold(least <= told <= most, ANSWERED, f"{key} is asked {asked} times and told {told} times, {waited} {waits}")


def _keeps(run: WorkflowRun | None, request_id: str) -> bool:
    return run is not None and any(each.request_id == request_id for each in run.signals)


def answers(event: WorkflowEvent, place) -> int:
    """Each update that was taken is told what its node says to it, and nothing if that says nothing; how many were."""
    entries, told = event.entries, 0
    for number, entry in enumerate(entries):
        if entry.kind is not EntryKind.REQUEST_ACCEPTED:
            continue
        after = entries[number + 1] if number + 1 < len(entries) else entry
        path = after.step if after.kind is EntryKind.SIGNAL_RECEIVED else entry.step
        if path is not None and place(path) is not None:
            wants = getattr(place(path).node, "answer", None) is not None
            hold(wants == (entry.data is not None), ANSWERED, f"{event.run_id} {entry}")
            told += wants
    return told
