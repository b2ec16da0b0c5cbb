"""Answers by token: what a client writes for whoever holds one, and what it refuses to write."""

import pytest

from actionbus.client import Client
from actionbus.contracts import identifiers, tokens
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.results import ActionError, ActionResult, ResultKind
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.reader import PartitionReader
from client.answering import SHARDS

ID = "signup-1:2s/ask/2"
NONCE = identifiers.nonce(b"key", ID)
TOKEN = tokens.write(ID, NONCE)


@pytest.fixture
async def results(connection: Connection, prefix: str):
    """Reads the results that were written to the shard of the run."""
    async with PartitionReader(connection) as reader:

        async def read() -> list[ActionResult]:
            place = (Topics(prefix).results, partition_for(b"signup-1", SHARDS))
            return [
                Codec().decode(ActionResult, each.value) async for page in reader.read_to_end(*place) for each in page
            ]

        yield read


async def test_an_answer_is_written_as_a_worker_would(client: Client, results) -> None:
    """To the shard of the run, with the proof that the token holds, and the word that no worker gave it."""
    await client.heartbeat_step(TOKEN, {"asked": 2})
    await client.heartbeat_step(TOKEN)
    await client.fail_step(TOKEN, "Refused", "the manager says no", retryable=False, details={"why": "budget"})
    await client.complete_step(TOKEN, {"approved": True})
    written = await results()
    assert {(each.command_id, each.step_key, each.run_id, each.nonce, each.by_token) for each in written} == {
        (ID, "signup-1:2s/ask", "signup-1", NONCE, True)
    }
    assert [each.kind for each in written] == [
        ResultKind.HEARTBEAT,
        ResultKind.HEARTBEAT,
        ResultKind.FAILED,
        ResultKind.SUCCEEDED,
    ]
    assert [each.details for each in written[:2]] == [b'{"asked":2}', None]
    assert written[2].error == ActionError(
        type="Refused", message="the manager says no", retryable=False, details=b'{"why":"budget"}'
    )
    assert written[3].output == b'{"approved":true}'


@pytest.mark.parametrize("verb", ["complete_step", "fail_step", "heartbeat_step"])
async def test_what_is_no_token_is_refused(client: Client, results, verb: str) -> None:
    """Nothing is written for a text that cannot be one."""
    with pytest.raises(IdentifierRefused, match="whole and unchanged"):
        await getattr(client, verb)(TOKEN[:-1], "Broken")
    assert await results() == []


async def test_what_cannot_be_an_answer_is_refused(client: Client, results) -> None:
    """No JSON, more of it than is taken, a failure without a name."""
    with pytest.raises(PayloadRefused, match="JSON"):
        await client.complete_step(TOKEN, object())
    with pytest.raises(PayloadRefused, match="are allowed"):
        await client.complete_step(TOKEN, "x" * 300_000)
    with pytest.raises(PayloadRefused, match="are allowed"):
        await client.heartbeat_step(TOKEN, "x" * 5_000)
    with pytest.raises(PayloadRefused, match="no error type"):
        await client.fail_step(TOKEN, "not a name")
    with pytest.raises(PayloadRefused, match="are allowed"):
        await client.fail_step(TOKEN, "Broken", "x" * 5_000)
    assert await results() == []
