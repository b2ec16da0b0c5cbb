"""A recorded history folded again, and every difference between what was recorded and what comes now."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

from actionbus.contracts.errors import Refused
from actionbus.engine import history
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.history import History

_PINNED: Final = ("definition_version", "definition_hash")  # another definition has others, which is no difference
_ENTRIES: Final = "entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What is not as it was: in which moment (from 1) at what time, in what, and only the parts that differ."""

    moment: int
    now: int
    what: str
    recorded: Any
    comes: Any


def replay(recorded: History, definition: Definition | None = None) -> Iterator[Difference]:
    """Fold a history again, under another definition if one is given, and give every difference.

    What was not recorded is not compared. Raises Refused when the definition is of another workflow.
    """
    other = definition is not None
    definition = definition or recorded.definition
    if definition.name != recorded.definition.name:
        raise Refused(f"the history is of the workflow {recorded.definition.name}, not of {definition.name}")
    run = None
    for number, moment in enumerate(recorded.moments, start=1):
        try:
            given = history.input_of(moment, run)
            transition = advance(definition, run, given, moment.now, moment.seq)
            definition = history.pinned(definition, given, transition.run)
            came = history.came(definition, transition, moment.seq)
        except Exception as error:  # noqa: BLE001 - whatever it is, it did not come when this was recorded
            comes = f"{type(error).__name__}: {error}"
            yield Difference(moment=number, now=moment.now, what="engine", recorded=None, comes=comes)
            return
        for what, before in moment.outcome.items():
            now = came[what]
            if other:
                before, now = _unpinned(before), _unpinned(now)  # noqa: PLW2901 - the same without its pins
            if before != now:
                before, now = _apart(before, now)  # noqa: PLW2901 - the same without what is equal
                yield Difference(moment=number, now=moment.now, what=what, recorded=before, comes=now)
        run = transition.run


def _unpinned(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpinned(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    return {name: each for name, each in value.items() if name not in _PINNED}


def _apart(before: Any, now: Any) -> tuple[Any, Any]:
    """Two values that differ, without the parts that are equal."""
    if not isinstance(before, Mapping) or not isinstance(now, Mapping):
        return before, now
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    old, new = ({name: side[name] for name in names if name in side} for side in (before, now))
    if isinstance(old.get(_ENTRIES), list) and isinstance(new.get(_ENTRIES), list):
        old[_ENTRIES], new[_ENTRIES] = _unmatched(old[_ENTRIES], new[_ENTRIES])
    return old, new


def _unmatched(before: list[Any], now: list[Any]) -> tuple[list[Any], list[Any]]:
    texts = [[json.dumps(each, sort_keys=True) for each in side] for side in (before, now)]
    parts = SequenceMatcher(None, *texts, autojunk=False).get_opcodes()
    changed = [part for part in parts if part[0] != "equal"]
    gone = [each for _, start, end, _, _ in changed for each in before[start:end]]
    return gone, [each for _, _, _, start, end in changed for each in now[start:end]]
