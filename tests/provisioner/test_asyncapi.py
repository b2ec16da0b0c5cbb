"""The AsyncAPI document is valid, current, and says what the catalogue, the schemas and a user's actions say."""

import json
from io import BytesIO
from pathlib import Path

import fastavro
import jsonschema
import pytest
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from actionbus import ActionContext, action
from actionbus.cli.main import app as command_line
from actionbus.contracts import schemas
from actionbus.contracts.topics import catalogue
from actionbus.kafka import codec
from actionbus.provisioner import asyncapi, asyncapi_examples
from actionbus.provisioner.topics import Wanted

ROOT = Path(__file__).parents[2]
SPEC = json.loads((Path(__file__).parent / "asyncapi-spec" / "asyncapi-3.0.0.json").read_text(encoding="utf-8"))
PAGE = ROOT / "docs" / "reference" / "asyncapi.yaml"


class Address(BaseModel):
    """Stands in a definition of its own inside the action's schema."""

    street: str


@action(id="ship", encoding="json", emits=["shop.parcels"])
def ship(ctx: ActionContext, to: Address, items: list[Address]) -> Address:
    """Ships."""
    ctx.emit("shop.parcels", b"")
    return to or items[0]


def wanted(*actions) -> Wanted:
    return Wanted(
        prefix="shop-bus", actions=[each.spec for each in actions], shards=3, action_partitions=5, replication=2
    )


def references(node):
    """Every reference inside a document."""
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for each in node.values():
            yield from references(each)
    elif isinstance(node, list):
        for each in node:
            yield from references(each)


def target(document, reference):
    """What a reference points at; a KeyError when nothing is there."""
    assert reference.startswith("#/")
    for part in reference.removeprefix("#/").split("/"):
        document = document[part.replace("~1", "/").replace("~0", "~")]
    return document


def mistakes(document):
    return [error.message for error in jsonschema.Draft7Validator(SPEC).iter_errors(document)]


def test_the_page_is_current():
    """The document in docs/reference is exactly what the code derives; `make docs` renews it."""
    assert PAGE.read_text(encoding="utf-8") == asyncapi.page()


@pytest.mark.parametrize(
    "document",
    [
        asyncapi.document(wanted()),
        asyncapi.document(wanted(ship)),
        asyncapi.document(wanted(ship), asyncapi.Server(host="b:1", registry="http://registry:8081")),
    ],
    ids=["of any action", "of certain actions", "with a registry"],
)
def test_a_document_is_valid(document):
    """It fits AsyncAPI 3.0.0 with the Kafka bindings 0.5.0, and every reference in it leads somewhere."""
    assert mistakes(document) == []
    for reference in references(document["channels"] | document["operations"] | document["components"]):
        target(document, reference)


def test_the_schema_finds_mistakes():
    """What is no AsyncAPI is found, so that the test above says something."""
    document = asyncapi.document(wanted())
    document["operations"]["client.send.workflow.requests"]["action"] = "sends"
    document["channels"]["workflow.requests"]["bindings"]["kafka"]["partitions"] = "many"
    assert mistakes(document)


def test_every_topic_stands_in_it():
    """Each entry of the catalogue is a channel with its name, partitions, settings and who reads or writes it."""
    document = asyncapi.document(wanted(ship))
    for spec in catalogue().topics:
        channel = document["channels"][f"{spec.role}.ship" if spec.partitions == "action" else str(spec.role)]
        assert channel["address"] == spec.name.format(prefix="shop-bus", action="ship")
        binding = channel["bindings"]["kafka"]
        assert binding["partitions"] == {"shards": 3, "action": 5, 1: 1}[spec.partitions]
        assert binding["replicas"] == 2
        assert binding["topicConfiguration"]["cleanup.policy"] == spec.config["cleanup.policy"].split(",")
        assert set(binding["topicConfiguration"]) == set(spec.config)
    used = {target(document, each["channel"]["$ref"])["address"] for each in document["operations"].values()}
    assert used == {each["address"] for each in document["channels"].values()}


def test_groups_are_those_that_services_join():
    """An operation that reads in a consumer group names it."""
    operations = asyncapi.document(wanted(ship))["operations"]
    groups = {
        name: each["bindings"]["kafka"]["groupId"]["enum"] for name, each in operations.items() if "bindings" in each
    }
    assert groups == {
        "orchestrator.receive.workflow.requests": ["shop-bus.orchestrator"],
        "worker.receive.action.commands.ship": ["shop-bus.action.ship"],
    }


def test_a_users_actions_stand_in_it():
    """What an action takes, gives and emits is said beside its commands, in the encoding that it asks for."""
    document = asyncapi.document(wanted(ship))
    message = document["components"]["messages"]["ActionCommand.ship"]
    assert message["contentType"] == "application/json"
    taken = target(document, message["x-input"]["$ref"])
    assert target(document, taken["properties"]["to"]["$ref"])["properties"] == {
        "street": {"title": "Street", "type": "string"}
    }
    assert document["channels"]["shop.parcels"]["address"] == "shop.parcels"
    assert document["operations"]["orchestrator.emit.shop.parcels"]["action"] == "send"


@pytest.mark.parametrize("model", schemas.MODELS, ids=lambda model: model.__name__)
def test_every_record_has_an_example(model):
    """The example of a record is a record: it reads back, and is written by the schema that stands beside it."""
    read = codec.from_json(model, json.dumps(asyncapi_examples.payload(model.__name__)).encode())
    assert read in asyncapi_examples.EXAMPLES
    message = asyncapi.document(wanted())["components"]["messages"][model.__name__]
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(message["payload"]["schema"]), read.plain())
    assert written.getvalue()
    headers = asyncapi.document(wanted())["components"]["schemas"][f"{model.__name__}.headers"]
    jsonschema.validate(message["examples"][0]["headers"], headers)


def test_the_command_prints_one(monkeypatch, tmp_path):
    """`actionbus topics asyncapi MODULE` prints the document of the installation that the settings describe."""
    (tmp_path / "shop.py").write_text(
        'from actionbus import action\n\n\n@action(id="pack")\ndef pack(item: str) -> str:\n    return item\n'
    )
    monkeypatch.setenv("ACTIONBUS_PREFIX", "shop-bus")
    done = CliRunner().invoke(command_line, ["topics", "asyncapi", str(tmp_path / "shop.py")])
    assert done.exit_code == 0, done.output
    printed = yaml.safe_load(done.stdout)
    assert mistakes(printed) == []
    assert printed["channels"]["action.commands.pack"]["address"] == "shop-bus.action.pack.commands.v1"
