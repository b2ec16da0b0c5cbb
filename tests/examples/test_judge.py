"""The judge of the demo finds what is wrong with the world, and nothing else."""

from collections import Counter

import judge
import pytest

ADDRESS = "ada@example.com"


def signups(*endings):
    return [judge.Signup(run_id=f"run-{n}", email=ADDRESS, ending=ending) for n, ending in enumerate(endings)]


def world(**counts):
    return judge.World(**{name: Counter({ADDRESS: count}) for name, count in counts.items() if count})


WHOLE = {"users": 1, "welcomes": 1, "contacts": 1}


@pytest.mark.parametrize(
    ("endings", "traces"),
    [
        (["completed"], WHOLE),
        (["completed"], {"users": 1, "letters": 1, "contacts": 1}),
        (["failed"], {}),
        (["failed"], {"welcomes": 1, "apologies": 1}),
        (["rejected"], {}),
        (["completed", "failed"], WHOLE),
        (["completed", "failed"], {"users": 1, "welcomes": 2, "apologies": 1, "contacts": 1}),
    ],
)
def test_a_world_that_keeps_the_promises(endings, traces):
    """Whole signups and wholly undone ones are no violation."""
    assert list(judge.violations(signups(*endings), world(**traces))) == []


@pytest.mark.parametrize(
    ("endings", "traces", "word"),
    [
        (["completed"], WHOLE | {"users": 0}, "0 rows"),
        (["completed"], WHOLE | {"users": 2}, "2 rows"),
        (["completed"], WHOLE | {"contacts": 0}, "0 contacts"),
        (["completed"], WHOLE | {"contacts": 2}, "2 contacts"),
        (["completed"], WHOLE | {"welcomes": 0}, "0 welcome mails"),
        (["completed"], WHOLE | {"welcomes": 2}, "2 welcome mails"),
        (["completed"], WHOLE | {"apologies": 1}, "1 apologies"),
        (["completed"], WHOLE | {"letters": 2}, "2 letters"),
        (["failed"], {"users": 1}, "1 rows"),
        (["failed"], {"contacts": 1}, "1 contacts"),
        (["failed"], {"letters": 1}, "1 letters"),
        (["failed"], {"welcomes": 1}, "0 apologies"),
        (["failed"], {"apologies": 1}, "1 apologies"),
        (["failed"], {"welcomes": 1, "apologies": 2}, "2 apologies"),
        (["rejected"], {"welcomes": 1, "apologies": 1}, "1 welcome mails"),
        (["live"], {}, "did not end"),
        (["cancelled"], {}, "did not end"),
    ],
)
def test_a_broken_promise_is_named(endings, traces, word):
    """Everything that is missing, doubled or left behind is a violation that names the address and the count."""
    found = list(judge.violations(signups(*endings), world(**traces)))
    assert found
    assert any(word in each and ADDRESS in each for each in found), found


def test_a_trace_of_nobody_is_named():
    """An address that never signed up must not be out there."""
    assert list(judge.violations([], world(users=1))) == [f"{ADDRESS} left a trace and never signed up"]
