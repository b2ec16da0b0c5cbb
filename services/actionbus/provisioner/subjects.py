"""The schemas of an installation in a schema registry: under their records' names, and under its topics'."""

from collections.abc import Iterable

from actionbus.contracts import schemas, topics
from actionbus.contracts.model import Record
from actionbus.contracts.topics import TopicRole
from actionbus.kafka.confluent import Registry, subject_of


def subjects(prefix: str, actions: Iterable[str]) -> dict[str, type[Record]]:
    """Every subject with its record: one named like each record, and ``<topic>-value`` where a topic holds one kind.

    The first are those that services look their ids up by; the others are where tools look for a topic's schema.
    """
    models = {model.__name__: model for model in schemas.MODELS}
    found: dict[str, type[Record]] = {subject_of(model): model for model in schemas.MODELS}
    for spec in topics.catalogue().topics:
        if spec.record is None or spec.role is TopicRole.STATE:  # state holds runs and positions
            continue
        for action in sorted(set(actions)) if spec.partitions == topics.PER_ACTION else [""]:
            found[f"{spec.name.format(prefix=prefix, action=action)}-value"] = models[spec.record]
    return found


def register(registry: Registry, wanted: dict[str, type[Record]]) -> dict[str, int]:
    """Write the schemas; the ids by subject. What is there stays as it is.

    Raises Conflict when the registry holds something that this version's schema cannot read.
    """
    return {subject: registry.register(subject, schemas.raw(model)) for subject, model in wanted.items()}
