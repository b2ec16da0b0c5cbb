"""What the rounds of an upgrade stand on: an app that any release hosts, and what the release before reads of this one."""

import base64
import json
import os
import subprocess
import sys

import pytest

from actionbus.contracts import schemas
from actionbus.contracts.results import ResultKind
from actionbus.kafka.codec import Codec, SingleObject
from contracts import samples
from faults import bank_app, former, former_app

NUMBERS = range(2_000)
READS = """
import base64, json, sys
from actionbus.contracts import schemas
from actionbus.contracts.errors import RecordUnreadable
from actionbus.kafka.codec import Codec
models = {model.__name__: model for model in schemas.MODELS}
def read(name, data):
    try:
        return str(Codec().decode(models[name], base64.b64decode(data)).run_id)
    except RecordUnreadable as error:
        return str(error)
print(json.dumps([read(*each) for each in json.load(sys.stdin)]))
"""


def test_the_app_for_older_releases_has_the_fates_of_the_bank() -> None:
    """The judge knows transfers by their numbers, whichever of the two apps carried them out."""
    for number in NUMBERS:
        assert former_app.fails(number) == bank_app.fails(number)
        assert former_app.accounts(number) == bank_app.accounts(number)
        assert former_app.amount(number) == bank_app.amount(number)


def test_a_release_is_unpacked_with_what_it_says_of_itself(tmp_path) -> None:
    """What stands first on the path is the package and its metadata, so the old processes know their own version."""
    place = former.unpacked("0.2.0", tmp_path)
    assert (place / "actionbus" / "__init__.py").is_file()
    assert "Version: 0.2.0\n" in (place / "actionbus-0.2.0.dist-info" / "METADATA").read_text()


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """What the release before says of records: the id of their run, or why it cannot read them."""
    place = former.unpacked(schemas.BEFORE, tmp_path_factory.mktemp("before"))

    def read(*given) -> list[str]:
        asked = json.dumps([(type(record).__name__, base64.b64encode(data).decode()) for record, data in given])
        environment = os.environ | {"PYTHONPATH": str(place)}
        done = subprocess.run(
            [sys.executable, "-c", READS],
            input=asked,
            env=environment,
            cwd=place,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout)

    return read


def test_the_release_before_reads_what_is_asked_answered_and_told(before) -> None:
    """Requests, commands, results and events of this version are read by the code of the release before."""
    records = (samples.REQUEST, samples.COMMAND, samples.RESULT, samples.EVENT)
    told = before(*((each, Codec().encode(each)) for each in records))
    assert told == [each.run_id for each in records]


def test_without_its_own_schemas_it_would_read_nothing_of_it(before) -> None:
    """A record in the schema of this version alone, which the same code meets, is a dead letter to it."""
    alone = Codec(SingleObject(alone=True))
    told = before(*((each, alone.encode(each)) for each in (samples.REQUEST, samples.RESULT, samples.EVENT)))
    assert all(each.startswith("no schema has the fingerprint") for each in told)


def test_what_is_new_is_not_disguised(before) -> None:
    """A result that the release before has no word for, and the state of a run, are refused by it, not misread."""
    doubt = samples.RESULT.replace(kind=ResultKind.IN_DOUBT)
    told = before(*((each, Codec().encode(each)) for each in (doubt, samples.RUN)))
    assert all(each.startswith("no schema has the fingerprint") for each in told)
