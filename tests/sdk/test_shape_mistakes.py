"""What cannot be run as it is written, in and around the shapes of a workflow: refused with its line."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from app import Mail, create_user, delete_user, graph_of, send_mail, take

from actionbus import DefinitionRefused, Flow, cel, rule

HERE = Path(__file__).name


def leak(inside: Any) -> Any:
    """A body that reads outside of a block what was made inside."""

    def body(flow: Flow, _: Any) -> Any:
        kept: list[Any] = []
        inside(flow, lambda value: kept.append(value) or 1)
        return flow.run(take(kept[0]), id="leak")

    return body


MISTAKES: dict[str, tuple[Any, str]] = {
    "a step of a branch": (
        leak(lambda f, keep: f.choose((cel("true"), lambda: keep(f.run(take(1)))))),
        r"steps.take cannot be read here: it belongs inside flow.choose at .*: return the value from there",
    ),
    "a step of another branch": (
        leak(
            lambda f, keep: f.parallel(lambda: keep(f.run(send_mail("x"), id="one")), lambda: f.run(take(2), id="two"))
        ),
        r"it belongs inside flow.parallel at",
    ),
    "an item": (leak(lambda f, keep: f.map([1, 2], keep)), r"scope.map.item cannot be read here: .*flow.map at"),
    "a turn": (leak(lambda f, keep: f.repeat(lambda turn: keep(turn.number))), "it belongs inside flow.repeat at"),
    "a failure": (
        leak(lambda f, keep: f.attempt(lambda: 1, on_failure=[rule.any.handle(lambda e: keep(e.message))])),
        "it belongs inside flow.attempt at",
    ),
    "a text that is no expression": (lambda _, s: cel("1 +", x=s.email), "is no CEL expression"),
    "a name that is not bound": (lambda _, s: cel("a + b", a=s.email), "reads b, which is not bound: it knows a"),
    "an expression as a condition": (lambda *_: 1 if cel("true") else 2, r"cel\('true'\) cannot be a condition"),
    "a compared expression": (lambda *_: cel("1") == 1, "cannot be compared"),
    "a value instead of a text": (lambda _, s: cel(s.email), "an expression is a text"),
    "a reference that is no condition": (
        lambda f, s: f.choose((s.email, lambda: 1)),
        "condition 1 of flow.choose: bool is expected, str is given",
    ),
    "no pair": (lambda f, _: f.choose(lambda: 1), "takes pairs of a condition and a function"),
    "a value instead of a function": (lambda f, s: f.choose((cel("true"), s.email)), "takes functions that are called"),
    "a call in a branch": (lambda f, _: f.choose((cel("true"), lambda: take(1))), "is a call, not its result"),
    "too many of the branches": (lambda f, _: f.parallel(lambda: 1, enough=2), "2 of 1 branches can never succeed"),
    "no list": (lambda f, s: f.map(s.email, lambda item: item), "flow.map goes through a list, not str"),
    "a limit of nothing": (lambda f, _: f.map([1], lambda item: item, concurrency=0), "concurrency: Input should be"),
    "a step in a condition": (
        lambda f, _: f.repeat(lambda _: 1, until=lambda _: f.run(take(1))),
        "a condition of flow.repeat runs nothing",
    ),
    "on_timeout alone": (lambda f, _: f.wait_for("x", int, on_timeout=lambda: 1), "never follows without a timeout"),
    "one signal, two types": (
        lambda f, _: (f.wait_for("x", int), f.wait_for("x", str, id="y")),
        "the signal x is waited for with another type at",
    ),
    "a bad signal": (lambda f, _: f.wait_for("An X", int), "1 to 100 of a-z 0-9 -"),
    "a bad duration": (lambda f, _: f.sleep("soon"), "flow.sleep 'soon' is no duration"),
    "text as a time": (lambda f, s: f.sleep(s.email), r"flow.sleep\(milliseconds\): float is expected, str is given"),
    "no time zone": (lambda f, _: f.sleep_until(datetime(2026, 1, 1)), "says no time zone"),  # noqa: DTZ001 - the mistake under test
    "no moment": (lambda f, s: f.sleep_until(s), "takes a datetime"),
    "a bad error type": (lambda f, _: f.fail("no money"), "'no money' is no error type"),
    "a handler of a step": (lambda f, _: f.run(take(1), on_failure=[rule.any.handle(lambda _: 1)]), "handle is for"),
    "a kept step": (
        lambda f, _: f.run(take(1), on_failure=[rule.any.compensate(undo=False)]),
        "undo=False is for the rules of flow.attempt",
    ),
    "a fallback of a block": (
        lambda f, _: f.attempt(lambda: 1, on_failure=[rule.any.fallback(take(1))]),
        "fallback is for the rules of a step",
    ),
    "a reference to continue with": (
        lambda f, s: f.attempt(lambda: 1, on_failure=[rule.any.continue_with(s.email)]),
        "only a constant can stand here",
    ),
    "a bad condition of a rule": (
        lambda f, _: f.run(take(1), on_failure=[rule.any.when("atempt < 3").pause()]),
        "reads atempt, which is not bound: it knows attempt, elapsed_ms, error",
    ),
    "a union that differs": (
        lambda f, _: f.choose((cel("true"), lambda: f.run(create_user("a"))), otherwise=lambda: Mail("x")).message_id,
        "User has no field message_id",
    ),
    "a union that says it elsewhere": (
        lambda f, s: f.choose((cel("true"), lambda: f.run(create_user("a")).size), otherwise=lambda: s).width,
        "Signup has no field width",
    ),
    "no value": (lambda f, _: f.choose((cel("true"), lambda: Mail("x"))).message_id, "it may be None"),
    "the wrong value of a branch": (
        lambda f, _: f.run(delete_user(f.choose((cel("true"), lambda: "x"), otherwise=lambda: 1))),
        "str is expected",
    ),
    "an id that is taken": (lambda f, _: (f.sleep(1, id="x"), f.sleep(1, id="x")), r'flow.sleep\(..., id="..."\)'),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_its_line(name):
    """File, line and source of the mistake come first, then what is wrong."""
    body, says = MISTAKES[name]
    with pytest.raises(DefinitionRefused, match=says) as refused:
        graph_of(body)
    assert f"{HERE}:" in str(refused.value)
