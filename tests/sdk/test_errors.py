"""What exceptions of user code become."""

import json
from datetime import timedelta

import pytest

from actionbus import ActionFailed, DefinitionRefused, NonRetryable, RetryAfter
from actionbus.sdk import errors


class MailboxFull(NonRetryable):
    """A failure with a class of its own."""


def test_any_exception_is_a_retryable_failure_named_like_its_class():
    """Users need no special exception for an attempt that may be tried again."""
    described = errors.describe(ConnectionError("no route"))
    assert (described.type, described.message, described.retryable) == ("ConnectionError", "no route", True)


def test_a_failure_carries_the_type_that_rules_match_on():
    """Type, message, retryability and details arrive as they were given."""
    described = errors.describe(ActionFailed("Declined", "no cover", retryable=False, details={"limit": 10}))
    assert (described.type, described.message, described.retryable) == ("Declined", "no cover", False)
    assert json.loads(described.details or b"") == {"limit": 10}


def test_a_subclass_is_its_own_type():
    """A class of one's own needs nothing but its name."""
    described = errors.describe(MailboxFull("5 GB used"))
    assert (described.type, described.message, described.retryable) == ("MailboxFull", "5 GB used", False)


def test_a_type_that_is_given_wins_over_the_class():
    """NonRetryable can be named at the raise."""
    assert errors.describe(NonRetryable("no cover", type="Declined")).type == "Declined"


@pytest.mark.parametrize(("wait", "expected_ms"), [(5, 5_000), ("2m", 120_000), (timedelta(hours=1), 3_600_000)])
def test_retry_after_says_when(wait, expected_ms):
    """The delay before the next attempt travels with the failure."""
    described = errors.describe(RetryAfter(wait, "slow down"))
    assert (described.type, described.retryable, described.retry_after_ms) == ("RetryAfter", True, expected_ms)


def test_retry_after_a_negative_time_is_refused():
    """A delay before now is a mistake of the author."""
    with pytest.raises(DefinitionRefused):
        RetryAfter(-1)


def test_details_that_are_no_json_are_shown_as_text():
    """A failure is never lost because its details cannot be written."""
    described = errors.describe(ActionFailed("Odd", details={1, 2}))
    assert json.loads(described.details or b"") == "{1, 2}"
