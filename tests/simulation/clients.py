"""Everybody outside: who asks something of runs, and the operator who helps them all to their end."""

from actionbus.contracts import payloads, schedules
from actionbus.contracts.errors import Refused
from actionbus.contracts.records import OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.run import TimerKind, WorkflowRun
from actionbus.contracts.schedules import Overlap
from actionbus.engine import recall
from actionbus.engine.rebuild import rebuild
from actionbus.kafka.partitioning import partition_for
from simulation.acts import Ask
from simulation.workflows import ORDER, OTHER

FIRES_MS = 2_500  # a schedule fires for so long
STEPPED = (RequestKind.RETRY_STEP, RequestKind.SKIP_STEP, RequestKind.COMPLETE_STEP)


class Clients:
    """Write requests, as the plan says or as a run needs it."""

    def __init__(self, world) -> None:
        self._world = world

    def ask(self, act: Ask) -> None:
        """Ask what the plan says, of the run as it is now."""
        runs = self._world.judge.runs
        run = _picked(_started_by(runs, act.run), act.pick) if act.below else runs.get(act.run)
        if run is not None or not act.below:
            run_id = act.run if run is None else run.run_id
            self._write(run_id, act.kind, act.request_id, astray=act.astray, **self._fields(act, run))

    def _fields(self, act: Ask, run: WorkflowRun | None) -> dict:  # noqa: PLR0911 - a table of cases
        match act.kind:
            case RequestKind.START if act.workflow == schedules.WORKFLOW:
                return {"workflow": act.workflow, "payload": self._schedule(act.pick)}
            case RequestKind.START:
                begins = {"workflow": ORDER, "version": act.version, "if_exists": act.if_exists}
                return {**begins, "payload": _input(act)}
            case RequestKind.SIGNAL if run is not None and run.workflow == schedules.WORKFLOW:
                return {"signal": schedules.TRIGGER, "payload": _picked([b"{}", b'{"overlap":"allow"}'], act.pick)}
            case RequestKind.SIGNAL:
                payload = payloads.encode({"v": int(act.pick * 3)})
                begins = {"workflow": act.workflow, "version": act.version, "start_input": _input(act)}
                return {"signal": "go", "payload": payload, **(begins if act.workflow else {})}
            case RequestKind.ASSIGN_TASK:
                return {"step": _picked(self._asked(run), act.pick) or "n1", "payload": b'"bob"'}
            case RequestKind.REWIND:
                return self._back(run, act.pick)
            case RequestKind.CHANGE_TIMER:
                waits = [each.step for each in run.timers if each.kind is not TimerKind.RETENTION] if run else []
                return {"step": _picked(waits, act.pick) or "", "due_at": self._world.broker.time_ms + 20}
            case kind if kind in STEPPED:
                paths = [step.path for step in run.steps] if run and run.steps else ["n1"]
                return {"step": _picked(paths, act.pick), "payload": b'{"v":"by hand"}'}
            case _:
                return {}

    def _schedule(self, pick: float) -> bytes:
        """A schedule of a few seconds."""
        given = {
            "workflow": OTHER,
            "input": {"n": 5, "reads": [], "scopes": []},
            "every_ms": 1_000,
            "overlap": _picked(list(Overlap), pick).value,
            "end_at": self._world.broker.time_ms + FIRES_MS,
            "catch_up_ms": schedules.LATE_MS,
        }
        return payloads.encode(given)

    def _asked(self, run: WorkflowRun | None) -> list[str]:
        """Where a person is asked for something."""
        if run is None:
            return []
        place = self._world.definition_of(run).place
        return [each.path for each in run.scopes if place(each.path).node.kind == "person"]

    def _back(self, run: WorkflowRun | None, pick: float) -> dict:
        """Where a run can go back to, with what it has forgotten since, told from its events."""
        if run is None:
            return {"step": "n1"}
        definition = self._world.definition_of(run)
        places = [(scope, definition.place(scope.path)) for scope in run.scopes]
        paths = [
            f"{scope.path}.{each}".lstrip(".")
            for scope, place in places
            if place.node.kind == "sequence"
            for each in place.plan.ids[: scope.cursor + 1]
        ]
        step = _picked(paths, pick) or "n1"
        try:
            recorded = rebuild(definition, self._world.judge.stories[run.run_id, run.incarnation].events, "")
            return {"step": step, "payload": recall.forgotten(definition, run, recorded, step)}
        except Refused:
            return {"step": step}

    def help(self, number: int) -> None:
        """An operator helps every run that has not ended."""
        for run in self._world.judge.runs.values():
            if not run.status.ended:
                self._write(run.run_id, RequestKind.RESUME, f"{run.run_id}-resume-last-{number}")
                said = {"signal": "go", "payload": b'{"v":2}'}
                self._write(run.run_id, RequestKind.SIGNAL, f"{run.run_id}-signal-last-{number}", **said)

    def _write(self, run_id: str, kind: RequestKind, request_id: str, *, astray: bool = False, **fields) -> None:
        """Write a request; one that goes astray comes to another shard than that of its run."""
        world = self._world
        shard = (partition_for(run_id.encode(), world.plan.shards) + astray) % world.plan.shards
        world.tell("client", kind.value, run_id, request_id, fields.get("step", ""))
        request = WorkflowRequest(request_id=request_id, run_id=run_id, kind=kind, **fields)
        record = OutRecord(key=run_id.encode(), value=world.codec.encode(request))
        world.broker.append((world.topics.requests, shard), [record])


def _input(act: Ask) -> bytes:
    return payloads.encode({"n": 5 + int(act.pick * 2)})


def _started_by(runs: dict[str, WorkflowRun], run_id: str) -> list[WorkflowRun]:
    return [run for run in runs.values() if run.parent is not None and run.parent.run_id == run_id]


def _picked(choices: list, pick: float):
    """One of the choices, None if there is none."""
    return choices[int(pick * len(choices))] if choices else None
