"""Where a shard stands: the one position record of each partition of the state topic."""

from pydantic import Field

from actionbus.contracts.model import Record


class ShardPosition(Record):
    """The last thing a transaction of a shard writes. Its key is ``!position``, its partition explicit."""

    partitions: int = Field(description="The number of shards; an orchestrator that finds another refuses to start.")
    requests_offset: int = Field(description="The next request to read.")
    results_offset: int = Field(description="The next result to read.")
    txn_seq: int = Field(description="Counts the shard's transactions from 1.")
    dispatched_through: int = Field(description="Every command of transactions up to this one is published.")
    latest_time: int = Field(
        description="The latest broker time the shard has seen, epoch milliseconds; never goes back."
    )
    owner: str = Field(default="", description="Who wrote it; information only.")
