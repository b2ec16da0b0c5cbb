"""Value templates: JSON with references and expressions, all the computing that a definition can do.

A template is any JSON value. An object with the single key ``$ref`` is replaced by the value at that path: a list whose
first part names the root and whose other parts are keys or list indexes. An object with the keys ``$cel`` and, if it
reads anything, ``with`` is replaced by the value of that expression (``expressions``); ``with`` is an object of
templates, each bound to its name. An object with the single key ``$literal`` is replaced by its value as it stands, so
any JSON can be said.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from actionbus.contracts import expressions
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.payloads import Json

REF: Final = "$ref"
LITERAL: Final = "$literal"
CEL: Final = "$cel"
WITH: Final = "with"
INPUT: Final = "input"  # the run's input
STEPS: Final = "steps"  # the outputs of finished nodes, by id
SCOPE: Final = (
    "scope"  # what a node around gives to those inside it, by its id: the item of a map, the turn of a repeat
)
MADE: Final = "made"  # inside an undo: the output of the step that is undone
ERROR: Final = "error"  # inside a fallback or a rule: the error that led to it
ATTEMPT: Final = "attempt"  # inside a rule: the attempt that failed, 1 for the first
ELAPSED: Final = "elapsed_ms"  # inside a rule: milliseconds since the first attempt was scheduled
PAYLOAD: Final = "payload"  # inside what a wait accepts and answers: what the signal says
ROOTS: Final = (INPUT, STEPS, SCOPE, MADE, ERROR, ATTEMPT, ELAPSED, PAYLOAD)

Path = tuple[str | int, ...]


def references(template: Json) -> Iterator[Path]:
    """Every reference path in a template, in reading order; those of expressions among them."""
    if isinstance(template, dict):
        path = reference_path(template)
        if path is not None:
            yield path
        elif is_expression(template):
            yield from references(template.get(WITH))
        elif LITERAL not in template or len(template) != 1:
            for value in template.values():
                yield from references(value)
    elif isinstance(template, list):
        for value in template:
            yield from references(value)


def reference_path(template: Json) -> Path | None:
    """The path when the template is exactly one reference, else None; raises PayloadRefused for a malformed one."""
    if not isinstance(template, dict) or len(template) != 1 or REF not in template:
        return None
    path = template[REF]
    if not isinstance(path, list) or not path or not isinstance(path[0], str):
        raise PayloadRefused(f"{REF} takes a list that begins with one of {', '.join(ROOTS)}, not {path!r:.80}")
    if not all(type(part) in (str, int) for part in path):
        raise PayloadRefused(f"{REF} takes keys and list indexes, not {path!r:.80}")
    return tuple(path)


def is_expression(template: Json) -> bool:
    """Whether a template is exactly one expression."""
    return isinstance(template, dict) and CEL in template and template.keys() <= {CEL, WITH}


def fill(template: Json, roots: Mapping[str, Json]) -> Json:
    """The value of a template: every reference and every expression replaced.

    Raises PayloadRefused when a path does not exist in the value of its root, when a root is not given, or when an
    expression has no value. A root whose
    value is None gives None for every path below it: that is how an undo meets a step whose output nobody ever saw.
    """
    if isinstance(template, dict):
        if len(template) == 1:
            path = reference_path(template)
            if path is not None:
                return _follow(path, roots)
            if LITERAL in template:
                return template[LITERAL]
        if is_expression(template):
            text, names = template[CEL], template.get(WITH) or {}
            if not isinstance(text, str) or not isinstance(names, dict):
                raise PayloadRefused(f"{CEL} takes a text, and {WITH} an object, not {text!r:.80} and {names!r:.80}")
            return expressions.evaluate(text, {name: fill(each, roots) for name, each in names.items()})
        return {key: fill(value, roots) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, roots) for value in template]
    return template


def bind(template: Json, roots: Mapping[str, Json]) -> Json:
    """A template with the given roots filled in and the references to other roots left for later.

    What is filled in becomes a ``$literal``, so data that looks like a reference is never followed.
    """
    if isinstance(template, dict):
        path = reference_path(template)
        if path is not None:
            return {LITERAL: _follow(path, roots)} if path[0] in roots else template
        if len(template) == 1 and LITERAL in template:
            return template
        return {key: bind(value, roots) for key, value in template.items()}
    if isinstance(template, list):
        return [bind(value, roots) for value in template]
    return template


def _follow(path: Path, roots: Mapping[str, Json]) -> Json:
    root = path[0]
    if root not in roots:
        raise PayloadRefused(f"nothing is known here by the name {root}: use {' or '.join(roots)}")
    value = roots[str(root)]
    if value is None:
        return None
    for depth, part in enumerate(path[1:], start=1):
        if isinstance(part, str) and isinstance(value, dict) and part in value:  # noqa: SIM114 - one type at a time
            value = value[part]
        elif isinstance(part, int) and isinstance(value, list) and 0 <= part < len(value):
            value = value[part]
        else:
            where = ".".join(str(each) for each in path[: depth + 1])
            raise PayloadRefused(f"the reference {where} finds nothing: {_known(value)}")
    return value


def _known(value: Json) -> str:
    if isinstance(value, dict):
        return f"the object has {', '.join(sorted(value)) or 'no keys'}"
    if isinstance(value, list):
        return f"the list has {len(value)} items"
    return f"there is a {type(value).__name__} on the way"
