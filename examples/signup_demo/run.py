"""The demo: sign up a list of users while processes are killed, then let a judge look at the outside world.

    python examples/signup_demo/run.py [--kafka HOST:PORT]

It starts a broker (or takes yours), a mail server, a CRM that is down at first, one orchestrator and two workers, each
a process of its own. Everybody on users.csv signs up. While runs are under way one worker and the orchestrator are
killed with SIGKILL and started again. Once every run has ended the judge reads the users' database, the mail server's
file and the CRM's file. The exit code is 0 when nothing is wrong there, 1 otherwise.
"""

import argparse
import asyncio
import csv
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import history
import httpx
import judge
from processes import Installation, Process, broker, free_port
from rich.console import Console
from screen import Screen, final_table

from actionbus import ActionbusError, Refused, RunFailed
from actionbus.client import Client

HERE = Path(__file__).parent
APP = HERE.parent / "signup.py"
WORKFLOW = "user-signup"
SIGNUPS_PER_SECOND = 40
DEADLINE_SECONDS = 300.0
KILL_WORKER_AT = 0.25  # share of the list that has been submitted
KILL_ORCHESTRATOR_AT = 0.6
LIVE_AT_A_KILL = 20  # runs under way at least, or the kill would prove nothing


class Demo:
    """One installation under its own prefix, its outside world, and the list of users."""

    def __init__(self, bootstrap: str, folder: Path, screen: Screen) -> None:
        self.screen = screen
        self.users, self.mailbox, self.crm = (folder / f"{name}.sqlite" for name in ("users", "mailbox", "crm"))
        self.mail_port, self.crm_port = free_port(), free_port()
        self.installation = Installation(
            "signup-demo",
            bootstrap,
            app=APP,
            folder=folder,
            settings={
                "ACTIONBUS_STORE_DEFAULT_URL": f"sqlite+aiosqlite:///{self.users}",
                "SIGNUP_SMTP": f"127.0.0.1:{self.mail_port}",
                "SIGNUP_CRM": f"http://127.0.0.1:{self.crm_port}",
            },
        )
        self.signups: dict[str, judge.Signup] = {}
        self.kills: list[tuple[str, int]] = []
        self._submitted = 0

    async def prepare(self) -> tuple[Process, Process]:
        """Start everything; gives the orchestrator and the worker that are to be killed."""
        start = self.installation.program
        start("mailbox", str(HERE / "mailbox.py"), "--port", str(self.mail_port), "--database", str(self.mailbox))
        start("crm", str(HERE / "crm.py"), "--port", str(self.crm_port), "--database", str(self.crm))
        await self.installation.deploy(self.screen.say)
        orchestrator = self.installation.orchestrator("orchestrator")
        workers: list[Process] = []
        for number in (1, 2):  # one after the other: noida-db 0.2.3 mixes up members that join at the same time
            workers.append(self.installation.worker(f"worker-{number}"))
            await workers[-1].ready()
        await orchestrator.ready()
        self.screen.say("one orchestrator and two workers are ready; the CRM is down")
        return orchestrator, workers[0]

    async def sign_up(self, people: list[dict[str, str]]) -> None:
        """Submit everybody at a steady pace, follow every run to its end, and kill while they are under way."""
        orchestrator, worker = await self.prepare()
        async with Client(self.installation.connection, prefix=self.installation.topics.prefix) as client:
            followed = [asyncio.create_task(self._one(client, n, person)) for n, person in enumerate(people)]
            watching = asyncio.create_task(self._watch())
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await self._kill(worker, KILL_WORKER_AT, len(people))
                    await self._kill(orchestrator, KILL_ORCHESTRATOR_AT, len(people))
                    await asyncio.gather(worker.ready(), orchestrator.ready())
                    async with httpx.AsyncClient(trust_env=False) as http:
                        (await http.post(f"http://127.0.0.1:{self.crm_port}/open")).raise_for_status()
                    self.screen.say("both are back; the CRM is up")
                    await asyncio.gather(*followed)
            except TimeoutError:
                self.screen.say(f"not everything ended within {DEADLINE_SECONDS:.0f} s")
            finally:
                for task in (*followed, watching):
                    task.cancel()
                await asyncio.gather(*followed, watching, return_exceptions=True)

    async def verdict(self) -> list[str]:
        """Look at the world, print what is there, and give every violation."""
        published = await history.read(self.installation.connection, self.installation.topics)
        world = judge.look(self.users, self.mailbox, self.crm)
        signups = list(self.signups.values())
        found = [*judge.violations(signups, world), *published.violations()]
        for signup in signups:
            status = published.statuses.get(signup.run_id, judge.REJECTED).lower()
            if status != signup.ending:
                found.append(f"run {signup.run_id}: its client saw it {signup.ending}, its events say {status}")
        found += [
            f"{name} was killed with {live} runs under way: that proves nothing"
            for name, live in self.kills
            if live < LIVE_AT_A_KILL
        ]
        endings = Counter(signup.ending for signup in signups)
        self.screen.console.print(final_table(endings, world, published, self.kills))
        return found

    async def _one(self, client: Client, number: int, person: dict[str, str]) -> None:
        await asyncio.sleep(number / SIGNUPS_PER_SECOND)
        run_id = f"signup-{number:03}"
        self._submitted += 1
        self._note(run_id, person["email"], "submitted")
        try:
            run = await client.start(WORKFLOW, person, run_id=run_id, request_id=run_id)
            self._note(run_id, person["email"], "live")
            await run.result()
            ending = judge.COMPLETED
        except Refused as refusal:
            ending = judge.REJECTED
            self.screen.reason(str(refusal))
        except RunFailed as failure:
            ending = failure.status.lower()
            self.screen.reason(str(failure))
        except ActionbusError as error:
            ending = f"{type(error).__name__}: {error}"
        self._note(run_id, person["email"], ending)

    def _note(self, run_id: str, email: str, ending: str) -> None:
        self.signups[run_id] = judge.Signup(run_id=run_id, email=email, ending=ending)

    def _live(self) -> int:
        return sum(signup.ending == "live" for signup in self.signups.values())

    async def _kill(self, process: Process, share: float, people: int) -> None:
        while self._submitted < share * people or self._live() < LIVE_AT_A_KILL:  # noqa: ASYNC110 - a moment in the world
            await asyncio.sleep(0.05)
        live, pid = self._live(), process.pid
        process.kill()
        self.kills.append((process.name, live))
        self.screen.say(f"kill -9 {pid}: {process.name} is gone, {live} runs are under way")
        process.start()

    async def _watch(self) -> None:
        while True:
            world = await asyncio.to_thread(judge.look, self.users, self.mailbox, self.crm)
            self.screen.show(Counter(signup.ending for signup in self.signups.values()), world)
            await asyncio.sleep(0.5)


async def demonstrate(kafka: str | None, folder: Path, console: Console) -> list[str]:
    """The whole demo; gives the violations."""
    begun = time.monotonic()
    with (HERE / "users.csv").open(encoding="utf-8", newline="") as file:
        people = list(csv.DictReader(file))
    with Screen(console, len(people)) as screen:
        async with broker(kafka, folder, screen.say) as bootstrap:
            demo = Demo(bootstrap, folder, screen)
            try:
                await demo.sign_up(people)
                screen.stop()
                found = await demo.verdict()
            finally:
                await demo.installation.close(delete_topics=kafka is not None)
    console.print(f"{time.monotonic() - begun:.0f} seconds")
    return found


def main() -> int:
    """Parse the command line, run, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", metavar="HOST:PORT", help="a running broker; default: an embedded one")
    given = parser.parse_args()
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="signup-demo-"))
    try:
        found = asyncio.run(demonstrate(given.kafka, folder, console))
    except (ActionbusError, RuntimeError, KeyboardInterrupt) as error:
        console.print(f"The demo could not run to its end; logs are in {folder}", highlight=False)
        console.print(str(error) or "interrupted", markup=False, highlight=False)
        return 1
    if found:
        console.print(f"[bold red]{len(found)} violations[/]; logs and databases are in {folder}", highlight=False)
        for each in found:
            console.print(f"  {each}", markup=False, highlight=False)
        return 1
    shutil.rmtree(folder)
    console.print("[bold green]The judge found nothing wrong.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
