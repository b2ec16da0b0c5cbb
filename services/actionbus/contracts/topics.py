"""The topics of an installation: a typed reader of ``topics/catalogue.yaml``, the one place that names them."""

from enum import StrEnum
from functools import cache
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from actionbus.contracts import resources


class TopicRole(StrEnum):
    """What a topic is for; the word the code says instead of a name."""

    REQUESTS = "workflow.requests"
    RESULTS = "workflow.results"
    STATE = "workflow.state"
    EVENTS = "workflow.events"
    DEFINITIONS = "workflow.definitions"
    DEAD_LETTERS = "workflow.dead-letters"
    CONTROL = "worker.control"
    COMMANDS = "action.commands"
    ACTION_DEAD_LETTERS = "action.dead-letters"


PER_SHARD: Final = "shards"  # as many partitions as the installation has shards
PER_ACTION: Final = "action"  # one topic for each action, with a number of partitions of its own


class TopicSpec(BaseModel):
    """One entry of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: TopicRole
    name: str = Field(description="With {prefix} and, for topics of an action, {action}.")
    purpose: str
    key: str
    record: str | None = Field(description="The schema of its values; null: bytes as they were found.")
    partitions: Literal["shards", "action"] | int = Field(description="A number, or shards, or action.")
    config: dict[str, str]


class Catalogue(BaseModel):
    """All topics, whether of the installation or of an action."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topics: tuple[TopicSpec, ...]

    def spec(self, role: TopicRole) -> TopicSpec:
        """The entry of a role."""
        return next(each for each in self.topics if each.role is role)


@cache
def catalogue() -> Catalogue:
    """The catalogue of this version of actionbus."""
    return Catalogue.model_validate(yaml.safe_load(resources.read("topics", "catalogue.yaml")))


DEFAULT_PREFIX: Final = "actionbus"


class Topics:
    """The names of one installation's topics."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        self.prefix = prefix
        self.requests = self._of(TopicRole.REQUESTS)
        self.results = self._of(TopicRole.RESULTS)
        self.state = self._of(TopicRole.STATE)
        self.events = self._of(TopicRole.EVENTS)
        self.definitions = self._of(TopicRole.DEFINITIONS)
        self.dead_letters = self._of(TopicRole.DEAD_LETTERS)
        self.control = self._of(TopicRole.CONTROL)

    def _of(self, role: TopicRole, action: str = "") -> str:
        return catalogue().spec(role).name.format(prefix=self.prefix, action=action)

    def commands(self, action: str) -> str:
        """The topic of an action's commands."""
        return self._of(TopicRole.COMMANDS, action)

    def action_dead_letters(self, action: str) -> str:
        """The topic of commands that an action's workers could not read."""
        return self._of(TopicRole.ACTION_DEAD_LETTERS, action)

    def owns(self, topic: str) -> bool:
        """Whether a topic belongs to the installation itself: nobody may emit to it."""
        return topic.startswith(f"{self.prefix}.")

    @property
    def orchestrator_group(self) -> str:
        """The consumer group whose members own the shards."""
        return f"{self.prefix}.orchestrator"

    @property
    def projector_group(self) -> str:
        """The consumer group of the projectors."""
        return f"{self.prefix}.projector"

    def worker_group(self, action: str) -> str:
        """The consumer group of an action's workers."""
        return f"{self.prefix}.action.{action}"

    def transactional_id(self, shard: int, slot: str) -> str:
        """One of the two transactional ids of a shard; slot is a or b."""
        return f"{self.prefix}.shard.{shard}.{slot}"
