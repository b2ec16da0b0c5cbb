"""Records that our own code makes without pydantic's checks are the records that pydantic would have made."""

import copy
import pickle

import pytest

from actionbus.contracts.model import Record, trusted
from actionbus.contracts.results import Emit
from actionbus.contracts.run import StepState, StepStatus
from contracts import samples

FULL = pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)


@FULL
def test_a_trusted_record_is_the_checked_one(sample: Record) -> None:
    """Equal, of the same hash and written alike, however it is written."""
    made = trusted(type(sample))(**vars(sample))
    assert made == sample
    assert made.model_dump_json() == sample.model_dump_json()
    assert repr(made) == repr(sample)


@FULL
def test_a_trusted_record_can_be_copied(sample: Record) -> None:
    """Whatever pydantic keeps beside the fields is there."""
    made = trusted(type(sample))(**vars(sample))
    assert copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == sample  # noqa: S301 - our own


def test_what_is_not_said_has_its_default() -> None:
    """In the order of the fields, so that the record is written as if it had been checked."""
    checked = StepState(path="a", status=StepStatus.PENDING, attempt=2)
    made = trusted(StepState)(attempt=2, status=StepStatus.PENDING, path="a")
    assert list(vars(made)) == list(vars(checked))
    assert made == checked
    assert trusted(Emit)(topic="a") == Emit(topic="a")


def test_a_trusted_record_is_frozen() -> None:
    """Nobody changes it afterwards."""
    made = trusted(StepState)(path="a", status=StepStatus.PENDING)
    with pytest.raises(ValueError, match="frozen"):
        made.path = "b"


@FULL
def test_a_replaced_field_leaves_the_others(sample: Record) -> None:
    """A copy with one field changed is the checked record with that field, and the first one stays as it was."""
    name = next(name for name, value in vars(sample).items() if isinstance(value, str))
    before = sample.model_dump_json()
    changed = sample.replace(**{name: "other"})
    assert changed == type(sample).model_validate({**vars(sample), name: "other"})
    assert sample.model_dump_json() == before
