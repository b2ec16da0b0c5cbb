"""Dozens of orders of every kind, while processes are killed; then a judge looks at the outside world.

    python examples/order_demo.py [--kafka HOST:PORT]

It starts a broker (or takes yours), a mail server, a payment provider and carriers that are down at first, an
orchestrator and a worker, each a process of its own. Orders arrive; this program answers for the people: it approves or
refuses large orders, or lets the time for it pass, and changes its mind as customers do. The orchestrator is killed
while the partners are down, the worker while parcels are on their way. The exit code is 0 when the judge finds nothing
wrong, 1 otherwise.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from actionbus import ActionbusError, Conflict, RunFailed
from actionbus.client import Client, RunHandle
from actionbus.contracts.events import EntryKind
from order_fulfilment import APPROVAL_LIMIT, Approval, Change
from order_world import judge
from signup_demo.processes import Installation, Process, broker, free_port

HERE = Path(__file__).parent
OPENING = {"lamp": 100, "desk": 30, "rug": 3}  # what a new database of the example begins with
PRICES = {"lamp": 2_000, "desk": 20_000, "rug": 9_000}
DEADLINE_SECONDS = 300.0
LIVE = "under way"
LIVE_AT_A_KILL = 10  # orders under way at least, or the kill would prove nothing


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One way in which an order can go, and how often it is tried."""

    count: int
    ends: str = judge.COMPLETED
    or_ends: str = ""
    order: dict[str, Any] = field(default_factory=dict)
    approval: Approval | None = None
    change: Change | None = None


LARGE = {"item": "desk", "units": 3}
KINDS = {
    "plain": Kind(count=8),
    "mail-delayed": Kind(count=2, order={"email": "eve@greylist.example"}),
    "mail-reply-lost": Kind(count=2, order={"email": "eve@lostreply.example"}),
    "charge-reply-lost": Kind(count=4, order={"card": "lost-reply"}),
    "island": Kind(count=3, order={"address": "3 Far Island"}),
    "approved": Kind(count=4, order=LARGE, approval=Approval(granted=True)),
    "moved": Kind(count=4, change=Change(address="2 Short Street")),
    "scarce": Kind(count=6, ends="OutOfStock", or_ends=judge.COMPLETED, order={"item": "rug", "units": 1}),
    "card-declined": Kind(count=4, ends="CardRefused", order={"card": "declined"}),
    "not-approved": Kind(count=3, ends="NotApproved", order=LARGE, approval=Approval(granted=False, reason="too much")),
    "nobody-answered": Kind(count=2, ends="NotApproved", order=LARGE),
    "cancelled": Kind(count=4, ends="Cancelled", change=Change(cancel=True)),
    "nowhere": Kind(count=4, ends="NoService", order={"address": "The Middle of Nowhere"}),
    "moved-nowhere": Kind(count=2, ends="NoService", change=Change(address="Nowhere")),
    "mailbox-gone": Kind(count=3, ends="MailRefused", order={"email": "eve@gone.example"}),
}


class Shop:
    """One installation, its outside world, and the people around the orders."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        self.shop, self.partners, self.mailbox = (folder / f"{name}.sqlite" for name in ("shop", "partners", "mailbox"))
        self.mail_port, self.partners_port = free_port(), free_port()
        self.installation = Installation(
            "order-demo",
            bootstrap,
            app=HERE / "order_fulfilment.py",
            folder=folder,
            settings={
                "ACTIONBUS_STORE_DEFAULT_URL": f"sqlite+aiosqlite:///{self.shop}",
                "ORDER_SMTP": f"127.0.0.1:{self.mail_port}",
                "ORDER_PARTNERS": f"http://127.0.0.1:{self.partners_port}",
                "ORDER_CHANGE_WINDOW": "3s",
            },
        )
        self.orders: dict[str, judge.Order] = {}

    async def prepare(self) -> tuple[Process, Process]:
        """Start everything; gives the orchestrator and the worker that are to be killed."""
        start, ports = self.installation.program, (str(self.mail_port), str(self.partners_port))
        start("mailbox", str(HERE / "signup_demo/mailbox.py"), "--port", ports[0], "--database", str(self.mailbox))
        start("partners", str(HERE / "order_world/partners.py"), "--port", ports[1], "--database", str(self.partners))
        await self.installation.deploy(print)
        orchestrator, worker = self.installation.orchestrator("orchestrator"), self.installation.worker("worker")
        await asyncio.gather(orchestrator.ready(), worker.ready())
        return orchestrator, worker

    async def sell(self) -> None:
        """Let every order arrive, follow it to its end, and kill while they are under way."""
        orchestrator, worker = await self.prepare()
        async with Client(self.installation.connection, prefix=self.installation.topics.prefix) as client:
            try:
                async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as people:
                    for name, kind in KINDS.items():
                        for number in range(kind.count):
                            people.create_task(self._order(client, f"{name}-{number}", kind))
                    await self._kill(orchestrator, lambda world: world.refusals["503"] >= LIVE_AT_A_KILL)
                    async with httpx.AsyncClient(trust_env=False) as http:
                        (await http.post(f"http://127.0.0.1:{self.partners_port}/open")).raise_for_status()
                    print("the partners are up")
                    await self._kill(worker, lambda world: len(world.parcels) >= 3)
            except TimeoutError:
                raise RuntimeError(f"{', '.join(self._live())} did not end in {DEADLINE_SECONDS:.0f} s") from None

    def look(self) -> judge.World:
        """The world as it is now."""
        return judge.look(self.shop, self.partners, self.mailbox)

    async def _order(self, client: Client, order_id: str, kind: Kind) -> None:
        """One order, and the people that it needs."""
        given = {"item": "lamp", "units": 2, "email": "eve@example.com", "card": "4242", "address": "1 Long Street"}
        given |= {"id": order_id, **kind.order}
        given["price"] = PRICES[given["item"]]
        order = self.orders[order_id] = judge.Order(
            id=order_id,
            item=given["item"],
            units=given["units"],
            amount=given["units"] * given["price"],
            address=given["address"],
            ending=LIVE,
            expected=frozenset({kind.ends, kind.or_ends or kind.ends}),
        )
        run = await client.start("fulfil-order", given, run_id=order_id, request_id=order_id)
        if order.amount > APPROVAL_LIMIT:
            await self._decide(run, kind.approval)
        if kind.change is not None:
            order = await self._change(run, order, kind.change)
        try:
            await run.result()
            ending = judge.COMPLETED
        except RunFailed as failure:
            ending = failure.reason.partition(":")[0]
        self.orders[order_id] = replace(order, ending=ending)

    async def _decide(self, run: RunHandle, approval: Approval | None) -> None:
        """Answer as a person who finds the task on a list would; or nobody does: turn the clock past each reminder."""
        async with aclosing(run.follow()) as events:
            async for event in events:
                for entry in event.entries:
                    if entry.kind not in {EntryKind.TASK_OPENED, EntryKind.TASK_REMINDED}:
                        continue
                    request_id = f"{run.run_id}-{event.version}"
                    if approval is not None:
                        await run.complete_task(entry.step, approval, request_id=request_id)
                        return
                    await run.change_timer(entry.step, datetime.now(UTC), request_id=request_id)

    async def _change(self, run: RunHandle, order: judge.Order, change: Change) -> judge.Order:
        """Change a customer's mind; who hears that it is too late gets what was ordered."""
        try:
            answer = await run.update("change", change, request_id=f"{run.run_id}-change")
        except Conflict as late:
            print(late)
            return replace(order, expected=frozenset({judge.COMPLETED}))
        return replace(order, address=answer["address"] or order.address)

    async def _kill(self, process: Process, moment: Callable[[judge.World], bool]) -> None:
        while not moment(await asyncio.to_thread(self.look)):  # noqa: ASYNC110 - a moment in the world
            await asyncio.sleep(0.02)
        live, pid = len(self._live()), process.pid
        process.kill()
        print(f"kill -9 {pid}: {process.name} is gone, {live} orders are under way")
        if live < LIVE_AT_A_KILL:
            raise RuntimeError("that proves nothing")
        process.start()
        await process.ready()

    def _live(self) -> list[str]:
        return [order.id for order in self.orders.values() if order.ending == LIVE]


async def demonstrate(kafka: str | None, folder: Path) -> list[str]:
    """The whole demo; gives the violations."""
    async with broker(kafka, folder, print) as bootstrap:
        shop = Shop(bootstrap, folder)
        try:
            await shop.sell()
        finally:
            await shop.installation.close(delete_topics=kafka is not None)
    world, endings = shop.look(), Counter(order.ending for order in shop.orders.values())
    print(*(f"{count:4} {ending}" for ending, count in endings.most_common()), sep="\n")
    print(f"{world.shipped.total()} units shipped, {world.kept.total()} cents kept, {world.invoiced.total()} invoiced,")
    print(f"{len(world.refunded)} refunds, {world.reminders} reminders, {world.repeats} repeats that were dropped,")
    print("refusals:", ", ".join(f"{count} with {status}" for status, count in sorted(world.refusals.items())))
    return list(judge.violations(shop.orders.values(), world, OPENING))


def main() -> int:
    """Parse the command line, run, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", metavar="HOST:PORT", help="a running broker; default: an embedded one")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="order-demo-"))
    try:
        found = asyncio.run(demonstrate(given.kafka, folder))
    except (ActionbusError, RuntimeError, ExceptionGroup) as error:
        print(f"The demo could not run to its end; logs are in {folder}")
        print(*(error.exceptions if isinstance(error, ExceptionGroup) else [error]), sep="\n")
        return 1
    print(*found, sep="\n", end="\n" if found else "")
    if found:
        print(f"{len(found)} violations; logs and databases are in {folder}")
        return 1
    shutil.rmtree(folder)
    print("The judge found nothing wrong.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
