"""Every limit of the product, with its unit in its name. Settings may override them; nothing hard-codes another."""

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """The limits in force in one process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payload_bytes: int = Field(
        default=262_144, gt=0, description="Largest JSON payload carried inside a record: input, output."
    )
    state_bytes: int = Field(default=524_288, gt=0, description="Largest state record of one run.")
    batch_bytes: int = Field(
        default=1_048_576, gt=0, description="Largest record batch; one fold fits one batch of its partition."
    )
    record_bytes: int = Field(
        default=1_000_000, gt=0, description="Largest single record, below the broker's message.max.bytes."
    )
    fold_inputs: int = Field(default=2_000, gt=0, description="Most inputs folded into one transaction.")
    fetch_bytes: int = Field(default=4_194_304, gt=0, description="Most bytes fetched from one partition at a time.")
    command_wait_ms: int = Field(
        default=3_600_000,
        gt=0,
        description="How long a command of an action without an inbox may wait for a worker. Whoever finds it later "
        "refuses it, and it is sent anew: so it cannot be carried out long after its step was undone.",
    )
    live_steps: int = Field(default=10_000, gt=0, description="Most live steps of one run.")
    map_items: int = Field(default=10_000, gt=0, description="Most items that one map goes through.")
    map_concurrency: int = Field(default=1_000, gt=0, description="Most items of one map under way at the same time.")
    moves_per_transition: int = Field(
        default=2_000,
        gt=0,
        description="Nodes that one transition goes through before a loop has to let other runs go on, some 20 ms.",
    )
    signals_buffered: int = Field(default=100, ge=0, description="Most signals of one run that nothing waits for yet.")
    child_depth: int = Field(default=32, gt=0, description="Most runs that stand above one, each waiting for the next.")
    schedule_firings: int = Field(
        default=100, gt=0, description="Most runs that a schedule starts in one transition; more follow in the next."
    )
    schedule_times: int = Field(
        default=500,
        gt=0,
        description="Most times that a schedule looks at in one transition, some 20 ms; of missed ones no more are "
        "counted.",
    )
    requests_kept: int = Field(
        default=50, ge=0, description="Ids of requests that a run remembers, so that none is carried out twice."
    )
    emits_per_result: int = Field(default=100, ge=0, description="Most records one result may emit.")
    heartbeat_bytes: int = Field(
        default=4_096, gt=0, description="Most JSON that a heartbeat says of how far an attempt came."
    )
    error_message_bytes: int = Field(default=4_096, gt=0, description="Longest error message kept of a failed attempt.")
    decisions_kept: int = Field(
        default=16, ge=0, description="Decisions kept in a run's state; all of them are in its events."
    )
    answers_kept: int = Field(
        default=16,
        ge=0,
        description="Steps of a run that took more than one attempt of which it is kept what was accepted.",
    )
    commit_metadata_bytes: int = Field(default=4_096, gt=0, description="The broker's offset.metadata.max.bytes.")
    remembered_results: int = Field(
        default=10_000, ge=0, description="Finished results a worker keeps to answer duplicates."
    )
    command_crashes: int = Field(
        default=5,
        gt=2,
        description="Workers that may be killed while they are at work on one command, before it is set aside.",
    )
    identical_doubts: int = Field(default=3, gt=0, description="Identical failures of one batch before it is bisected.")
    graph_bytes: int = Field(default=524_288, gt=0, description="Largest canonical graph of one definition.")
    graph_nodes: int = Field(default=10_000, gt=0, description="Most nodes of one definition.")
    graph_depth: int = Field(default=32, gt=0, description="Deepest nesting of one definition.")


DEFAULT_LIMITS = Limits()
