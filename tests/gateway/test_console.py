"""The page at `/` as a person meets it: in a real browser, on a real installation."""

import re
import shutil
import uuid
from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from conftest import _missing
from gateway.served import SECONDS, Served, until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
MILLISECONDS = SECONDS * 1000
HOSTILE = "<script>window.hostile = 1</script><img src=x onerror='window.hostile = 1'>"
expect.set_options(timeout=MILLISECONDS)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """The machine's own Chromium."""
    program = shutil.which("chromium")
    if program is None:
        _missing("chromium is missing (Debian package chromium)")
    async with async_playwright() as playwright:
        # Its sandbox needs rights that no container gives to root; it reads only what is served here.
        made = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=MILLISECONDS)
        yield made
        await made.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about."""
    return []


@pytest.fixture
async def page(browser: Browser, complaints: list[str]) -> Page:
    """An empty page whose complaints are kept."""

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.text} ({message.location})")

    made = await browser.new_page()
    made.set_default_timeout(MILLISECONDS)
    made.on("console", heard)
    made.on("pageerror", lambda error: complaints.append(str(error)))
    return made


async def _begun(http: httpx.AsyncClient, workflow: str, given: object) -> str:
    """A run that the tables know."""
    run_id = f"{workflow}-{uuid.uuid4().hex[:8]}"
    await http.post("/v1/runs", json={"workflow": workflow, "input": given, "run_id": run_id})
    await until(http, f"/v1/runs/{run_id}", lambda _: True)
    return run_id


async def test_runs_are_listed_and_filtered(page: Page, complaints, http, served: Served) -> None:
    """The list shows every run with where it stands, and only those that fit what is typed and chosen."""
    hello, basket = await _begun(http, "hello", "Ada"), await _begun(http, "basket", 100)
    await page.goto(served.url)
    for run_id, status in ((hello, "completed"), (basket, "running")):
        await expect(page.get_by_role("row").filter(has_text=run_id)).to_contain_text(status)
    await page.get_by_label("Workflow").fill("basket")
    await expect(page.get_by_role("link", name=hello)).to_have_count(0)
    await expect(page.get_by_role("link", name=basket)).to_be_visible()
    await page.get_by_label("Status").select_option("COMPLETED")
    await expect(page.get_by_role("link", name=basket)).to_have_count(0)
    await page.get_by_label("Workflow").fill("hello")
    await expect(page.get_by_role("link", name=hello)).to_be_visible()
    assert complaints == []


async def test_a_run_is_shown_with_its_graph_and_history(page: Page, complaints, http, served: Served) -> None:
    """From the list to one run: its graph coloured by its steps, its steps, and what happened."""
    hello = await _begun(http, "hello", "Ada")
    await until(http, f"/v1/runs/{hello}", lambda run: run["status"] == "COMPLETED")
    await page.goto(served.url)
    await page.get_by_role("link", name=hello).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(hello)
    await expect(page.locator(".graph .node[data-path='greet']")).to_have_class(re.compile("SUCCEEDED"))
    await expect(page.get_by_role("row").filter(has_text="greet")).to_contain_text("succeeded")
    history = page.locator("ol.history li")
    await expect(history.first).to_contain_text("request accepted")
    await expect(history.filter(has_text="run ended")).to_contain_text("Hello, Ada!")
    assert complaints == []


async def test_a_run_changes_while_it_is_looked_at(page: Page, complaints, http, served: Served) -> None:
    """Who looks at a run sees it end without doing anything: the page follows its events."""
    basket = await _begun(http, "basket", 100)
    await page.goto(f"{served.url}/#/runs/{basket}")
    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_contain_text("running")
    lamp = {"payload": {"name": "lamp", "price": 40}}
    assert (await http.post(f"/v1/runs/{basket}/updates/add", json=lamp)).is_success
    await expect(heading).to_contain_text("completed")
    await expect(page.locator("ol.history")).to_contain_text("lamp")
    assert complaints == []


async def test_what_others_wrote_stays_text(page: Page, complaints, http, served: Served) -> None:
    """Inputs, outputs and errors that look like HTML are shown as they are, and never carried out."""
    good, bad = await _begun(http, "hello", HOSTILE), await _begun(http, "hello", f"nobody {HOSTILE}")
    for run_id, status in ((good, "COMPLETED"), (bad, "FAILED")):
        await until(http, f"/v1/runs/{run_id}", lambda run, status=status: run["status"] == status)
    await page.goto(served.url)
    await expect(page.get_by_role("row").filter(has_text=bad)).to_contain_text(HOSTILE)
    await page.goto(f"{served.url}/#/runs/{bad}")
    await expect(page.locator("p.alarm")).to_contain_text(HOSTILE)
    await page.goto(f"{served.url}/#/runs/{good}")
    await expect(page.get_by_role("heading", level=1)).to_contain_text(good)
    await expect(page.locator("ol.history li").filter(has_text="run ended")).to_contain_text("<script>")
    assert await page.locator("main script, main img").count() == 0
    assert await page.evaluate("window.hostile ?? null") is None
    assert complaints == []


@pytest.mark.parametrize("place", ["/", "/#/runs/{run}"])
async def test_a_gateway_that_is_away_is_said_in_words(page: Page, http, served: Served, place: str) -> None:
    """The page says what is wrong, keeps what it showed, and goes on by itself once it is answered again."""
    basket = await _begun(http, "basket", 100)
    other = served.another_gateway()
    other.service.wait_ready()
    await page.goto(other.url + place.format(run=basket))
    await expect(page.locator("main")).to_contain_text(basket)
    await expect(page.get_by_role("status")).to_contain_text("as of")
    assert other.service.stop() == 0
    await expect(page.get_by_role("status")).to_contain_text("The gateway does not answer")
    await expect(page.locator("main")).to_contain_text(basket)
    other.service.start()
    await expect(page.get_by_role("status")).to_contain_text("as of")
    await http.post(f"/v1/runs/{basket}/cancel", json={})
    await expect(page.locator("main")).to_contain_text("cancelled")
    assert other.service.stop() == 0


async def test_a_problem_is_shown_as_it_is_said(page: Page, served: Served) -> None:
    """What the API refuses is told in its own words."""
    await page.goto(f"{served.url}/#/runs/never-started")
    await expect(page.get_by_role("status")).to_contain_text("run never-started is not known")
