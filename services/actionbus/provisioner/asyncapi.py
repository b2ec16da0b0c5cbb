"""The installation as an AsyncAPI 3.0.0 document: its topics, what is in them, and who reads and writes them.

Derived from the catalogue of topics and the schemas; with a user's actions, of their topics and what they emit as well.
``python -m actionbus.provisioner.asyncapi docs/reference`` writes the one of an installation without actions.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import yaml

from actionbus.contracts.definitions import ActionSpec, Encoding
from actionbus.contracts.topics import DEFAULT_PREFIX, PER_ACTION, PER_SHARD, TopicRole, TopicSpec, catalogue
from actionbus.process.groups import TopicSettings
from actionbus.provisioner.asyncapi_messages import BINDING, CONTENT_TYPES, JSON_TOO, emitted, messages, parts
from actionbus.provisioner.topics import Wanted

VERSION: Final = "3.0.0"
ANY_ACTION: Final = "{action}"  # where a document is of no certain actions
_DERIVED: Final = (
    "# derived from topics/catalogue.yaml and schemas/*.avsc by `python -m actionbus.provisioner.asyncapi`; "
    "do not edit\n"
)
_ALSO: Final = {TopicRole.STATE: ("ShardPosition",)}  # records that stand beside the one the catalogue names


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the topics are. ``registry``: the address of a schema registry, whose framing is used then."""

    host: str = "127.0.0.1:9092"
    protocol: str = "kafka"
    registry: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one kind of process does with one topic. ``group``: the consumer group it reads in, if it has one."""

    who: str
    does: str
    role: TopicRole
    summary: str
    group: str | None = None


_ORCHESTRATOR: Final = "{prefix}.orchestrator"
_WORKERS: Final = "{prefix}.action.{action}"
PARTS: Final = (
    Part(who="client", does="send", role=TopicRole.REQUESTS, summary="Asks something of a run."),
    Part(who="client", does="receive", role=TopicRole.EVENTS, summary="Follows runs, in a group of its own choice."),
    Part(who="client", does="receive", role=TopicRole.STATE, summary="Reads how runs stand."),
    Part(who="deployer", does="send", role=TopicRole.DEFINITIONS, summary="Deploys a version of a workflow."),
    Part(
        who="orchestrator", does="receive", role=TopicRole.REQUESTS, group=_ORCHESTRATOR,
        summary="Takes requests; the group says who owns a shard, offsets are in the shard's position.",
    ),
    Part(who="orchestrator", does="receive", role=TopicRole.RESULTS, summary="Takes the answers of workers."),
    Part(who="orchestrator", does="send", role=TopicRole.STATE, summary="Keeps runs, in the shard's transaction."),
    Part(who="orchestrator", does="send", role=TopicRole.EVENTS, summary="Tells every transition, in the same one."),
    Part(who="orchestrator", does="receive", role=TopicRole.DEFINITIONS, summary="Reads what is deployed."),
    Part(who="orchestrator", does="send", role=TopicRole.DEAD_LETTERS, summary="Sets aside what it cannot read."),
    Part(who="orchestrator", does="send", role=TopicRole.CONTROL, summary="Tells workers what nobody waits for."),
    Part(who="orchestrator", does="send", role=TopicRole.COMMANDS, summary="Orders an attempt, after the commit."),
    Part(who="worker", does="receive", role=TopicRole.COMMANDS, group=_WORKERS, summary="Carries attempts out."),
    Part(who="worker", does="send", role=TopicRole.RESULTS, summary="Answers, to the place that the command names."),
    Part(who="worker", does="receive", role=TopicRole.CONTROL, summary="Hears which attempts nobody waits for."),
    Part(
        who="worker", does="send", role=TopicRole.ACTION_DEAD_LETTERS, summary="Sets aside what it cannot read."
    ),
)  # fmt: skip


def document(wanted: Wanted, server: Server = Server()) -> dict[str, Any]:
    """The document of an installation; without actions, of any action."""
    return {
        "asyncapi": VERSION,
        "info": {
            "title": f"actionbus ({wanted.prefix})",
            "version": version("actionbus"),
            "description": "Durable workflows on Kafka: every topic of the installation, its records and their roles.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPES[Encoding.AVRO],
        "servers": {"kafka": _server(server)},
        "channels": dict(_channels(wanted)),
        "operations": dict(_operations(wanted)),
        "components": {
            "schemas": dict(parts(wanted)),
            "messages": dict(messages(wanted, server.registry)),
        },
    }


def text(wanted: Wanted, server: Server = Server()) -> str:
    """The document as YAML."""
    return yaml.dump(document(wanted, server), Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def page() -> str:
    """docs/reference/asyncapi.yaml."""
    made = TopicSettings()
    return _DERIVED + text(
        Wanted(
            prefix=DEFAULT_PREFIX,
            actions=(),
            shards=made.shards,
            action_partitions=made.action_partitions,
            replication=made.replication_factor,
        )
    )


def main(arguments: Sequence[str]) -> None:
    """Write the document into the folder that is named."""
    Path(arguments[0], "asyncapi.yaml").write_text(page(), encoding="utf-8")


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice: aliases are hard to read, and some tools do not follow them."""

    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


def _server(server: Server) -> dict[str, Any]:
    made: dict[str, Any] = {
        "host": server.host,
        "protocol": server.protocol,
        "description": "The brokers of the installation.",
    }
    if server.registry is not None:
        registry = {"schemaRegistryUrl": server.registry, "schemaRegistryVendor": "confluent"}
        made["bindings"] = {"kafka": {**registry, "bindingVersion": BINDING}}
    return made


def _actions(wanted: Wanted, spec: TopicSpec) -> list[ActionSpec | None]:
    """The actions that a topic is made for; None for a topic of the installation, or of any action."""
    return list(wanted.actions) or [None] if spec.partitions == PER_ACTION else [None]


def _channels(wanted: Wanted) -> Iterator[tuple[str, Any]]:
    for spec in catalogue().topics:
        for action in _actions(wanted, spec):
            yield _channel_name(spec.role, action), _channel(wanted, spec, action)
    for topic, actions in emitted(wanted).items():
        yield (
            topic,
            {
                "address": topic,
                "description": f"Emitted by {', '.join(actions)}, exactly once for readers of committed records.",
                "messages": {"emitted": {"$ref": "#/components/messages/emitted"}},
                "bindings": {"kafka": {"topic": topic, "bindingVersion": BINDING}},
            },
        )


def _channel_name(role: TopicRole, action: ActionSpec | None) -> str:
    return str(role) if action is None else f"{role}.{action.id}"


def _channel(wanted: Wanted, spec: TopicSpec, action: ActionSpec | None) -> dict[str, Any]:
    open_name = spec.partitions == PER_ACTION and action is None
    address = spec.name.format(prefix=wanted.prefix, action=ANY_ACTION if action is None else action.id)
    per = {PER_SHARD: wanted.shards, PER_ACTION: wanted.action_partitions}
    partitions = spec.partitions if isinstance(spec.partitions, int) else per[spec.partitions]
    made: dict[str, Any] = {"address": address, "description": f"{spec.purpose} Key: {spec.key}."}
    if open_name:
        made["parameters"] = {"action": {"description": "The id of an action."}}
    named = _message_names(spec, action)
    made["messages"] = {name: {"$ref": f"#/components/messages/{name}"} for name in named}
    made["bindings"] = {
        "kafka": {
            **({} if open_name else {"topic": address}),
            "partitions": partitions,
            "replicas": wanted.replication,
            "topicConfiguration": {name: _setting(name, value) for name, value in spec.config.items()},
            "bindingVersion": BINDING,
        }
    }
    return made


def _setting(name: str, value: str) -> Any:
    if name == "cleanup.policy":
        return value.split(",")
    try:
        return float(value) if "." in value else int(value)
    except ValueError:
        return value


def _message_names(spec: TopicSpec, action: ActionSpec | None) -> list[str]:
    if spec.record is None:
        return ["dead-letter"]
    if action is not None:
        return [f"{spec.record}.{action.id}"]
    names = [spec.record, *_ALSO.get(spec.role, ())]
    return [*names, f"{spec.record}.json"] if spec.role in JSON_TOO else names


def _operations(wanted: Wanted) -> Iterator[tuple[str, Any]]:
    for part in PARTS:
        spec = catalogue().spec(part.role)
        for action in _actions(wanted, spec):
            channel = _channel_name(part.role, action)
            made: dict[str, Any] = {
                "action": part.does,
                "channel": {"$ref": f"#/channels/{_pointer(channel)}"},
                "summary": part.summary,
            }
            if part.group is not None:
                group = part.group.format(prefix=wanted.prefix, action=ANY_ACTION if action is None else action.id)
                known = (
                    {"type": "string", "pattern": ".*"} if ANY_ACTION in group else {"type": "string", "enum": [group]}
                )
                made["bindings"] = {"kafka": {"groupId": {**known, "description": group}, "bindingVersion": BINDING}}
            yield f"{part.who}.{part.does}.{channel}", made
    for topic in emitted(wanted):
        yield (
            f"orchestrator.emit.{topic}",
            {
                "action": "send",
                "channel": {"$ref": f"#/channels/{_pointer(topic)}"},
                "summary": "Publishes what an action asked for, in the transaction that accepts its result.",
            },
        )


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


if __name__ == "__main__":
    main(sys.argv[1:])
