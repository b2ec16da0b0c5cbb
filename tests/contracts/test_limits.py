"""Every limit is named with its unit, described, and fits the others and the broker's defaults."""

import pytest
from pydantic import ValidationError

from actionbus.contracts.limits import DEFAULT_LIMITS, Limits

BROKER_MESSAGE_MAX_BYTES = 1_048_588  # message.max.bytes of Kafka 4.3


@pytest.mark.parametrize("name", Limits.model_fields)
def test_a_limit_says_what_it_is(name: str) -> None:
    """Each limit has a description and refuses to be negative."""
    assert Limits.model_fields[name].description
    with pytest.raises(ValidationError):
        Limits.model_validate({name: -1})


def test_an_unknown_limit_is_refused() -> None:
    """A misspelt limit is never ignored."""
    with pytest.raises(ValidationError):
        Limits.model_validate({"payload_byte": 1})


def test_the_limits_fit_one_another() -> None:
    """A payload fits a state, a state fits a record, a record fits a batch, and a batch fits the broker's default."""
    limits = DEFAULT_LIMITS
    assert limits.payload_bytes < limits.state_bytes < limits.record_bytes < limits.batch_bytes
    assert limits.batch_bytes <= BROKER_MESSAGE_MAX_BYTES
    assert limits.fetch_bytes >= limits.batch_bytes
    assert limits.graph_bytes < limits.record_bytes
    assert limits.error_message_bytes < limits.payload_bytes
