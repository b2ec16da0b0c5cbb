"""T28: calls over HTTP to a peer of many moods, whose own log says what it did.

Each step is carried out as a lane does it, with a journal on PostgreSQL and real connections; what an orchestrator does
besides, further attempts and the same command again after a crash, is played here. A step that ends in doubt is looked
at by a person, who reads the peer's log: what did not happen is ordered again.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from random import Random
from unittest.mock import patch

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.worker import calls
from actionbus.worker.attempts import Attempt
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.outcomes import Done, Failed, InDoubt, Outcome
from actionbus.worker.stores import Store, Stores
from actionbus.worker.threads import Threads
from faults import fault
from faults.fault import Fault
from faults.ground import Ground
from worker.commands import execute
from worker.peer import Mood, Peer

AT_A_TIME = 8
ANSWER_SECONDS = 0.5  # a call that waits longer is sent again: too short on a slow machine is only more of the fault
RESEND_SECONDS, BACKOFF_SECONDS = 2.0, 0.02
WINDOW_MS = 3_600_000
ATTEMPTS = 12  # after which a step has failed: only a failure that the peer has saved takes so many
CALM, CRASHES, EXPIRES = 0.4, 0.15, 0.3  # shares: of answers, of attempts that are killed, of steps whose key expires
FINISH_SECONDS = 0.2  # at most: until the peer is done with what takes its time
LOOK_TURNS = 20  # of the loop, until the peer has read what a killed worker had sent
HONEST = (
    *(Mood.CUT_BEFORE, Mood.CUT_AFTER, Mood.HANG, Mood.FAIL_SAVED, Mood.FAIL, Mood.REFUSE),
    *(Mood.WORK, Mood.BUSY, Mood.DRIP, Mood.CUT_WITHIN),
)
LIES = (Mood.PRETEND, Mood.FORGET)


@dataclass
class _Step:
    """What is known of one step when it has ended."""

    number: int
    ended: Outcome | None = None
    keys: set[str] = field(default_factory=set)
    expired: bool = False
    doubts: int = 0


class _Shop:
    """A worker's execution of one action with either kind of keys, a peer, and the steps."""

    def __init__(self, peer: Peer, store: Store, looker: AsyncEngine, chance: Random, moods: tuple[Mood, ...]) -> None:
        self.steps: list[_Step] = []
        self._peer = peer
        self._looker = looker
        self._chance = chance
        self._moods = moods
        peer.temper = self._mood
        network = httpx.AsyncHTTPTransport()
        self._executions = [
            Execution(
                Action(id="charge", execute=self._charge, effect="http", key=key, window="1h"),
                limits=DEFAULT_LIMITS,
                failures=Failures(DEFAULT_LIMITS),
                threads=Threads(1, "x"),
                store=store,
                network=network,
            )
            for key in ("step", "attempt")
        ]

    @property
    def injected(self) -> int:
        """How many requests met trouble."""
        return sum(len(keys) for mood, keys in self._peer.met.items() if mood is not Mood.ANSWER)

    async def serve(self, count: int) -> None:
        """Carry out steps until so many requests have met trouble."""

        async def one_after_the_other() -> None:
            while self.injected < count:
                step = _Step(len(self.steps))
                self.steps.append(step)
                await self._carry_out(step)

        finishing = asyncio.create_task(self._finish_now_and_then())
        try:
            await asyncio.gather(*(one_after_the_other() for _ in range(AT_A_TIME)))
        finally:
            finishing.cancel()
            for execution in self._executions:
                await execution.close()

    def _mood(self) -> Mood:
        return Mood.ANSWER if self._chance.random() < CALM else self._chance.choice(self._moods)

    async def _charge(self, ctx: ActionContext, number: int) -> int:
        """What the user's code does."""
        answer = await ctx.http.post(self._peer.url, json={"charge": number}, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.json()["charge"]

    async def _finish_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(0, FINISH_SECONDS))
            self._peer.finish()

    async def _carry_out(self, step: _Step) -> None:
        """All attempts of one step, whichever worker dies meanwhile."""
        run = f"r-{step.number}"
        base = identifiers.step_key(run, "2s", "charge")
        execution = self._executions[self._chance.random() < 0.5]
        expires = self._chance.random() < EXPIRES
        own_keys = execution.action.key == "attempt"
        for attempt in range(1, ATTEMPTS + 1):
            command_id = identifiers.command_id(base, attempt)
            step.keys.add(key := command_id if own_keys else base)
            command = {"run_id": run, "step_key": base, "command_id": command_id}
            while (outcome := await self._attempt(execution, step.number, attempt, key, command)) is None:
                if expires and not step.expired:
                    await self._expire(step)
            step.ended = outcome
            if isinstance(outcome, InDoubt):
                step.doubts += 1
                for _ in range(LOOK_TURNS):
                    await asyncio.sleep(0)
                while self._peer.is_at_work(*step.keys):  # noqa: ASYNC110 - a person who sees it waits
                    await asyncio.sleep(FINISH_SECONDS)
                if any(self._peer.effects[key] for key in step.keys):
                    return  # a person has looked, and completes the step
            elif isinstance(outcome, Done) or not outcome.error.retryable:
                return

    async def _attempt(
        self, execution: Execution, number: int, attempt: int, key: str, changes: dict
    ) -> Outcome | None:
        """What one delivery of a command gave; None when its worker was killed."""
        one = Attempt(command=execute(value={"number": number}, attempt=attempt, action="charge", **changes), claims=[])
        one.task = asyncio.create_task(execution.perform(one))
        if self._chance.random() < CRASHES:
            within = self._chance.random() < 0.5
            await asyncio.wait([one.task], timeout=self._chance.uniform(0, 0.05))
            while within and not one.task.done() and not self._peer.effects[key]:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0)  # killed at once behind the effect, before the answer is kept
            one.task.cancel()
        await asyncio.wait([one.task])
        return None if one.task.cancelled() else one.task.result()

    async def _expire(self, step: _Step) -> None:
        """The time for which the peer promises to keep the keys is over."""
        step.expired = True
        async with self._looker.begin() as connection:
            await connection.execute(
                text("UPDATE actionbus_journal SET created_at = created_at - :ms WHERE key = ANY(:keys)"),
                {"ms": WINDOW_MS + 1, "keys": [*step.keys]},
            )
        self._peer.forget(*step.keys)


def _judge(shop: _Shop, peer: Peer) -> tuple[dict[str, list[str]], int]:
    """Compare what each step was told with what the peer did; how many effects are as wrong as the peer is."""
    found: dict[str, list[str]] = {"lost": [], "doubled": [], "disordered": []}
    lied, forgot = set(peer.met[Mood.PRETEND]), set(peer.met[Mood.FORGET])
    admitted = 0
    bytes_of: dict[str, set[bytes]] = {}
    for key, body in peer.requests:
        bytes_of.setdefault(key, set()).add(body)
    found["disordered"] += [f"{key} came with {len(each)} bodies" for key, each in bytes_of.items() if len(each) > 1]
    for step in shop.steps:
        did = Counter({key: peer.effects[key] for key in step.keys})
        more = [key for key, count in did.items() if count > 1] or (sorted(step.keys) if did.total() > 1 else [])
        fewer = isinstance(step.ended, Done) and not did.total()
        if more:
            admitted += bool(forgot & step.keys)
            found["doubled"] += [] if forgot & step.keys else [f"step {step.number} did {dict(did)}"]
        if fewer:
            admitted += bool(lied & step.keys)
            found["lost"] += [] if lied & step.keys else [f"step {step.number} was told {step.ended}"]
        if isinstance(step.ended, Failed) and did.total():
            admitted += bool(forgot & step.keys)  # it was asked once more, as if for the first time, and refused
            said = f"step {step.number} failed and did {dict(did)}: {step.ended.error}"
            found["disordered"] += [] if forgot & step.keys else [said]
        if isinstance(step.ended, Done) and payloads.decode(step.ended.output) == 0 and not lied & step.keys:
            found["disordered"].append(f"step {step.number} was told {step.ended}")
    strays = peer.effects.keys() - {key for step in shop.steps for key in step.keys}
    found["doubled"] += [f"{key} is the key of no step" for key in sorted(strays)]
    return {kind: each for kind, each in found.items() if each}, admitted


def _with(moods: tuple[Mood, ...]):
    async def play(ground: Ground, count: int, chance: Random) -> fault.Outcome:
        url = await ground.database(f"peers-{len(moods)}-{chance.getrandbits(32):08x}")
        async with AsyncExitStack() as stack:
            stack.enter_context(patch.object(calls, "RESEND_SECONDS", RESEND_SECONDS))
            stack.enter_context(patch.object(calls, "BACKOFF_SECONDS", BACKOFF_SECONDS))
            peer = await stack.enter_async_context(Peer())
            stores = await stack.enter_async_context(Stores({"default": url}))
            looker = create_async_engine(url)
            stack.push_async_callback(looker.dispose)
            shop = _Shop(peer, stores["default"], looker, chance, moods)
            await shop.serve(count)
        faults, admitted = _judge(shop, peer)
        return fault.Outcome(
            injected=shop.injected,
            workflows=len(shop.steps),
            steps=len(shop.steps),
            effects=peer.effects.total(),
            faults=faults,
            unfinished=sum(step.ended is None for step in shop.steps),
            doubted=sum(step.doubts for step in shop.steps) + admitted,
        )

    return play


FAULTS = (
    Fault(
        id="T28/peer",
        name="peer of bad moods",
        what="requests that meet a cut before or after the effect or within the answer, silence after the effect, a 500 "
        "that is saved, 503, 422, 429, 409 until the work is done, an answer byte by byte; besides, attempts are killed, "
        "and keys expire. Counted in doubt: steps that a person had to look at",
        play=_with(HONEST),
        short=40,
        each=1_000,
        published=5_000,
        full=5_000,
        needs=("postgres",),
    ),
    Fault(
        id="T28/liar",
        name="peer that breaks its word",
        what="the same from a peer that also answers 201 without an effect, or forgets a key at once: nobody can promise "
        "anything then. Counted in doubt, besides: the effects that are missing, twice, or there although their step "
        "failed, under exactly those keys; any other one would be a fault",
        play=_with(HONEST + LIES),
        short=40,
        each=1_000,
        published=1_000,
        full=5_000,
        needs=("postgres",),
    ),
)
