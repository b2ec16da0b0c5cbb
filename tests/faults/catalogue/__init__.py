"""Every fault that is injected, by its number: each module here has some."""

from importlib import import_module
from pkgutil import iter_modules

from faults.fault import Fault

_FOUND = [fault for each in iter_modules(__path__) for fault in import_module(f"{__name__}.{each.name}").FAULTS]
FAULTS: dict[str, Fault] = {fault.id: fault for fault in sorted(_FOUND, key=lambda fault: fault.id)}
