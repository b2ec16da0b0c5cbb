"""The requests of aiokafka's catalogue that are missing there: changing some settings of a topic and no others."""

from typing import Any, Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Int8, Int16, Int32, Schema, String

TOPIC: Final = 2  # resource types, as ConfigResource.Type in Kafka's source
BROKER: Final = 4
SET: Final = 0  # operation, as AlterConfigOp.OpType
_TEXT: Final = String("utf-8")


class _AlteredV0(Response):
    API_KEY = 44  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as the library does it
    API_VERSION = 0  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - the same
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("responses", Array(("code", Int16), ("message", _TEXT), ("resource_type", Int8), ("resource_name", _TEXT))),
    )


class _AlterV0(RequestStruct):
    API_KEY = 44
    API_VERSION = 0
    RESPONSE_TYPE = _AlteredV0
    SCHEMA = Schema(
        (
            "resources",
            Array(
                ("resource_type", Int8),
                ("resource_name", _TEXT),
                ("configs", Array(("name", _TEXT), ("operation", Int8), ("value", _TEXT))),
            ),
        ),
        ("validate_only", Boolean),
    )


class IncrementalAlterConfigs(Request[_AlterV0]):
    """Set single settings of topics; what is not named stays (KIP-339)."""

    API_KEY = 44

    def __init__(self, settings: dict[str, dict[str, str]]) -> None:
        self._settings = settings

    def build(self, request_struct_class: type[_AlterV0]) -> _AlterV0:
        """The request as the broker reads it."""
        resources: list[tuple[Any, ...]] = [
            (TOPIC, topic, [(name, SET, value) for name, value in settings.items()])
            for topic, settings in self._settings.items()
        ]
        return request_struct_class(resources, False)
