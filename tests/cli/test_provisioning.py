"""`actionbus topics` and `actionbus deploy` on both kinds of broker, as a pipeline runs them."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from actionbus.kafka.admin import Admin
from actionbus.kafka.connection import Connection
from cli.installed import Dev
from support import apache_kafka

APP = Path(__file__).with_name("hello_app.py")


@pytest.fixture
def cluster(broker, prefix: str, tmp_path: Path) -> Dev:
    """A broker with nothing of ours on it under this prefix."""
    shutil.copy(APP, tmp_path / "app.py")
    environment = {
        "ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "ACTIONBUS_PREFIX": prefix,
        "ACTIONBUS_TOPICS_SHARDS": "2",
    }
    return Dev(tmp_path, "app.py", environment)


def _changes(rows: list[dict]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["change"], set()).add(row["topic"])
    return found


def test_topics_are_planned_applied_and_then_as_they_should_be(cluster: Dev, prefix: str) -> None:
    """Plan shows what is missing and makes nothing; apply makes it; after that nothing is left to do."""
    missing = _changes(cluster.json("topics", "plan", "app.py"))["create"]
    assert f"{prefix}.action.greet.commands.v1" in missing
    assert _changes(cluster.json("topics", "plan", "app.py"))["create"] == missing
    assert _changes(cluster.json("topics", "apply", "app.py"))["create"] == missing
    again = cluster.command("topics", "apply", "app.py")
    assert (again.returncode, again.stderr) == (0, "nothing to do\n")


def test_another_number_of_shards_is_refused(cluster: Dev) -> None:
    """With other partitions than the topics have, apply ends with 4, says the way out and changes nothing."""
    cluster.json("topics", "apply")
    for command in ("plan", "apply"):
        sentence = cluster.refused(4, "topics", command, "app.py", ACTIONBUS_TOPICS_SHARDS="5")
        assert "set ACTIONBUS_TOPICS_SHARDS=2" in sentence
    assert "create" in _changes(cluster.json("topics", "plan", "app.py"))


def test_workflows_are_deployed_once(cluster: Dev) -> None:
    """A first deploy is new, a second one unchanged; a dry run writes nothing."""
    cluster.json("topics", "apply", "app.py")
    for options, verdict in ((("--dry-run",), "new"), ((), "new"), ((), "unchanged")):
        rows = cluster.json("deploy", "app.py", *options)
        assert {row["workflow"]: row["verdict"] for row in rows} == {"hello": verdict, "wait": verdict}


def test_a_changed_workflow_needs_another_version(cluster: Dev) -> None:
    """Another content under a deployed version ends with 4 and writes nothing, not even the others of the module."""
    cluster.json("topics", "apply", "app.py")
    cluster.json("deploy", "app.py")
    file = cluster.folder / "app.py"
    text = file.read_text(encoding="utf-8")
    changed = text.replace("return flow.run(greet(name=name))", 'return flow.run(greet(name=name), id="greet-again")')
    file.write_text(changed.replace('id="wait", version="1"', 'id="wait", version="2"'), encoding="utf-8")
    done = cluster.command("deploy", "app.py")
    assert done.returncode == 4
    assert "give this one another version" in done.stderr
    file.write_text(changed.replace('id="hello", version="1"', 'id="hello", version="2"'), encoding="utf-8")
    assert {row["workflow"]: row["verdict"] for row in cluster.json("deploy", "app.py")} == {
        "hello": "new",
        "wait": "unchanged",
    }


def test_a_dry_run_says_what_would_change(cluster: Dev) -> None:
    """Against the newest deployed version every change is a sentence; nothing is written, and no run is touched."""
    cluster.json("topics", "apply", "app.py")
    cluster.json("deploy", "app.py")
    text = (cluster.folder / "app.py").read_text(encoding="utf-8")
    changed = text.replace('id="hello", version="1"', 'id="hello", version="2"')
    changed = changed.replace("return flow.run(greet(name=name))", 'return flow.run(greet(name=name), timeout="5s")')
    (cluster.folder / "changed.py").write_text(changed, encoding="utf-8")
    for _ in range(2):
        hello, wait = cluster.json("deploy", "changed.py", "--dry-run")
        assert (hello["verdict"], hello["newest"], hello["live_runs"], hello["uncounted"]) == ("new", "1", {}, None)
        assert hello["changes"] == ["step greet: start_to_close_ms is 5000, before none"]
        assert (wait["verdict"], wait["changes"]) == ("unchanged", [])
    told = cluster.command("deploy", "changed.py", "--dry-run", "-o", "table").stdout
    assert "hello@2, compared with hello@1:\n  step greet: start_to_close_ms is 5000, before none" in told
    assert "no run of it lives" in told


def test_runs_that_cannot_be_counted_are_said_to_be_unknown(cluster: Dev, prefix: str) -> None:
    """Where the state topic cannot be read the reason is told, and the deployment is done all the same."""
    cluster.json("topics", "apply", "app.py")
    cluster.json("deploy", "app.py")
    state = f"{prefix}.workflow.state.v1"

    connection = Connection(bootstrap_servers=cluster.environment["ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS"])

    async def there(*, delete: bool) -> bool:
        async with Admin(connection) as admin:
            if delete:
                await admin.delete_topics([state])
            return state in await admin.topics(state)

    asyncio.run(there(delete=True))
    cluster.until(lambda: not asyncio.run(there(delete=False)))
    text = (cluster.folder / "app.py").read_text(encoding="utf-8")
    (cluster.folder / "next.py").write_text(text.replace('version="1"', 'version="2"'), encoding="utf-8")
    told = cluster.command("deploy", "next.py", "--dry-run", "-o", "table")
    assert told.returncode == 0, told.stderr
    assert "how many runs live is not known: " in told.stdout
    assert state in told.stdout
    row, _ = cluster.json("deploy", "next.py")
    assert (row["verdict"], row["live_runs"]) == ("new", None)
    assert state in row["uncounted"]


def test_a_workflow_without_its_topics_is_refused(cluster: Dev, prefix: str) -> None:
    """A deploy before the topics of its actions are there ends with 4 and names what makes them."""
    cluster.json("topics", "apply")
    done = cluster.command("deploy", "app.py")
    assert done.returncode == 4
    assert f"{prefix}.action.greet.commands.v1" in done.stderr
    assert "actionbus topics apply" in done.stderr


def test_doctor_says_what_is_missing_and_what_to_do(cluster: Dev) -> None:
    """On an empty cluster the doctor ends with 1 and names the next command; after each step one problem less."""
    rows = _doctor(cluster, 1)
    assert "missing:" in rows["topics"]["found"]
    assert "actionbus topics apply" in rows["topics"]["advice"]
    cluster.json("topics", "apply", "app.py")
    rows = _doctor(cluster, 1)
    assert rows["topics"]["level"] != "problem"
    assert rows["orchestrators"]["advice"].startswith("start one: actionbus run orchestrator")
    assert rows["definitions"]["found"] == "no workflow is deployed"
    cluster.json("deploy", "app.py")
    rows = _doctor(cluster, 1)
    assert "hello@1" in rows["definitions"]["found"]
    assert rows["workers of greet"]["found"] == "0 run, 0 commands wait"


def _doctor(cluster: Dev, code: int) -> dict[str, dict]:
    done = cluster.command("doctor")
    assert done.returncode == code, done.stderr
    return {row["check"]: row for row in json.loads(done.stdout)}


@pytest.mark.kafka
def test_doctor_finds_nothing_wrong_with_a_whole_installation(dev: Dev) -> None:
    """With orchestrator and workers at work the doctor ends with 0."""
    rows = _doctor(dev, 0)
    assert rows["orchestrators"]["level"] == rows["workers of greet"]["level"] == rows["clock"]["level"] == "ok"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a Kafka that asks for a password, and allows alice nothing but to log in."""
    request.getfixturevalue("apache_kafka")  # skips, visibly, where Java is missing
    jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="admin" password="a" user_admin="a" user_alice="b";'
    )
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": jaas,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
    }
    with apache_kafka.running(tmp_path_factory.mktemp("guarded"), settings=settings) as cluster:
        yield cluster.bootstrap


@pytest.mark.kafka
@pytest.mark.java
def test_wrong_credentials_are_told_in_one_sentence(guarded: str, tmp_path: Path) -> None:
    """A missing login, a wrong password and missing rights each end a command with one sentence and no traceback."""
    shutil.copy(APP, tmp_path / "app.py")
    login = {
        "ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": guarded,
        "ACTIONBUS_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "ACTIONBUS_KAFKA_SASL_MECHANISM": "PLAIN",
        "ACTIONBUS_KAFKA_SASL_USERNAME": "alice",
        "ACTIONBUS_KAFKA_SASL_PASSWORD": "b",
    }
    alice = Dev(tmp_path, "app.py", login)
    assert "the broker does not allow it to this user" in alice.refused(2, "topics", "apply", "app.py")
    assert "refused the user name or password" in alice.refused(2, "doctor", ACTIONBUS_KAFKA_SASL_PASSWORD="no")  # noqa: S106 - it has to be wrong
    nobody = Dev(tmp_path, "app.py", {"ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": guarded})
    assert "wants another security protocol" in nobody.refused(6, "runs", "show", "a")
    admin = Dev(
        tmp_path, "app.py", login | {"ACTIONBUS_KAFKA_SASL_USERNAME": "admin", "ACTIONBUS_KAFKA_SASL_PASSWORD": "a"}
    )
    assert admin.json("topics", "apply", "app.py")
    assert "does not allow it to this user" in alice.refused(2, "runs", "start", "hello", '"Ada"')
