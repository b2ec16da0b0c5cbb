"""How settings are read: from ``ACTIONBUS_<GROUP>_<NAME>`` variables and from a folder of secret files.

A file in ``ACTIONBUS_SECRETS_DIR`` that has a variable's name holds its value; the variable itself wins. A variable
that is no setting is refused, because a misspelt one would leave its default in force unseen. The tree: settings.py.
"""

import difflib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from actionbus.contracts.errors import SettingsRefused
from actionbus.process import crashing
from actionbus.process.settings import PREFIX, SECRETS_DIR, Settings

STORE: Final = "ACTIONBUS_STORE_<NAME>_URL"


def load(**values: Any) -> Settings:
    """Read all settings; ``values`` win over variables, variables over secret files.

    Raises SettingsRefused with one line for each thing that is wrong, never with the value of a setting.
    """
    folder = os.environ.get(SECRETS_DIR) or None
    set_ = os.environ.keys() - {crashing.VARIABLE}  # which each service reads itself, and no file of secrets holds
    unknown = list(_unknown([*set_, *_secret_names(folder)]))
    if unknown:
        raise SettingsRefused("\n".join(unknown))
    try:
        return Settings(**values)
    except ValidationError as error:
        raise SettingsRefused("\n".join(_sentence(each) for each in error.errors(include_url=False))) from None
    except (SettingsError, OSError) as error:
        raise SettingsRefused(str(error)) from None


def known() -> dict[str, FieldInfo]:
    """Every variable with the field behind it, in the order of the tree; a store's is named ``<NAME>``."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if name == "store":
            found[STORE] = field
        elif isinstance(group, type) and issubclass(group, BaseModel):
            found |= {f"{PREFIX}{name}_{leaf}".upper(): each for leaf, each in group.model_fields.items()}
        else:
            found[f"{PREFIX}{name}".upper()] = field
    return found


def _secret_names(folder: str | None) -> list[str]:
    if folder is None:
        return []
    if not Path(folder).is_dir():
        raise SettingsRefused(f"{SECRETS_DIR} is no folder: {folder}")
    return [entry.name for entry in Path(folder).iterdir() if entry.is_file()]


def _unknown(names: Iterable[str]) -> Iterable[str]:
    settings = known()
    before, after = STORE.split("<NAME>")
    for name in sorted(names):
        upper = name.upper()
        store = upper.startswith(before) and upper.endswith(after) and len(upper) > len(before) + len(after)
        if not upper.startswith(PREFIX) or upper in settings or upper == SECRETS_DIR or store:
            continue
        if upper.endswith(("_SERVICE_HOST", "_SERVICE_PORT", "_TCP")) or "_PORT_" in upper:
            yield f"{name} is a Kubernetes service link, not a setting: set enableServiceLinks: false on the pod"
        else:
            close = difflib.get_close_matches(upper, settings, n=1)
            yield f"{name} is no setting" + (f": did you mean {close[0]}?" if close else "")


def _sentence(error: ErrorDetails) -> str:
    where = "_".join([PREFIX.rstrip("_"), *(str(part) for part in error["loc"] if isinstance(part, str))])
    return f"{where.upper()}: {error['msg'].removeprefix('Value error, ')}"
