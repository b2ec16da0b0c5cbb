"""Every setting of a process, in one tree.

Limits have their numbers in contracts/limits.py and are only overridden here. How the tree is read from variables and
secret files is in variables.py; what a part does with its settings is that part's business.
"""

import os
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

import structlog
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from actionbus.contracts import identifiers
from actionbus.contracts.errors import SettingsRefused
from actionbus.contracts.limits import Limits
from actionbus.kafka.codec import Codec
from actionbus.kafka.confluent import ConfluentFraming, Registry
from actionbus.kafka.connection import Connection, SaslMechanism, SecurityProtocol

PREFIX: Final = "ACTIONBUS_"
SECRETS_DIR: Final = "ACTIONBUS_SECRETS_DIR"
DEVELOPMENT_NONCE_KEY: Final = b"actionbus development key, known to everybody"
_SESSION_LEAST_MS: Final = 3_000  # three heartbeats to the group, which `kafka.clients` sends every second

_log = structlog.get_logger(__name__)


class LogLevel(StrEnum):
    """The least severe message that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How a log line looks."""

    AUTO = "auto"
    JSON = "json"
    CONSOLE = "console"


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class _Group(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KafkaSettings(_Group):
    """The connection to Kafka."""

    bootstrap_servers: Names = Field(
        default=("127.0.0.1:9092",), min_length=1, description="Brokers, `host:port,host:port`."
    )
    security_protocol: SecurityProtocol = Field(default="PLAINTEXT", description="Protection of the connection.")
    sasl_mechanism: SaslMechanism = Field(default="SCRAM-SHA-512", description="Used with a `SASL_` protocol.")
    sasl_username: str | None = Field(default=None, description="User of a `SASL_` protocol.")
    sasl_password: SecretStr | None = Field(default=None, description="Password of that user.")
    ssl_cafile: Path | None = Field(default=None, description="Certificates to trust; without it, those of the system.")
    ssl_certfile: Path | None = Field(default=None, description="The client's own certificate, for mutual TLS.")
    ssl_keyfile: Path | None = Field(default=None, description="The key of that certificate.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        sasl = self.security_protocol.startswith("SASL_")
        if sasl and (self.sasl_username is None or self.sasl_password is None):
            raise ValueError(f"{self.security_protocol} needs sasl_username and sasl_password")
        if not sasl and (self.sasl_username is not None or self.sasl_password is not None):
            raise ValueError(f"sasl_username and sasl_password need a SASL_ protocol, not {self.security_protocol}")
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            raise ValueError("ssl_certfile and ssl_keyfile belong together: give both or neither")
        return self

    def connection(self, client_id: str) -> Connection:
        """The connection these settings describe; brokers log and limit the client by its id."""
        return Connection(
            bootstrap_servers=",".join(self.bootstrap_servers),
            client_id=client_id,
            security_protocol=self.security_protocol,
            sasl_mechanism=self.sasl_mechanism,
            sasl_username=self.sasl_username,
            sasl_password=self.sasl_password,
            ssl_cafile=_text(self.ssl_cafile),
            ssl_certfile=_text(self.ssl_certfile),
            ssl_keyfile=_text(self.ssl_keyfile),
        )

    @property
    def loopback(self) -> bool:
        """Whether every bootstrap server is this machine itself."""
        return all(_is_loopback(server) for server in self.bootstrap_servers)


class RegistrySettings(_Group):
    """A schema registry that speaks Confluent's REST API, for installations that have one."""

    url: str | None = Field(
        default=None, description="Its address; with it records get Confluent's framing instead of Avro's own."
    )
    username: str | None = Field(default=None, description="User, where the registry asks for one.")
    password: SecretStr | None = Field(default=None, description="Password of that user.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both or neither")
        if self.username is not None and self.url is None:
            raise ValueError("a username and password need the url of the registry")
        return self

    def client(self) -> Registry | None:
        """A client of the registry, or None without one."""
        if self.url is None:
            return None
        password = None if self.password is None else self.password.get_secret_value()
        return Registry(self.url, username=self.username, password=password)

    def codec(self) -> Codec:
        """The codec of the installation: it reads every framing and writes the one that these settings choose."""
        registry = self.client()
        return Codec() if registry is None else Codec(ConfluentFraming(registry))


class HttpSettings(_Group):
    """Where probes and metrics are served."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; `0.0.0.0` in a container.")
    port: int = Field(
        default=9464, ge=0, le=65_535, description="Port of `/metrics`, `/live` and `/ready`; 0 takes a free one."
    )
    stall_seconds: float = Field(
        default=20, gt=0, description="`/live` fails when the event loop was stuck for longer."
    )


class LogSettings(_Group):
    """What is logged, and how."""

    level: Annotated[LogLevel, BeforeValidator(_lower)] = Field(
        default=LogLevel.INFO, description="Least severe level written."
    )
    format: LogFormat = Field(default=LogFormat.AUTO, description="`auto` is console on a terminal and JSON elsewhere.")


class NonceSettings(_Group):
    """The keys that bind a result to the command it answers. Only orchestrators need them, all of them the same."""

    current: SecretStr | None = Field(default=None, description="Key of new commands, 32 to 64 bytes of text.")
    previous: SecretStr | None = Field(default=None, description="Key still accepted while `current` is rolled out.")

    @field_validator("current", "previous")
    @classmethod
    def _strong(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not 32 <= len(key.get_secret_value().encode()) <= 64:  # noqa: PLR2004 - blake2b takes 64
            raise ValueError("a nonce key is 32 to 64 bytes of text, for example from `openssl rand -hex 32`")
        return key

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.previous is not None and self.current is None:
            raise ValueError("a previous nonce key needs a current one")
        return self


class TopicSettings(_Group):
    """How `actionbus topics apply` makes topics."""

    shards: int = Field(
        default=8, gt=0, le=1_000, description="Partitions of requests, results, state, events. Fixed for ever."
    )
    action_partitions: int = Field(default=8, gt=0, le=1_000, description="Partitions of an action's commands.")
    replication_factor: int = Field(
        default=3, gt=0, le=15, description="Copies of every partition; 1 only for one broker."
    )


class OrchestratorSettings(_Group):
    """The orchestrator."""

    session_timeout_ms: int = Field(
        default=8_000, ge=_SESSION_LEAST_MS, description="A silent orchestrator loses its shards after this."
    )
    group_instance_id: str | None = Field(default=None, description="Static membership, by choice; dynamic without it.")
    state_dir: Path = Field(
        default=Path(".actionbus/state"), description="Folder of the local cache; safe to delete when stopped."
    )
    run_retention_hours: float = Field(
        default=24, gt=0, description="A finished run stays in state, refusing its id, for this."
    )


class WorkerSettings(_Group):
    """The worker."""

    modules: Names = Field(default=(), description="Modules whose actions it performs, `pkg.signup,pkg.billing`.")
    concurrency: int = Field(default=100, gt=0, description="Most attempts of one action in progress at once.")
    session_timeout_ms: int = Field(
        default=10_000, ge=_SESSION_LEAST_MS, description="A silent worker loses its partitions after this."
    )
    group_instance_id: str | None = Field(
        default=None, description="Static membership: one name per process, which gets its partitions back at once."
    )
    accept_gap: bool = Field(
        default=False,
        description="Go on where commands were removed before they were read, instead of refusing to start.",
    )


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

    prefix: str = Field(default="actionbus", description="First part of every topic, group and transactional id.")
    grace_seconds: float = Field(
        default=25, gt=0, description="Time to finish work after SIGTERM; the process then ends with 3."
    )
    kafka: KafkaSettings = Field(default_factory=KafkaSettings)
    registry: RegistrySettings = Field(default_factory=RegistrySettings)
    http: HttpSettings = Field(default_factory=HttpSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    nonce: NonceSettings = Field(default_factory=NonceSettings)
    topics: TopicSettings = Field(default_factory=TopicSettings)
    orchestrator: OrchestratorSettings = Field(default_factory=OrchestratorSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
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


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _is_loopback(server: str) -> bool:
    host = server.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
