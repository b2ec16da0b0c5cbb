"""What a run keeps of what is done, for another definition: what that reads must be there and fit, the rest goes."""

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.run import ScopeState, StepState, StepStatus, WorkflowRun
from actionbus.engine import gathering
from actionbus.engine.liveness import RUN_INPUT
from actionbus.engine.migration import scopes
from actionbus.engine.migration.renaming import Renaming, Stays
from actionbus.engine.paths import below, beside, static
from actionbus.engine.shapes.map import Counts


class Kept:
    """Decides for each output whether something will still read it."""

    def __init__(self, renaming: Renaming, moved: tuple[ScopeState, ...]) -> None:
        self._renaming = renaming
        self._new = renaming.new
        places = {scope.path: self._new.places[static(scope.path)] for scope in moved}
        self._done = scopes.done(moved, places)
        forget = self._new.liveness.forget.items()
        self._last = {source: last for last, sources in forget for source in sources}

    def steps(self, run: WorkflowRun) -> list[StepState]:
        """The outputs that the new definition reads; raises Stays when one is not there or does not fit."""
        kept: list[StepState] = []
        for step in run.steps:
            found = self._renaming.find(step.path) if step.status is StepStatus.SUCCEEDED else None
            if (
                found is None
                or found[1].path not in self._new.liveness.read
                or not self._wanted(found[1].path, found[0])
            ):
                continue
            path, place = found
            if place.node.kind == "step":
                self._check(step, place.node.call.action)
            kept.append(step.replace(path=path))
        there = {step.path for step in kept}
        for path in self._read():
            if path not in there:
                raise Stays(f"version {self._new.version} reads what {path} gave, and that was not kept")
        return kept

    def run_input(self, run: WorkflowRun) -> bytes | None:
        """The run's input, if it is still read; raises Stays when it is not there or does not fit."""
        if not self._new.reads_input or not self._wanted(RUN_INPUT, ""):
            return None
        if run.input is None:
            raise Stays(f"version {self._new.version} reads the run's input, and that was not kept")
        try:
            self._new.input_schema.check(payloads.decode(run.input))
        except PayloadRefused as refused:
            raise Stays(f"the run's input does not fit version {self._new.version}: {refused}") from None
        return run.input

    def _read(self) -> list[str]:
        """The paths of what is done and will be read."""
        found: list[str] = []
        for path in self._done:
            around = static(path)
            for source in self._new.liveness.read:
                if source == RUN_INPUT or not below(source, around) or "[]" in source[len(around) :]:
                    continue
                inside = f"{path}{source[len(around) :]}"
                if self._wanted(source, inside):
                    found.append(inside)
        return found

    def _wanted(self, source: str, path: str) -> bool:
        """Whether the last that reads a source, which stands at a run's path, is still to come."""
        last = self._last.get(source)
        return last is None or not any(below(beside(last, path), each) for each in self._done)

    def _check(self, step: StepState, action: str) -> None:
        try:
            self._new.output_of(action).check(payloads.decode(step.output or b"null"))
        except PayloadRefused as refused:
            raise Stays(f"what {step.path} gave does not fit version {self._new.version}: {refused}") from None


def check_gathered(renaming: Renaming, scope: ScopeState) -> None:
    """Raise Stays when the outputs that come one by one were not gathered so far, and will be read."""
    path, there = renaming.place(scope.path)
    here = static(scope.path)
    came = Counts.of(scope).done if there.node.kind == "map" else gathering.count(scope.gathered)
    if came and there.path in renaming.new.wanted and here not in renaming.old.wanted:
        raise Stays(f"version {renaming.new.version} reads what {path} gives, and what came so far was not kept")
