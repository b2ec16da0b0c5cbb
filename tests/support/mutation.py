"""A module with one rule taken out: loaded from changed source text, in the place of the real one, for a while.

A test that promises a rule is worth something only if it fails without the rule. ``mutated`` gives the program without
it: ``with mutated("actionbus.orchestrator.takeover", old, new): ...``. The old text must occur exactly once, so that a
mutation that no longer fits the source is an error and not a test that passes for ever.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType


class MutationStale(AssertionError):
    """The text to be changed is not in the source, or is there more than once: rewrite the mutation."""


@contextmanager
def mutated(name: str, *changes: tuple[str, str]) -> Iterator[ModuleType]:
    """The module ``name`` with each (old text, new text) applied, wherever anything refers to it.

    Every module that holds the real module, or a class or function of it, holds the changed one inside the block. What was made from them before (instances, closures, entries of tables) stays as it was.
    """
    real = importlib.import_module(name)
    changed = _load(real, changes)
    swaps = {id(real): changed}
    for attribute, value in vars(real).items():
        if getattr(value, "__module__", None) == name and attribute in vars(changed):
            swaps[id(value)] = vars(changed)[attribute]
    touched: list[tuple[ModuleType, str, object]] = []
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType) or module is real:
            continue
        for attribute, value in list(vars(module).items()):
            if id(value) in swaps:
                touched.append((module, attribute, value))
                setattr(module, attribute, swaps[id(value)])
    sys.modules[name] = changed
    try:
        yield changed
    finally:
        sys.modules[name] = real
        for module, attribute, value in touched:
            setattr(module, attribute, value)


@contextmanager
def all_mutated(*changes: tuple[str, str, str]) -> Iterator[None]:
    """Several modules changed at once: (module, old text, new text) each."""
    by_module: dict[str, list[tuple[str, str]]] = {}
    for name, old, new in changes:
        by_module.setdefault(name, []).append((old, new))
    with ExitStack() as stack:
        for name, pairs in by_module.items():
            stack.enter_context(mutated(name, *pairs))
        yield


def _load(real: ModuleType, changes: tuple[tuple[str, str], ...]) -> ModuleType:
    assert real.__file__ is not None
    with open(real.__file__, encoding="utf-8") as file:  # noqa: PTH123 - the source as it is on disk
        source = file.read()
    for old, new in changes:
        if source.count(old) != 1:
            raise MutationStale(f"{real.__name__} contains {source.count(old)} times: {old!r}")
        source = source.replace(old, new)
    changed = ModuleType(real.__name__, real.__doc__)
    changed.__file__ = real.__file__
    changed.__package__ = real.__package__
    changed.__spec__ = real.__spec__
    exec(compile(source, f"{real.__file__} (mutated)", "exec"), vars(changed))  # noqa: S102 - that is the point
    return changed
