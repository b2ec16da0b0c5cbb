"""Every setting of a process, in one tree.

Limits have their numbers in contracts/limits.py and are only overridden here. How the tree is read from variables and
secret files is in variables.py; what a part does with its settings is that part's business.
"""

import os
from typing import Any, Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from actionbus.contracts import identifiers
from actionbus.contracts.errors import SettingsRefused
from actionbus.contracts.limits import Limits
from actionbus.process.groups import (
    GatewaySettings,
    HttpSettings,
    KafkaSettings,
    LogSettings,
    NonceSettings,
    OrchestratorSettings,
    ProjectorSettings,
    RegistrySettings,
    TopicSettings,
    VisibilitySettings,
    WorkerSettings,
)
from actionbus.process.tracing_settings import TracingSettings

PREFIX: Final = "ACTIONBUS_"
SECRETS_DIR: Final = "ACTIONBUS_SECRETS_DIR"
DEVELOPMENT_NONCE_KEY: Final = b"actionbus development key, known to everybody"

_log = structlog.get_logger(__name__)


class NonceKeys(BaseModel):
    """The nonce keys as bytes."""

    model_config = ConfigDict(frozen=True)

    current: bytes = Field(repr=False)
    previous: bytes | None = Field(default=None, repr=False)


class Settings(BaseSettings):
    """Everything that can be set, with its default."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="_",
        env_nested_max_split=1,
        hide_input_in_errors=True,
        secrets_dir_missing="error",
        secrets_dir=None,
    )

    url: str | None = Field(
        default=None, description="A gateway that commands ask in place of Kafka, such as http://127.0.0.1:8080."
    )
    prefix: str = Field(default="actionbus", description="First part of every topic, group and transactional id.")
    grace_seconds: float = Field(
        default=25, gt=0, description="Time to finish work after SIGTERM; the process then ends with 3."
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    nonce: NonceSettings = Field(default_factory=NonceSettings)
    topics: TopicSettings = Field(default_factory=TopicSettings)
    orchestrator: OrchestratorSettings = Field(default_factory=OrchestratorSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    visibility: VisibilitySettings = Field(default_factory=VisibilitySettings)
    gateway: GatewaySettings = Field(default_factory=GatewaySettings)
    projector: ProjectorSettings = Field(default_factory=ProjectorSettings)
    limits: Limits = Field(default_factory=Limits)
    store: dict[str, SecretStr] = Field(
        default_factory=dict[str, SecretStr], description="Database of a store; `USER_DB` names the store `user-db`."
    )

    @field_validator("prefix")
    @classmethod
    def _prefix_grammar(cls, value: str) -> str:
        return identifiers.name("prefix", value)

    @field_validator("store", mode="before")
    @classmethod
    def _store_names(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError("name each store: ACTIONBUS_STORE_<NAME>_URL")  # noqa: TRY004 - pydantic wants ValueError
        return dict(_store_entry(name, url) for name, url in value.items())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then secret files; no dotenv, which the shell or the container already reads."""
        del settings_cls, dotenv_settings
        folder = os.environ.get(SECRETS_DIR) or None
        return init_settings, env_settings, NestedSecretsSettingsSource(file_secret_settings, secrets_dir=folder)

    def nonce_keys(self) -> NonceKeys:
        """The keys in force.

        Without one, the development key serves a broker on this machine, with a warning; anywhere else
        SettingsRefused is raised, because whoever knows the key can answer commands that were not sent to him.
        """
        if self.nonce.current is None:
            if not self.kafka.loopback:
                raise SettingsRefused(
                    "no nonce key: set ACTIONBUS_NONCE_CURRENT, the same in all orchestrators of this installation "
                    "(32 to 64 bytes, for example from `openssl rand -hex 32`)"
                )
            _log.warning("the development nonce key is in use: anyone can forge results; set ACTIONBUS_NONCE_CURRENT")
            return NonceKeys(current=DEVELOPMENT_NONCE_KEY)
        previous = self.nonce.previous
        return NonceKeys(
            current=self.nonce.current.get_secret_value().encode(),
            previous=None if previous is None else previous.get_secret_value().encode(),
        )


def _store_entry(name: str, url: Any) -> tuple[str, Any]:
    return identifiers.name("store", name.lower().removesuffix("_url").replace("_", "-")), url
