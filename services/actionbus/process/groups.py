"""Groups of settings: one for each part of an installation, with its defaults, its limits and what goes together.

How they make one tree, and where their values come from, is in settings.py and variables.py.
"""

from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from actionbus.kafka.codec import Codec
from actionbus.kafka.confluent import ConfluentFraming, Registry
from actionbus.kafka.connection import Connection, SaslMechanism, SecurityProtocol

_ROWS_LEAST_DAYS: Final = 8  # commands stay for 7 days, and ask for their rows as long as they may come again
_SESSION_LEAST_MS: Final = 3_000  # three heartbeats to the group, which `kafka.clients` sends every second


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
    stuck_after_seconds: float = Field(
        default=600, gt=0, description="A command waiting longer, while workers of its action answer, is a stuck run."
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
        description="Go on where commands are gone that were not read, removed or taken back, instead of refusing.",
    )
    rows_retention_days: int | None = Field(
        default=None,
        ge=_ROWS_LEAST_DAYS,
        description="Rows of inboxes and journals that are older are removed; longer than the longest run and its "
        "retention take, or its steps may happen twice. Empty: rows stay.",
    )


class VisibilitySettings(_Group):
    """The database of what people read: projectors write it, gateways ask it."""

    url: SecretStr = Field(
        default=SecretStr("sqlite:///.actionbus/visibility.db"),
        description="`postgresql://user:password@host/name`, or `sqlite:///path` on one machine; one per installation.",
    )


class GatewaySettings(_Group):
    """The gateway."""

    host: str = Field(default="127.0.0.1", description="Address of the API; `0.0.0.0` in a container.")
    port: int = Field(default=8080, ge=0, le=65_535, description="Port of the API; 0 takes a free one.")
    verdict_seconds: float = Field(
        default=10, gt=0, le=60, description="How long a request waits for its verdict before it is answered with 202."
    )
    body_bytes: int = Field(default=1_048_576, gt=0, description="Largest body of a request.")
    streams: int = Field(default=200, gt=0, description="Most event streams and waits for results at a time.")
    bulk_at_once: int = Field(default=20, gt=0, description="Requests of one bulk operation under way at once.")


class ProjectorSettings(_Group):
    """The projector."""

    batch_events: int = Field(default=8_000, gt=0, description="Most events written in one transaction.")
    session_timeout_ms: int = Field(
        default=10_000, ge=_SESSION_LEAST_MS, description="A silent projector loses its partitions after this."
    )
    group_instance_id: str | None = Field(default=None, description="Static membership, by choice; dynamic without it.")
    keep_runs_days: float = Field(
        default=90, gt=0, description="How long ended runs stay in the tables, with all rows."
    )
    keep_events_days: float = Field(default=90, gt=0, description="How long single events stay, of live runs as well.")
    keep_minutes_days: float = Field(default=7, gt=0, description="How long windows of a minute stay.")
    keep_hours_days: float = Field(default=90, gt=0, description="How long windows of an hour stay.")
    keep_days_days: float = Field(default=730, gt=0, description="How long windows of a day stay.")
    expire_rows: int = Field(default=2_000, gt=0, description="Most rows of one kind deleted in one transaction.")
    expire_seconds: float = Field(default=60, gt=0, description="How often it is looked for rows whose time is over.")
    window_names: int = Field(
        default=100,
        ge=0,
        description="Most workflows, and most actions, whose last windows are metrics: those with the most starts.",
    )
    window_seconds: float = Field(default=10, gt=0, description="How often these metrics are read from the tables.")


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
