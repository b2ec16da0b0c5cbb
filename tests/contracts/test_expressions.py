"""What an expression may say, and what it costs at most."""

import pytest

from actionbus.contracts import expressions, templates
from actionbus.contracts.errors import PayloadRefused


@pytest.mark.parametrize(
    ("text", "names", "value"),
    [
        ("a + b * 2", {"a": 1, "b": 3}, 7),
        ("name.startsWith('a') && size(name) > 2", {"name": "ada"}, True),
        ("order.lines.map(l, l.price * 2)", {"order": {"lines": [{"price": 1}, {"price": 2}]}}, [2, 4]),
        ("lines.exists(l, l > 2) ? 'big' : 'small'", {"lines": [1, 3]}, "big"),
        ("has(a.b) ? a.b : null", {"a": {}}, None),
        ("{'k': [1, 2.5, a]}", {"a": "x"}, {"k": [1, 2.5, "x"]}),
    ],
)
def test_a_value_is_computed(text, names, value):
    """Numbers, texts, lists and objects are JSON on the way in and on the way out."""
    assert expressions.evaluate(text, names) == value


@pytest.mark.parametrize(
    ("text", "names", "why"),
    [
        ("a.b", {"a": {}}, "has no value"),
        ("a + 'x'", {"a": 1}, "has no value"),
        ("1 / 0", {}, "has no value"),
        ("1.0 / 0.0", {}, "gives a number that JSON cannot say"),
        ("0.0 / 0.0", {}, "gives a number that JSON cannot say"),
        ("[-1.0 / 0.0]", {}, "gives a number that JSON cannot say"),
        ("b'x'", {}, "gives what JSON cannot say"),
        ("{1: 2}", {}, "gives what JSON cannot say"),
        ("timestamp('2026-01-01T00:00:00Z')", {}, "gives a time: write string(...) around it"),
        ("duration('1s')", {}, "gives a time"),
        ("a.b.c", {"a": None}, "has no value"),
    ],
)
def test_what_has_no_value_is_refused(text, names, why):
    """Whatever goes wrong inside an expression is one kind of error, with the expression in it."""
    with pytest.raises(PayloadRefused, match="the expression") as refused:
        expressions.evaluate(text, names)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "names", "mistake"),
    [
        ("a + b", ["a", "b"], None),
        ("l.map(x, x + 1).filter(y, y > 2)", ["l"], None),
        ("'l.map(x, l.map(y, 1))' + a", ["a"], None),
        ('"it\'s" + a', ["a"], None),
        ("a +", ["a"], "is no CEL expression"),
        ("a + b", ["a"], "reads b, which is not bound: it knows a"),
        ("a", [], "it knows no names"),
        ("l.map(x, l.filter(y, y > x))", ["l"], "goes through a list inside a list"),
        ("l.all(x, x.exists_one(y, y > 0))", ["l"], "goes through a list inside a list"),
        ("l . map ( x , l\n.map(y, y))", ["l"], "goes through a list inside a list"),
        ("a" * 2_001, ["a"], "2001 characters, the limit is 2000"),
    ],
)
def test_what_cannot_be_deployed(text, names, mistake):
    """Before anything is deployed an expression is read, its names are known, and its cost is bounded."""
    found = [*expressions.mistakes(text, names)]
    assert len(found) == (mistake is not None)
    assert mistake is None or mistake in found[0]


def test_a_long_expression_is_cut_in_messages():
    """A message stays one line."""
    assert len(expressions.shown("a" * 500)) < 90


def test_an_expression_in_a_template():
    """Names are bound to templates; what they read is known like every other reference."""
    body = {"n": {"$cel": "a + b", "with": {"a": {"$ref": ["input", "x"]}, "b": {"$cel": "2"}}}}
    assert templates.fill(body, {"input": {"x": 1}}) == {"n": 3}
    assert list(templates.references(body)) == [("input", "x")]


def test_an_expression_of_an_undo_is_bound_in_part():
    """What is known when a step goes out is filled in, and the rest is computed when it is undone."""
    body = {"$cel": "a + m", "with": {"a": {"$ref": ["input"]}, "m": {"$ref": ["made"]}}}
    bound = templates.bind(body, {"input": 1})
    assert templates.fill(bound, {"made": 2}) == 3


def test_data_that_looks_like_an_expression_is_data():
    """A value that was read is never computed."""
    assert templates.fill({"$ref": ["input"]}, {"input": {"$cel": "1 + 1"}}) == {"$cel": "1 + 1"}
    bound = templates.bind({"v": {"$ref": ["input"]}}, {"input": {"$cel": "1 + 1"}})
    assert templates.fill(bound, {}) == {"v": {"$cel": "1 + 1"}}


@pytest.mark.parametrize(
    ("text", "names", "value"),
    [
        ("o.map(k, k)", {"o": dict.fromkeys("hgfedcba", 0)}, list("abcdefgh")),
        ("size((a + b).filter(x, x > 1)) + 1", {"a": [1, 2], "b": [3]}, 3),
        ("d['k)'][0].l.map(x, x > 1, x * 2).filter(y, y != n)", {"d": {"k)": [{"l": [1, 2, 3]}]}, "n": 4}, [6]),
        ("2 in (l).map(x, x + 1) ? 'in' : 'out'", {"l": [1]}, "in"),
        ("has(a.l) && a.l.exists(x, x > 1)", {"a": {}}, False),
        ("!l.all(x, x > 0) || l.exists_one(x, x == 2)", {"l": [*range(1, 40)]}, True),
        ("[[1, 2], [3]].map(x, size(x))", {}, [2, 1]),
        ("l.filter(x, x.t == 'a, (b')", {"l": [{"t": "a, (b"}, {"t": "c"}]}, [{"t": "a, (b"}]),
        ("{'n': l.map(x, x)}.n", {"l": [1]}, [1]),
    ],
)
def test_what_goes_through_a_list(text, names, value):
    """It gives what it says, wherever it stands; the keys of an object come in one order, in every process."""
    assert [*expressions.mistakes(text, names)] == []
    assert expressions.evaluate(text, names) == value


def test_a_long_list_is_gone_through_a_few_items_at_a_time():
    """The library alone would copy what it has for every item, and take minutes."""
    lines = [{"id": number, "tags": ["a", "b"]} for number in range(10_000)]
    assert len(expressions.evaluate("l.filter(x, x.id > 3)", {"l": lines})) == 9_996


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("l.map(x, l)", {"l": [*range(1_000)]}),
        ("l.all(x, x in l)", {"l": [*range(1_000)]}),
        ("l.map(x, s)", {"l": [*range(1_000)], "s": "s" * 100_000}),
        ("+".join("s" * 900), {"s": "s" * 200_000}),
    ],
)
def test_what_would_take_too_long_is_refused(text, names):
    """No text of an author and no input of a caller keeps a shard from its other runs."""
    with pytest.raises(PayloadRefused, match="let an action compute it"):
        expressions.evaluate(text, names)


def test_what_a_list_holds_is_named_when_it_has_no_value():
    """The reason is that of the item, also where the parts are computed before the whole."""
    with pytest.raises(PayloadRefused, match="there is no price"):
        expressions.evaluate("true && l.map(x, x.price) == []", {"l": [{}]})
    with pytest.raises(PayloadRefused, match="goes through a list or an object, and there is 1"):
        expressions.evaluate("n.map(x, x)", {"n": 1})
