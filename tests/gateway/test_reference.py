"""The document of the API says what the code says."""

from http import HTTPStatus
from pathlib import Path

import jsonschema

from actionbus.gateway import bodies as bodies_module
from actionbus.gateway import reference
from actionbus.gateway.app import application, document
from actionbus.gateway.problems import MEANINGS, MEDIA_TYPE

FILE = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


def test_the_document_is_current() -> None:
    """The committed document is exactly what the routes give; `make docs` renews it."""
    assert FILE.read_text(encoding="utf-8") == reference.text()


def test_every_body_has_an_example_that_fits() -> None:
    """Whoever reads of a body sees one, and it is one."""
    made = document(application(body_bytes=1))
    found = made["components"]["schemas"]
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for path in made["paths"].values()
        for operation in path.values()
        if "requestBody" in operation
    }
    assert len(bodies) > 10
    for name in bodies:
        assert found[name]["examples"], f"{name} has no example"
        for example in found[name]["examples"]:
            schema = {"$ref": f"#/components/schemas/{name}", "components": made["components"]}
            jsonschema.Draft202012Validator(schema).validate(example)
            getattr(bodies_module, name).model_validate(example)


def test_every_problem_is_described_once() -> None:
    """Each operation says with which problems it answers, and each of them has its meaning and an example."""
    made = document(application(body_bytes=1))
    described = made["components"]["responses"]
    assert {each["content"][MEDIA_TYPE]["example"]["status"] for each in described.values()} == set(map(int, MEANINGS))
    for path in made["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= HTTPStatus.BAD_REQUEST and "HealthView" not in str(response):
                    name = response["$ref"].rpartition("/")[2]
                    assert described[name]["content"][MEDIA_TYPE]["example"]["status"] == int(status)
