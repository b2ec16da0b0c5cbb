"""No bytes bring a reader of the outside to anything but a value or its own refusal; a short dose of what `make fuzz` does.

`FUZZ_EXAMPLES` says how many inputs each target is given; they are the same in every run.
"""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing.mutations import LARGE, mutated
from fuzzing.targets import TARGETS, Target

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
FINDINGS = sorted(each for each in Path(__file__).with_name("findings").glob("*/*") if each.is_file())
EACH = pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)


@EACH
def test_what_is_right_is_taken(target: Target) -> None:
    """Of the seeds of every target some are taken: one that refuses all would find nothing."""
    taken = [target.check(seed) for seed in target.seeds]
    assert any(taken)


@EACH
def test_whatever_comes_is_a_value_or_a_refusal(target: Target) -> None:
    """Damaged records, noise and texts that mean something to somebody are taken whole, or refused as documented."""
    damaged = st.builds(mutated, st.integers(0, 2**32), st.sampled_from(target.seeds))
    texts = st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))

    @settings(max_examples=EXAMPLES, derandomize=True, database=None)
    @given(st.one_of(damaged, damaged, damaged, st.binary(max_size=300), texts))
    def holds(data: bytes) -> None:
        target.check(data)

    holds()


@EACH
@pytest.mark.parametrize("large", LARGE.values(), ids=list(LARGE))
def test_what_is_too_large_is_refused(target: Target, large: bytes) -> None:
    """More than a mebibyte is a value or a refusal as well, and ends."""
    target.check(large)


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda file: f"{file.parent.name}-{file.name}")
def test_what_was_found_once_is_mended(finding: Path) -> None:
    """Each input that once broke a promise keeps it."""
    TARGETS[finding.parent.name].check(finding.read_bytes())
