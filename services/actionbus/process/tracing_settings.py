"""What can be set of traces beside the standard ``OTEL_`` variables, which say where they go and which are kept."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class TracingSettings(BaseModel):
    """Traces, by OpenTelemetry."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    enabled: bool = Field(
        default=False, description="Send spans to `OTEL_EXPORTER_OTLP_ENDPOINT`; needs the extra `otel`."
    )
    flush_seconds: float = Field(
        default=2, ge=0, description="How long the end of a process waits for its last spans to be sent."
    )
