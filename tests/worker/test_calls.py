"""Calls over HTTP: one effect for each key at a peer that keeps its own books, or a doubt that a person settles."""

import asyncio
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts import payloads
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.results import ResultKind
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.worker import calls
from actionbus.worker.outcomes import Done, Failed, InDoubt
from support.mutation import mutated
from worker.calls_app import charge
from worker.carrying import carried_out
from worker.peer import Mood, Peer
from worker.processes import killed, worker_process
from worker.station import Station, until

KEY = "r-1:2s/pay"


@pytest.fixture
async def peer():
    """The other side."""
    async with Peer() as running:
        yield running


@pytest.fixture
def perform(stores):
    """Carries out one attempt as a lane does it; each time the code runs from its beginning."""

    async def performed(code, attempt=1, **options):
        action = Action(id="call", execute=code, effect="http", **options)
        return await carried_out(stores["default"], action, attempt=attempt)

    return performed


@pytest.fixture
def impatient(monkeypatch):
    """Attempts give a peer up at once."""
    monkeypatch.setattr(calls, "RESEND_SECONDS", 0.0)


@pytest.fixture
def older(database_url):
    """Lets so many milliseconds pass for what stands in the journal."""

    async def made_older(ms):
        engine = create_async_engine(database_url)
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE actionbus_journal SET created_at = created_at - :ms"), {"ms": ms})
        await engine.dispose()

    return made_older


def posting(peer, amount=5, **more):
    """Code that makes one call and gives its answer."""

    async def post(ctx: ActionContext) -> int:
        answer = await ctx.http.post(peer.url, json={"amount": amount}, **more)
        answer.raise_for_status()
        return answer.json()["charge"]

    return post


async def test_a_call_is_made_once_however_often_the_code_runs(perform, peer):
    """What was answered is answered from the journal, also to later attempts: the peer is asked once."""
    for attempt in (1, 1, 2):
        assert await perform(posting(peer), attempt) == Done(output=b"1")
    assert peer.requests == [(KEY, b'{"amount":5}')]


async def test_calls_of_one_action_have_keys_of_their_own(perform, peer):
    """The first has the step key, the next ones count in the order of the calls."""

    async def post_three(ctx: ActionContext) -> list[int]:
        return [(await ctx.http.post(peer.url, json={"n": n})).json()["charge"] for n in range(3)]

    assert await perform(post_three) == Done(output=b"[1,2,3]")
    assert [key for key, _ in peer.requests] == [KEY, f"{KEY}#2", f"{KEY}#3"]
    assert await perform(post_three) == Done(output=b"[1,2,3]")
    assert len(peer.requests) == 3


async def test_a_key_that_is_too_long_is_sent_as_its_digest(perform, peer, monkeypatch):
    """Peers take keys up to a length."""
    monkeypatch.setattr(calls, "KEY_CHARACTERS", 5)
    await perform(posting(peer))
    assert len(peer.requests[0][0]) == 64


@pytest.mark.parametrize("mood", [Mood.CUT_BEFORE, Mood.CUT_AFTER])
async def test_a_connection_that_is_cut_is_asked_again_with_the_same_bytes(perform, peer, mood):
    """Nobody knows whether the request arrived; its key makes that harmless."""
    peer.moods.append(mood)
    assert await perform(posting(peer)) == Done(output=b"1")
    assert peer.requests == [(KEY, b'{"amount":5}')] * 2
    assert peer.effects == {KEY: 1}


async def test_what_is_in_progress_is_waited_for(perform, peer):
    """A peer that is still at work says 409 to the same key, until it has the answer."""
    peer.moods.append(Mood.WORK)
    performing = asyncio.create_task(perform(posting(peer)))
    await until(lambda: len(peer.requests) >= 3)
    assert not performing.done()
    peer.finish()
    assert await performing == Done(output=b"1")
    assert peer.effects == {KEY: 1}


@pytest.mark.usefixtures("impatient")
async def test_what_stays_in_progress_fails_the_attempt_and_the_next_one_goes_on(perform, peer):
    """An attempt has its time; the key is still the same."""
    peer.moods.append(Mood.WORK)
    assert (await perform(posting(peer))).error.type == "PeerUnavailable"
    answer = await perform(posting(peer), 2)
    assert (answer.error.type, answer.error.retryable) == ("StillInProgress", True)
    peer.finish()
    assert await perform(posting(peer), 3) == Done(output=b"1")
    assert peer.effects == {KEY: 1}


async def test_a_first_request_that_conflicts_is_the_codes_affair(perform, peer):
    """Nothing of this key can be in progress: the peer means something else."""
    peer._working.add(KEY)
    answer = await perform(posting(peer))
    assert (type(answer), answer.error.type, len(peer.requests)) == (Failed, "HTTPStatusError", 1)


@pytest.mark.parametrize("mood", [Mood.FAIL, Mood.REFUSE])
async def test_an_answer_of_failure_is_that_of_its_attempt_only(perform, peer, mood):
    """The same attempt hears it again after a crash; the next one asks the peer, under the same key."""
    peer.moods.append(mood)
    for _ in range(2):
        assert (await perform(posting(peer))).error.type == "HTTPStatusError"
    assert len(peer.requests) == 1
    assert await perform(posting(peer), 2) == Done(output=b"1")
    assert peer.requests == [(KEY, b'{"amount":5}')] * 2


async def test_a_failure_that_the_peer_saved_stays_under_the_key_of_the_step(perform, peer):
    """That is the contract of such a peer, and a later attempt hears it from the peer."""
    peer.moods.append(Mood.FAIL_SAVED)
    for attempt in (1, 2):
        assert (await perform(posting(peer), attempt)).error.type == "HTTPStatusError"
    assert (len(peer.requests), peer.effects) == (2, {})


async def test_a_new_key_for_each_attempt_would_do_it_twice(perform, peer, impatient):
    """The key is that of the step: with one for each attempt, what the first did without an answer happens again."""
    del impatient
    peer.moods.append(Mood.CUT_AFTER)
    rule = ("            base = command.step_key\n", "            base = command.command_id\n")
    with mutated("actionbus.worker.calls", rule):
        for attempt in (1, 2):
            await perform(posting(peer), attempt)
    assert peer.effects.total() == 2


async def test_attempts_with_keys_of_their_own_get_past_a_saved_failure(perform, peer):
    """Declared for peers that save failures: a new attempt is a new request."""
    peer.moods.append(Mood.FAIL_SAVED)
    assert (await perform(posting(peer), key="attempt")).error.type == "HTTPStatusError"
    assert await perform(posting(peer), 2, key="attempt") == Done(output=b"1")
    assert [key for key, _ in peer.requests] == [f"{KEY}/1", f"{KEY}/2"]


@pytest.mark.usefixtures("impatient")
async def test_with_keys_of_their_own_attempts_end_in_doubt(perform, peer):
    """Where a request may have arrived, another attempt could do it again: a person looks."""
    peer.moods.append(Mood.CUT_AFTER)
    answer = await perform(posting(peer), key="attempt")
    assert (type(answer), answer.error.type) == (InDoubt, "OutcomeUnknown")
    assert peer.effects == {f"{KEY}/1": 1}


@pytest.mark.usefixtures("impatient")
async def test_a_peer_that_is_away_fails_the_attempt(perform, peer):
    """What was never sent is no doubt, whatever the keys are made of."""
    peer.close()
    answer = await perform(posting(peer), key="attempt")
    assert (type(answer), answer.error.type, answer.error.retryable) == (Failed, "PeerUnavailable", True)


@pytest.mark.usefixtures("impatient")
async def test_a_request_that_differs_from_the_journal_is_refused(perform, peer):
    """In its body, its address or its headers; nothing is sent, and no other attempt would help."""
    peer.moods.append(Mood.CUT_BEFORE)
    await perform(posting(peer))
    for other in (
        posting(peer, amount=6),
        posting(peer, headers={"Stripe-Account": "b"}),
        posting(peer, params={"a": 1}),
    ):
        answer = await perform(other, 2)
        assert (answer.error.type, answer.error.retryable) == ("RequestChanged", False)
        assert "random values" in answer.error.message
    assert len(peer.requests) == 1


@pytest.mark.usefixtures("impatient")
async def test_what_is_secret_or_of_one_attempt_may_differ(perform, peer, stores):
    """Tokens expire and traces are new each time; neither is kept."""
    peer.moods.append(Mood.CUT_BEFORE)
    await perform(posting(peer, headers={"Authorization": "Bearer swordfish", "X-Api-Key": "tuna", "Traceparent": "1"}))
    later = posting(peer, headers={"Authorization": "Bearer salmon", "X-Api-Key": "cod", "Traceparent": "2"})
    assert await perform(later, 2) == Done(output=b"1")
    async with stores["default"].engine.connect() as connection:
        kept = str((await connection.execute(text("SELECT * FROM actionbus_journal"))).all())
    assert not any(secret in kept for secret in ("swordfish", "salmon", "tuna"))


@pytest.mark.usefixtures("impatient")
async def test_code_that_swallows_a_doubt_does_not_hide_it(perform, peer):
    """The attempt ends as its call did."""

    async def careless(ctx: ActionContext) -> str:
        with suppress(Exception):
            await ctx.http.post(peer.url)
        return "all is well"

    peer.moods.append(Mood.CUT_AFTER)
    assert isinstance(await perform(careless, key="attempt"), InDoubt)


@pytest.mark.usefixtures("impatient")
async def test_after_the_window_nothing_is_sent_again(perform, peer, older):
    """The peer has forgotten the key, and would do it a second time: a doubt, until somebody orders another attempt."""
    peer.moods.append(Mood.CUT_AFTER)
    await perform(posting(peer), window="1h")
    peer.forget()
    await older(3_600_001)
    for _ in range(2):
        answer = await perform(posting(peer), 2, window="1h")
        assert (type(answer), answer.error.type) == (InDoubt, "OutcomeUnknown")
    assert (len(peer.requests), peer.effects) == (1, {KEY: 1})
    assert await perform(posting(peer), 3, window="1h") == Done(output=b"2")  # an operator has looked, and wants it


async def test_a_pause_that_leads_beyond_the_window_ends_in_doubt(perform, peer, monkeypatch):
    """Within one attempt as well: what matters is when the request would leave, not when the pause begins."""
    monkeypatch.setattr(calls, "BACKOFF_SECONDS", 0.5)
    peer.moods.append(Mood.CUT_AFTER)
    answer = await perform(posting(peer), window="200ms")
    assert (type(answer), len(peer.requests), peer.effects) == (InDoubt, 1, {KEY: 1})


async def test_after_the_window_what_was_refused_may_be_asked_again(perform, peer, older):
    """Nothing happened under that key."""
    peer.moods.append(Mood.REFUSE)
    await perform(posting(peer), window="1h")
    await older(3_600_001)
    assert await perform(posting(peer), 2, window="1h") == Done(output=b"1")


async def test_an_answer_that_is_too_large_to_keep_is_asked_for_again(perform, peer, monkeypatch):
    """The peer has it under the key."""
    monkeypatch.setattr(calls, "ANSWER_BYTES", 1)
    for _ in range(2):
        assert await perform(posting(peer)) == Done(output=b"1")
    assert (len(peer.requests), peer.effects) == (2, {KEY: 1})


def test_what_cannot_be_is_refused_where_it_is_declared():
    """A plain function, and words that are for calls only."""

    async def coroutine() -> None:
        return None

    def plain() -> None:
        return None

    with pytest.raises(DefinitionRefused, match="async def"):
        Action(id="a", execute=plain, effect="http")
    with pytest.raises(DefinitionRefused, match='key is for calls over HTTP: add effect="http"'):
        Action(id="a", execute=coroutine, key="attempt")
    with pytest.raises(DefinitionRefused, match="window of nothing"):
        Action(id="a", execute=coroutine, effect="http", window=0)


async def _rows(url):
    """How many rows the journal of a worker process has; none before it has made the table."""
    engine = create_async_engine(url.replace("sqlite://", "sqlite+aiosqlite://"))
    try:
        async with engine.connect() as connection:
            if not await connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'actionbus_journal'")):
                return 0
            return await connection.scalar(text("SELECT count(*) FROM actionbus_journal"))
    finally:
        await engine.dispose()


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before the call", "in the call", "after the call"])
async def test_a_worker_that_is_killed_around_a_call(connection, prefix, tmp_path, moment):
    """``kill -9`` after the intent, after the effect, after the answer: one effect, and the result arrives."""
    url = f"sqlite:///{tmp_path}/journal.db"
    store = {"ACTIONBUS_STORE_DEFAULT_URL": url}
    async with Station(connection, prefix, charge, partitions=1) as station, Peer() as peer:
        gate = {"gate": "gate"} if moment == "after the call" else {}
        if moment == "before the call":
            peer.close()
        if moment == "in the call":
            peer.moods.append(Mood.HANG)
        await station.send(station.command(charge, 1, value={"url": peer.url, "amount": 5} | gate))

        async def reached():
            if moment == "before the call":
                return await _rows(url)
            return (tmp_path / "answered").exists() if gate else peer.effects.total()

        async with worker_process(station, tmp_path, "worker.calls_app", **store) as process:
            await until(reached, moment)
            await killed(process)
        if moment == "before the call":
            await peer.open()
        (tmp_path / "gate").touch()
        async with worker_process(station, tmp_path, "worker.calls_app", **store):
            (result,) = await station.answers(1)
        assert (result.kind, payloads.decode(result.output)) == (ResultKind.SUCCEEDED, 1)
        assert peer.effects == {"r-1:2s/step": 1}
        assert len(peer.requests) == (2 if moment == "in the call" else 1)
        assert len(set(peer.requests)) == 1
