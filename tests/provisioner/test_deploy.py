"""Definitions are written once, never replaced, and only when everything they need is there."""

import pytest

from actionbus.contracts.decisions import Call
from actionbus.contracts.definitions import ActionSpec, Graph, WorkflowDefinition
from actionbus.contracts.errors import Conflict
from actionbus.contracts.nodes import EmitNode, ParallelNode, SequenceNode, StepNode
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.provisioner import deploy, topics
from actionbus.provisioner.deploy import Verdict

CODEC = Codec()
MAIL = ActionSpec(id="send-mail", emits=("mails",))
NAMES = Topics("shop")
EXIST = [NAMES.commands("send-mail"), NAMES.action_dead_letters("send-mail"), "mails"]


def _graph(version: str = "1", step: str = "send-mail", action: ActionSpec = MAIL) -> Graph:
    node = StepNode(id=step, call=Call(action=action.id, input={"$ref": ["input"]}))
    root = SequenceNode(id="root", nodes=(node,))
    return Graph(name="signup", version=version, root=root, actions={action.id: action})


def _known(graph: Graph) -> dict[str, WorkflowDefinition]:
    return {f"{graph.name}@{graph.version}": WorkflowDefinition.of(graph, deployed_at=1, deployed_by="a test")}


def test_a_version_that_is_not_there_is_new() -> None:
    """Nothing is deployed, or only another version: it would be written."""
    (alone,) = deploy.judge([_graph()], {}, EXIST, NAMES)
    (beside,) = deploy.judge([_graph("2")], _known(_graph("1")), EXIST, NAMES)
    assert alone.verdict is beside.verdict is Verdict.NEW


def test_the_same_content_is_unchanged() -> None:
    """Deploying the same definition again does nothing."""
    (deployment,) = deploy.judge([_graph()], _known(_graph()), EXIST, NAMES)
    assert deployment.verdict is Verdict.UNCHANGED


def test_another_content_under_the_same_version_is_refused() -> None:
    """A deployed version never changes; the refusal says to choose another version."""
    (deployment,) = deploy.judge([_graph(step="send-again")], _known(_graph()), EXIST, NAMES)
    assert deployment.verdict is Verdict.REFUSED
    assert "give this one another version" in deployment.reason


def test_a_graph_that_cannot_run_is_refused() -> None:
    """A mistake in the graph is named, and nothing of it is written."""
    graph = _graph().model_copy(update={"output": {"$ref": ["steps", "nowhere"]}})
    (deployment,) = deploy.judge([graph], {}, EXIST, NAMES)
    assert deployment.verdict is Verdict.REFUSED
    assert "nowhere" in deployment.reason


@pytest.mark.parametrize("missing", EXIST)
def test_a_missing_topic_is_refused_by_name(missing: str) -> None:
    """A definition whose commands or emits would have no topic is refused before a run meets that."""
    (deployment,) = deploy.judge([_graph()], {}, set(EXIST) - {missing}, NAMES)
    assert deployment.verdict is Verdict.REFUSED
    assert missing in deployment.reason


def test_a_topic_that_a_workflow_itself_publishes_to_has_to_be_there() -> None:
    """A node that emits is looked after like an action that does, wherever it stands."""
    tell = EmitNode(id="tell", topic="news")
    root = SequenceNode(id="root", nodes=(*_graph().root.nodes, ParallelNode(id="both", branches=(tell,))))
    graph = _graph().model_copy(update={"root": root})
    (refused,) = deploy.judge([graph], {}, EXIST, NAMES)
    (accepted,) = deploy.judge([graph], {}, [*EXIST, "news"], NAMES)
    assert "news" in refused.reason
    assert accepted.verdict is Verdict.NEW


@pytest.fixture
async def installation(connection: Connection, prefix: str) -> Topics:
    """The topics of an installation with one action."""
    wanted = topics.Wanted(prefix=prefix, actions=[_silent(MAIL)], shards=2, action_partitions=2, replication=1)
    async with Admin(connection) as admin:
        await topics.apply(admin, await topics.look(admin, wanted))
    return Topics(prefix)


def _silent(action: ActionSpec) -> ActionSpec:
    """The action without topics of the user."""
    return action.model_copy(update={"emits": ()})


async def _judge(connection: Connection, names: Topics, *graphs: Graph) -> tuple[deploy.Deployment, ...]:
    async with Admin(connection) as admin:
        exist = await admin.topics(f"{names.prefix}.")
    return deploy.judge(graphs, await deploy.deployed(connection, names, CODEC), exist, names)


async def test_a_definition_is_written_once(connection: Connection, installation: Topics) -> None:
    """On a real broker: written, then unchanged; the record is the graph, whole, and says who wrote it."""
    graph = _graph(action=_silent(MAIL))
    for verdict in (Verdict.NEW, Verdict.UNCHANGED):
        deployments = await _judge(connection, installation, graph)
        assert [each.verdict for each in deployments] == [verdict]
        await deploy.deploy(connection, installation, CODEC, deployments, by="a test")
    (found,) = (await deploy.deployed(connection, installation, CODEC)).values()
    assert (found.graph, found.hash, found.deployed_by) == (graph.canonical(), graph.hash, "a test")


async def test_one_refusal_keeps_everything_back(connection: Connection, installation: Topics) -> None:
    """On a real broker: with one refused definition, none of the others is written."""
    first, second = _graph("1", action=_silent(MAIL)), _graph("2", action=ActionSpec(id="nobody"))
    deployments = await _judge(connection, installation, first, second)
    assert [each.verdict for each in deployments] == [Verdict.NEW, Verdict.REFUSED]
    with pytest.raises(Conflict, match=r"action.nobody.commands"):
        await deploy.deploy(connection, installation, CODEC, deployments, by="a test")
    assert await deploy.deployed(connection, installation, CODEC) == {}


async def test_the_first_of_two_deployers_wins(connection: Connection, installation: Topics) -> None:
    """On a real broker: who wrote second at the same moment is told, and the first content stays in force."""
    first = _graph(action=_silent(MAIL))
    second = _graph(step="send-again", action=_silent(MAIL))
    both = [await _judge(connection, installation, graph) for graph in (first, second)]
    await deploy.deploy(connection, installation, CODEC, both[0], by="the first")
    with pytest.raises(Conflict, match="at the same moment"):
        await deploy.deploy(connection, installation, CODEC, both[1], by="the second")
    (found,) = (await deploy.deployed(connection, installation, CODEC)).values()
    assert found.hash == first.hash


async def test_bytes_that_are_no_definition_are_passed_over(connection: Connection, installation: Topics) -> None:
    """On a real broker: garbage and tombstones in the topic do not keep a deployer from reading the rest."""
    async with IdempotentProducer(connection) as producer:
        for value in (b"garbage", None, b""):
            await producer.append(installation.definitions, 0, [OutRecord(key=b"x", value=value)])
    graph = _graph(action=_silent(MAIL))
    await deploy.deploy(connection, installation, CODEC, await _judge(connection, installation, graph), by="a test")
    assert list(await deploy.deployed(connection, installation, CODEC)) == ["signup@1"]
