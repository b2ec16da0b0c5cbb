"""Foreign commands of a size that no answer and no dead letter could have: each costs one letter, never its partition."""

import pytest

from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.kafka.admin import Admin
from actionbus.kafka.codec import to_json
from actionbus.sdk.action import Action
from worker.station import Station

NEARLY_A_RECORD = 349_300  # times three bytes: with the words of a dead letter it is more than a batch
BOMBS = {
    "very many headers": (("a", b""),) * NEARLY_A_RECORD,
    "a name that is no ASCII": (("\ufffd" * NEARLY_A_RECORD, b""),),
    "one header of a mebibyte": (("a", b"x" * 3 * NEARLY_A_RECORD),),
}


def _action() -> Action:
    async def work() -> str:
        return "done"

    return Action(id="work", execute=work)


@pytest.mark.parametrize("bomb", BOMBS)
async def test_headers_that_fit_no_letter_are_left_out_of_it(connection, prefix, bomb):
    """A letter is measured as Kafka measures it: it loses the headers and says so, and the next command is done."""
    action = _action()
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        await station.send_bytes(action.id, b"nonsense", headers=BOMBS[bomb])
        await station.send(station.command(action))
        (answer,) = await station.results(1)
        await station.commits(action, p0=2)
        (letter,) = await station.dead_letters(action)
    assert answer.kind is ResultKind.SUCCEEDED
    assert letter.value == b"nonsense"
    assert len(letter.headers) < 20
    assert letter.header("actionbus-dlq-truncated") is not None


@pytest.mark.parametrize("field", ["command_id", "nonce"])
@pytest.mark.parametrize("encoding", ["avro", "json", "no command"])
async def test_a_command_with_ids_that_no_answer_could_repeat_is_set_aside(connection, prefix, field, encoding):
    """An answer repeats ids several times, so one that fits a record may have an answer that fits none."""
    action = _action()
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        run = "r" * 250_000 if field == "command_id" else "r"
        ids = {"run_id": run, "step_key": f"{run}:2s/step", "command_id": f"{run}:2s/step/1"}
        bad = station.command(action, **ids, nonce="n" * 990_000 if field == "nonce" else "n")
        if encoding == "no command":
            bad = bad.replace(action="another")
        value = station.codec.encode(bad) if encoding == "avro" else to_json(bad)
        await station.send_bytes(action.id, value)
        await station.send(station.command(action))
        (answer,) = await station.results(1)
        await station.commits(action, p0=2)
        (letter,) = await station.dead_letters(action)
    assert (answer.run_id, answer.kind) == ("r-1", ResultKind.SUCCEEDED)
    assert letter.value == value


@pytest.mark.java
async def test_a_letter_that_its_topic_does_not_take_is_kept_without_its_value(apache_kafka, prefix):
    """Somebody lowered the limit of the topic: the place of the record is kept all the same, and its partition goes on."""
    from actionbus.kafka.connection import Connection

    action, connection = _action(), Connection(bootstrap_servers=apache_kafka.bootstrap, client_id="test")
    async with Station(connection, prefix, action, partitions=1) as station, station.worker():
        async with Admin(connection) as admin:
            narrow = {"max.message.bytes": "50000"}
            await admin.alter_topics({station.topics.action_dead_letters(action.id): narrow})
        await station.send_bytes(action.id, b"x" * 60_000)
        await station.send(station.command(action))
        results: list[ActionResult] = await station.results(1)
        await station.commits(action, p0=2)
        (letter,) = await station.dead_letters(action)
    assert [each.kind for each in results] == [ResultKind.SUCCEEDED]
    assert letter.value is None
    assert letter.header("actionbus-dlq-original-offset") == b"0"
