"""Models and schemas say the same, and no change of a schema leaves old records unreadable."""

import copy
import tomllib
import zipfile
from enum import StrEnum
from pathlib import Path

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import make_avsc_object

from actionbus.contracts import resources, schemas
from actionbus.contracts.model import Record
from contracts import derivation

ROOT = Path(__file__).parents[2]
RELEASES = ROOT / "tests" / "faults" / "releases"
PACKAGED = "actionbus/contracts/data/schemas"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def _readable(reader: dict, writer: dict) -> SchemaCompatibilityType:
    checker = ReaderWriterCompatibilityChecker()
    return checker.get_compatibility(make_avsc_object(reader), make_avsc_object(writer)).compatibility


@pytest.mark.parametrize("model", schemas.MODELS, ids=lambda model: model.__name__)
def test_every_schema_is_what_its_model_says(model: type[Record]) -> None:
    """Names, order, types, defaults, docs, nested records and enums of a schema equal those of its model."""
    assert schemas.raw(model) == derivation.schema_of(model)


def test_every_schema_file_has_a_model() -> None:
    """No schema lies in the folder without a model that is bound to it, and no model lacks its file."""
    assert set(resources.names("schemas")) == set(schemas.FILES.values())
    assert set(schemas.FILES) == set(schemas.MODELS)


@pytest.mark.parametrize("model", schemas.MODELS, ids=lambda model: model.__name__)
def test_every_enum_can_grow(model: type[Record]) -> None:
    """Every enum begins with a member for what newer writers know, so an older reader survives a new member."""
    enums = [each for each in derivation.nested(model) if issubclass(each, StrEnum)]
    assert {next(iter(each)).name for each in enums} <= {"UNKNOWN"}


@pytest.mark.parametrize("old", schemas.released(), ids=lambda old: f"{old.version}-{old.model.__name__}")
def test_records_of_every_release_stay_readable(old: schemas.Released) -> None:
    """The schemas of this version read what every released version wrote (BACKWARD_TRANSITIVE)."""
    assert _readable(schemas.raw(old.model), old.raw) is SchemaCompatibilityType.compatible


def test_the_schemas_of_this_version_are_kept() -> None:
    """The folder of the version in pyproject.toml holds the schemas of this version, to be compared with for ever."""
    folder = f"{schemas.RELEASED}/{VERSION}"
    kept = {name: resources.read(folder, name) for name in resources.names(folder)}
    current = {name: resources.read("schemas", name) for name in schemas.FILES.values()}
    assert kept == current, (
        f"copy schemas/*.avsc to {folder}; if {VERSION} is already released, raise the version first"
    )


def test_what_a_release_wrote_never_changes() -> None:
    """The schemas that are kept of a release are those in its wheel: others would not be found in what it wrote."""
    for wheel in RELEASES.glob("*.whl"):
        version = wheel.name.split("-")[1]
        with zipfile.ZipFile(wheel) as files:
            for name in schemas.FILES.values():
                assert files.read(f"{PACKAGED}/{name}").decode() == resources.read(
                    f"{schemas.RELEASED}/{version}", name
                )


def test_the_release_before_this_one_is_known() -> None:
    """The release whose schemas are shared is the newest one before the version in pyproject.toml."""
    released = {each.version for each in schemas.released() if each.version.replace(".", "").isdigit()}
    assert max(released - {VERSION}, key=_number) == schemas.BEFORE
    assert _number(schemas.BEFORE) < _number(VERSION)
    assert [each.name for each in RELEASES.glob(f"*-{schemas.BEFORE}-*.whl")]


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_the_compatibility_check_sees_a_field_without_default() -> None:
    """A new field without default, which would make every old record unreadable, does not pass the check."""
    old = schemas.raw(schemas.WorkflowRun)
    new = copy.deepcopy(old)
    new["fields"].append({"name": "owner", "type": "string"})
    assert _readable(new, old) is SchemaCompatibilityType.incompatible
    new["fields"][-1]["default"] = ""
    assert _readable(new, old) is SchemaCompatibilityType.compatible


def test_the_compatibility_check_sees_a_changed_type() -> None:
    """A field whose type changed does not pass the check."""
    old = schemas.raw(schemas.ShardPosition)
    new = copy.deepcopy(old)
    new["fields"][0]["type"] = "string"
    assert _readable(new, old) is SchemaCompatibilityType.incompatible


def test_the_fingerprint_is_the_one_of_the_specification() -> None:
    """The fingerprint of "int" has the value that the Avro project publishes, in little-endian bytes."""
    assert schemas.rabin_of("int").hex() == "8f5c393f1ad57572"


def test_fingerprints_tell_the_schemas_apart() -> None:
    """Every schema has a fingerprint of its own."""
    assert len({schemas.rabin(model) for model in schemas.MODELS}) == len(schemas.MODELS)


def test_docs_do_not_change_a_fingerprint() -> None:
    """A better sentence in a schema leaves its fingerprint, and so the records on the wire, as they were."""
    changed = copy.deepcopy(schemas.raw(schemas.ShardPosition))
    changed["fields"][0]["doc"] = "Another sentence."
    assert schemas.rabin_of(changed) == schemas.rabin(schemas.ShardPosition)
