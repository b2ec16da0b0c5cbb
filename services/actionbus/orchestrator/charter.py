"""What a shard is entrusted with for its whole life: where it stands, what it may use, the limits it keeps."""

from collections.abc import Callable
from dataclasses import dataclass

from actionbus.contracts import identifiers
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.orchestrator.clocks import Clock
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.destinations import Destinations
from actionbus.orchestrator.log import Log
from actionbus.orchestrator.store import MemoryShelf, Shelf
from actionbus.process.tracing import SILENT, Spans

SOURCE = "orchestrator"  # ce_source of what a shard writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """The fixed surroundings of one shard; nothing in it is memory of runs."""

    shard: int
    partitions: int
    owner: str
    topics: Topics
    log: Log
    clock: Clock
    codec: Codec
    definitions: Definitions
    destinations: Destinations
    nonce_key: bytes
    previous_nonce_key: bytes | None = None
    limits: Limits = DEFAULT_LIMITS
    open_shelf: Callable[[], Shelf] = MemoryShelf
    publish_within_ms: int = 8_000
    tombstones_ms: int = 86_400_000  # for how long the state topic keeps them: its delete.retention.ms
    reconcile_after_ms: int = 60_000
    spans: Spans = SILENT

    def nonce(self, command_id: str) -> str:
        """The nonce of a command that goes out now."""
        return identifiers.nonce(self.nonce_key, command_id)

    def genuine(self, command_id: str, nonce: str) -> bool:
        """Whether a result carries the nonce of its command, under the current key or the one before."""
        if nonce == identifiers.nonce(self.nonce_key, command_id):
            return True
        previous = self.previous_nonce_key
        return previous is not None and nonce == identifiers.nonce(previous, command_id)
