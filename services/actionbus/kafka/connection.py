"""Where the cluster is and how this process proves who it is. One value, passed to every client; it opens nothing."""

import ssl
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from actionbus.contracts.errors import SettingsRefused

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
_DEFAULT_CLIENT: Final = "actionbus"


class Connection(BaseModel):
    """The address of a Kafka cluster and the credentials for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap_servers: str = Field(description="One or more host:port, separated by commas.")
    client_id: str = Field(_DEFAULT_CLIENT, description="The name by which brokers log and limit this client.")
    security_protocol: SecurityProtocol = Field("PLAINTEXT", description="How connections are secured.")
    sasl_mechanism: SaslMechanism = Field("PLAIN", description="How the user proves its name.")
    sasl_username: str | None = Field(None, description="User name for SASL.")
    sasl_password: SecretStr | None = Field(None, description="Password for SASL.")
    ssl_cafile: str | None = Field(None, description="Certificates of the authorities to trust; the system's if none.")
    ssl_certfile: str | None = Field(None, description="Certificate of this client, for mutual TLS.")
    ssl_keyfile: str | None = Field(None, description="Private key of that certificate.")

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that every aiokafka client takes; raises SettingsRefused when parts are missing."""
        values: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "security_protocol": self.security_protocol,
            "ssl_context": self._ssl_context(),
        }
        if self.security_protocol.startswith("SASL_"):
            if self.sasl_username is None or self.sasl_password is None:
                raise SettingsRefused(f"{self.security_protocol} needs a SASL user name and a password")
            values["sasl_mechanism"] = self.sasl_mechanism
            values["sasl_plain_username"] = self.sasl_username
            values["sasl_plain_password"] = self.sasl_password.get_secret_value()
        return values

    def _ssl_context(self) -> ssl.SSLContext | None:
        if not self.security_protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ssl_cafile)
            if self.ssl_certfile is not None:
                context.load_cert_chain(self.ssl_certfile, self.ssl_keyfile)
        except (OSError, ssl.SSLError) as error:
            raise SettingsRefused(f"the TLS files cannot be used: {error}") from error
        return context
