"""Finding the actions and workflows of a user's module, by its dotted name or its file."""

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from actionbus.contracts.errors import DefinitionRefused
from actionbus.sdk.action import Action
from actionbus.sdk.workflow import Workflow

_OWN: Final = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Registry:
    """What a worker hosts and a deployer deploys."""

    actions: dict[str, Action[..., Any]]
    workflows: dict[tuple[str, str], Workflow[Any, Any]]
    modules: tuple[str, ...] = ()
    """Where all of it is declared, as ``load`` takes it; empty when it was put together by hand."""

    @classmethod
    def of(cls, *declared: object) -> "Registry":
        """The registry of these actions and workflows, and of every action that a workflow uses.

        Anything else is passed over. Raises DefinitionRefused when two declare the same id, naming both places, and
        when a workflow cannot be run as written.
        """
        actions: dict[str, Action[..., Any]] = {}
        workflows: dict[tuple[str, str], Workflow[Any, Any]] = {}
        for each in declared:
            if isinstance(each, Action):
                _add(actions, each.id, each, f"action {each.id}")
            elif isinstance(each, Workflow):
                _add(workflows, (each.id, each.version), each, f"workflow {each.id} version {each.version}")
        for workflow in workflows.values():
            for used in workflow.actions.values():
                _add(actions, used.id, used, f"action {used.id}")
        return cls(actions=actions, workflows=workflows)


def _add(known: dict[Any, Any], key: Any, each: Any, what: str) -> None:
    other = known.setdefault(key, each)
    if other is not each:
        raise DefinitionRefused(
            f"{what} is declared twice: at {other.declared_at} and at {each.declared_at}; give one of them another id"
        )


def load(*targets: str, fresh: bool = False) -> Registry:
    """The actions and workflows of modules, each named ``pkg.module`` or ``path/to/app.py``.

    ``fresh`` reads the files again, with everything of the user's that they import from beside them. Raises
    DefinitionRefused when a module cannot be imported (with the user's own traceback), when it declares nothing, and as
    ``Registry.of`` does.
    """
    declared: list[object] = []
    for target in targets:
        found = [each for each in _public(_module(target, fresh=fresh)) if isinstance(each, (Action, Workflow))]
        if not found:
            raise DefinitionRefused(f"{target} declares no action and no workflow at the top level of the module")
        declared += found
    return replace(Registry.of(*declared), modules=targets)


def _public(module: ModuleType) -> Iterator[object]:
    yield from vars(module).values()


def _module(target: str, *, fresh: bool) -> ModuleType:
    if target.endswith(".py") or "/" in target:
        return _from_file(Path(target), fresh=fresh)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if fresh and (known := sys.modules.get(target)) is not None and known.__file__ is not None:
        _forget_below(Path(known.__file__).parent)
    try:
        return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name is not None and (target == error.name or target.startswith(f"{error.name}.")):
            raise DefinitionRefused(
                f"there is no module {target}: name it as Python imports it, or by its file as in path/to/app.py"
            ) from error
        raise DefinitionRefused(_importing(target, error)) from error
    except Exception as error:
        raise DefinitionRefused(_importing(target, error)) from error


def _from_file(path: Path, *, fresh: bool) -> ModuleType:
    file = path.resolve()
    if not file.is_file():
        raise DefinitionRefused(f"there is no file {path}")
    name = _module_name(file)
    if fresh:
        _forget_below(file.parent)
    elif (known := sys.modules.get(name)) is not None:
        return known
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise DefinitionRefused(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise DefinitionRefused(_importing(str(path), error)) from error
    return module


def _module_name(file: Path) -> str:
    known = sys.modules.get(file.stem)
    if known is not None:
        return file.stem if getattr(known, "__file__", None) == str(file) else f"app_{file.stem}"
    elsewhere = importlib.util.find_spec(file.stem)
    return file.stem if elsewhere is None or elsewhere.origin == str(file) else f"app_{file.stem}"


def _forget_below(folder: Path) -> None:
    importlib.invalidate_caches()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and name != "__main__" and _is_app(Path(file), folder):
            del sys.modules[name]


def _is_app(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and not file.is_relative_to(_OWN) and "site-packages" not in file.parts


def _importing(target: str, error: Exception) -> str:
    if isinstance(error, DefinitionRefused):
        return str(error)
    own = [each for each in traceback.extract_tb(error.__traceback__) if not _machinery(each.filename)]
    lines = traceback.format_list(own) + traceback.format_exception_only(error)
    return f"{target} cannot be imported:\n{''.join(lines).rstrip()}"


def _machinery(file: str) -> bool:
    return file.startswith("<frozen importlib") or file in (__file__, importlib.__file__)
