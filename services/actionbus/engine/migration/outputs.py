"""What a run keeps of what is done, for another definition: what that reads must be there and fit, the rest goes."""

from collections.abc import Collection

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.run import ScopeState, StepState, WorkflowRun
from actionbus.engine import gathering
from actionbus.engine.liveness import RUN_INPUT
from actionbus.engine.migration import scopes
from actionbus.engine.migration.renaming import Renaming, Spot, Stays
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

    def step(self, step: StepState) -> StepState | None:
        """An output as the new definition reads it, None when nothing there will; raises Stays when it does not fit."""
        spot = self._renaming.find(step.path)
        if spot is None or spot.there.path not in self._new.liveness.read:
            return None
        if not self._wanted(spot.there.path, spot.path):
            return None
        self._check(step, spot)
        return step.replace(path=spot.path)

    def check(self, there: Collection[str]) -> None:
        """Raise Stays when something that will be read is not among the paths of the outputs that are there."""
        for path in self._read():
            if path not in there:
                raise Stays(f"version {self._new.version} reads what {path} gave, and that was not kept")

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

    def _check(self, step: StepState, spot: Spot) -> None:
        """An output fits where the schema is as it was: what stood in for the step need not have fitted it."""
        if spot.there.node.kind != "step":
            return
        old, new = spot.here.plan.action, spot.there.plan.action
        if old.output_schema == new.output_schema:
            return
        try:
            self._new.output_of(new.id).check(payloads.decode(step.output or b"null"))
        except PayloadRefused as refused:
            raise Stays(f"what {step.path} gave does not fit version {self._new.version}: {refused}") from None


def check_gathered(renaming: Renaming, scope: ScopeState) -> None:
    """Raise Stays when the outputs that come one by one were not gathered so far, and will be read."""
    path, here, there = renaming.spot(scope.path)
    came = Counts.of(scope).done if there.node.kind == "map" else gathering.count(scope.gathered)
    if came and there.path in renaming.new.wanted and here.path not in renaming.old.wanted:
        raise Stays(f"version {renaming.new.version} reads what {path} gives, and what came so far was not kept")
