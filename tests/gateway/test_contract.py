"""The document of the API against the gateway that serves it: schemathesis asks what the document allows, and forbids."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from gateway.served import SECONDS, Served

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
FILE = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
SCHEMA = schemathesis.openapi.from_dict(json.loads(FILE.read_text(encoding="utf-8")))
OPERATIONS = {f"{found.ok().method.upper()} {found.ok().path}": found.ok() for found in SCHEMA.get_all_operations()}
FITS, BREAKS = GenerationMode.POSITIVE, GenerationMode.NEGATIVE
HEALTH = list(HealthCheck)
# What the document can say only in words, so that a request may fit it and be refused all the same.
IN_WORDS = {
    "GET /v1/runs/{run_id}/events": "Last-Event-ID is of the incarnation that is asked for",
    "GET /v1/insights": "either workflow or action, and a span that is not too long",
    "POST /v1/bulk/{verb}": "migrate needs a version",
    "POST /v1/schedules": "when a schedule fires: cron or an interval, and within its time",
    "PUT /v1/schedules/{schedule_id}": "the same",
    "POST /v1/steps/complete": "a token is made of an attempt",
    "POST /v1/steps/fail": "the same",
    "POST /v1/steps/heartbeat": "the same",
}


def _left_out(name: str, case) -> list:
    """Whether what fits the document has to be accepted; a cursor is one of its list, and of no other."""
    given = [part for part in (case.query, case.body) if isinstance(part, Mapping)]
    in_words = name in IN_WORDS or any("cursor" in part for part in given)
    return [positive_data_acceptance] if in_words else []


def _breakable(operation) -> bool:
    return bool(operation.body) or any(True for _ in operation.iter_parameters())


CASES = [
    (name, mode) for name, each in OPERATIONS.items() for mode in (FITS, BREAKS) if mode is FITS or _breakable(each)
]


@pytest.mark.parametrize(("name", "mode"), CASES)
def test_the_gateway_does_as_its_document_says(served: Served, name: str, mode: GenerationMode) -> None:
    """No answer is an error of ours, none differs from the document, and nothing that breaks it is accepted."""
    operation = OPERATIONS[name]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=4, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=HEALTH)
    def ask(case) -> None:
        case.call_and_validate(base_url=served.url, timeout=SECONDS, excluded_checks=_left_out(name, case))

    ask()
