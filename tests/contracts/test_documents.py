"""Workflows as text: the same graph whoever writes it, and every mistake with its line."""

import json

import jsonschema
import pytest

from actionbus.contracts import documents, reference
from actionbus.contracts.documents import Unreadable
from actionbus.contracts.errors import DefinitionRefused
from engine.graphs import cel, choose, graph, ref, sleep, step

ORDER = """\
name: order
version: "1"
root:
  id: root
  kind: sequence
  nodes:
    - id: price
      kind: step
      call: {action: price, input: {item: {$ref: [input, item]}, on: on, count: 2, share: 0.5, none: ~}}
    - id: pick
      kind: choose
      cases:
        - when: {$cel: total > 100, with: {total: {$ref: [steps, price]}}}
          then: {id: big, kind: sleep, for_ms: 1000}
actions:
  price: {id: price, retry: {attempts: 1}}
"""


def flaws(text: str) -> list[str]:
    """What a document is refused for, each with its place."""
    with pytest.raises(Unreadable) as caught:
        documents.read(text.encode(), name="order.yaml")
    return str(caught.value).splitlines()


def written():
    """The same workflow, made of nodes."""
    given = {"item": ref("input", "item"), "on": "on", "count": 2, "share": 0.5, "none": None}
    return graph(
        step("price", input=given),
        choose("pick", (cel("total > 100", total=ref("steps", "price")), sleep("big", 1000))),
    )


def test_a_document_gives_the_graph_that_code_gives():
    """YAML, its JSON, and nodes made by code have the same content hash; words such as on are text."""
    found = documents.read(ORDER.encode(), name="order.yaml")
    assert found == written()
    assert documents.read(found.canonical(), name="order.json").hash == written().hash


def test_a_document_is_read_from_its_file(tmp_path):
    """A file is named in what is said about it, and one that is not there is refused in words."""
    file = tmp_path / "order.yaml"
    with pytest.raises(DefinitionRefused, match=r"order\.yaml cannot be read: No such file"):
        documents.load(file)
    file.write_text(ORDER)
    assert documents.load(file).name == "order"
    file.write_text("name: [")
    with pytest.raises(Unreadable, match=r"order\.yaml:\d+:\d+: it is no YAML"):
        documents.load(file)


def test_every_mistake_has_its_line():
    """Mistakes of form and of meaning stand at the value or the node that they are about, in order."""
    kind, attempts = flaws(ORDER.replace("kind: sleep", "kind: slep").replace("attempts: 1", "attempts: 0"))
    assert kind.startswith("order.yaml:14:17: root.nodes.1.cases.0.then: Input tag 'slep' found using 'kind' does not")
    assert attempts == ("order.yaml:16:40: actions.price.retry.attempts: Input should be greater than or equal to 1")
    found = flaws(ORDER.replace("steps, price", "steps, prise").replace("for_ms: 1000", "until: {$ref: [made]}"))
    assert [each.partition(": ")[0] for each in found] == ["order.yaml:10:7", "order.yaml:14:17"]
    assert found[0].endswith("choose pick, case 1: steps.prise reads the step prise, which is not there")


@pytest.mark.parametrize(
    ("text", "flaw"),
    [
        ("", "1:1: the document is empty"),
        ("# only a comment\n", "the document is empty"),
        ("a: &x 1\nb: *x", "2:4: aliases such as *x are not followed: write it out"),
        ("a: 1\na: 2", "2:1: the key a comes twice"),
        ("a: 1\n? [b]\n: 2", "2:3: a key has to be a plain text"),
        ("--- 1\n--- 2", "2:1: a file holds one document"),
        ("a: !!python/object:os.system {}", "1:4: the tag tag:yaml.org,2002:python/object:os.system means nothing"),
        ("a: !!int '1'", "1:4: the tag tag:yaml.org,2002:int means nothing here"),
        ("a: [1", "it is no YAML"),
        ("- " * 200 + "1", "the document is nested deeper than 128"),
        ("a: 1\nb: '\N{NULL}'", "2:5: the character U+0000 may not stand in a document"),
        ("a: \N{BELL}\N{LATIN SMALL LETTER E WITH ACUTE}\x01", "1:6: the character U+0001 may not stand in a document"),
        ("[" + "1," * 50_000 + "]", "the document holds more than 50000 values"),
        ("x" * 1_048_577, "the document has 1048577 bytes, the limit is 1048576"),
        ("7", "Input should be an object"),
        ("a: .inf", "a: Extra inputs are not permitted"),
        ("a: 1e999", "Out of range float values are not JSON compliant"),
    ],
)
def test_a_document_that_is_none_is_refused(text, flaw):
    """Whatever a file holds, it costs little, and is refused with its place and a reason."""
    assert flaw in "\n".join(flaws(text))


def test_bytes_that_are_no_text_are_refused():
    """A file in another encoding is told so."""
    with pytest.raises(Unreadable, match="it is no UTF-8"):
        documents.read(b"\xff\xfe", name="x")


def test_the_published_schema_accepts_documents():
    """An editor that knows the schema accepts what is read, and marks a kind that is not there."""
    schema = json.loads(reference.definition_page())
    jsonschema.validate(json.loads(written().canonical()), schema)
    wrong = json.loads(written().canonical().replace(b'"sleep"', b'"slep"'))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(wrong, schema)
