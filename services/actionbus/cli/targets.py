"""What a command is given to work on: modules of Python, named or by their file, and documents in YAML or JSON."""

from collections.abc import Sequence
from pathlib import Path

from actionbus.contracts import documents
from actionbus.contracts.definitions import ActionSpec, Graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.limits import Limits
from actionbus.sdk import registry


def graphs(targets: Sequence[str], limits: Limits) -> list[Graph]:
    """Every workflow of the targets; raises DefinitionRefused for a target that cannot be used."""
    written, modules = _sorted(targets)
    found = [documents.load(Path(each), limits) for each in written]
    if modules:
        found += [workflow.graph for workflow in registry.load(*modules).workflows.values()]
    return found


def actions(targets: Sequence[str], limits: Limits) -> list[ActionSpec]:
    """Every action of the targets, each once; raises DefinitionRefused where two say different things of one."""
    written, modules = _sorted(targets)
    found = [action.spec for action in registry.load(*modules).actions.values()] if modules else []
    known = {spec.id: spec for spec in found}
    for each in written:
        for spec in documents.load(Path(each), limits).actions.values():
            if known.setdefault(spec.id, spec) != spec:
                raise DefinitionRefused(f"{each} says something else of the action {spec.id} than another target does")
    return list(known.values())


def _sorted(targets: Sequence[str]) -> tuple[list[str], list[str]]:
    written = [each for each in targets if each.endswith(documents.SUFFIXES)]
    return written, [each for each in targets if each not in written]
