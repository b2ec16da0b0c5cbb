"""What the documents name is there: files, tests, commands, settings and metrics."""

import re
from pathlib import Path

import pytest
import typer

from actionbus.cli.main import app
from actionbus.process import crashing, metrics, reference, variables
from docs.pages import ROOT
from docs.test_pages import PAGES

DERIVED = {"settings.md", "metrics.md", "crash-points.md", "topics.md", "schemas.md", "cli.md"}
WRITTEN = [page for page in PAGES if page.is_file() and page.name not in DERIVED]
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
PATH = re.compile(r"`((?:services|schemas|topics|deploy|tests|examples|benchmarks|docs)/[\w./-]*|\.ci/\w+)`")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
COMMAND = re.compile(r"`(?:\$ )?actionbus ((?:[a-z]+)(?: [a-z]+)?)")
SETTING = re.compile(r"\bACTIONBUS_[A-Z_]+[A-Z]\b")
METRIC = re.compile(r"`(actionbus_[a-z_]+)")

TABLES = {"actionbus_inbox", "actionbus_journal", "actionbus_outbox", "actionbus_unreadable"}  # no metrics


@pytest.fixture(params=WRITTEN, ids=lambda page: page.relative_to(ROOT).as_posix())
def page(request: pytest.FixtureRequest) -> Path:
    """A page that somebody wrote."""
    return request.param


def test_every_link_leads_somewhere(page: Path):
    """A relative link names a file of the project, and a heading that the file has."""
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{target} is not there"
        if heading:
            anchors = {f"#{_anchor(each)}" for each in re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)}
            assert heading in anchors, f"{target} has no {heading}"


def test_every_path_is_there(page: Path):
    """A path in code style, from the root of the checkout, exists."""
    missing = [path for path in PATH.findall(page.read_text(encoding="utf-8")) if not (ROOT / path).exists()]
    assert missing == []


def test_every_test_is_there(page: Path):
    """A test that a page gives as its proof exists."""
    for file, name in TEST.findall(page.read_text(encoding="utf-8")):
        text = (ROOT / file).read_text(encoding="utf-8") if (ROOT / file).is_file() else ""
        assert f"def {name}(" in text, f"{file}::{name}"


def test_every_command_is_there(page: Path):
    """A command of actionbus that a page names can be typed."""
    assert _unknown(page) == []


def test_every_command_of_an_alert_is_there():
    """What an alert tells somebody to type can be typed."""
    assert _unknown(ROOT / "deploy" / "prometheus" / "alerts.yml") == []


def test_every_setting_is_there(page: Path):
    """A variable of the environment that a page names is one that is read."""
    known = {*variables.known(), "ACTIONBUS_SECRETS_DIR", crashing.VARIABLE}
    found = set(SETTING.findall(page.read_text(encoding="utf-8")))
    assert {name for name in found - known if not re.fullmatch(r"ACTIONBUS_STORE_\w+_URL", name)} == set()


def test_every_metric_is_there(page: Path):
    """A metric that a page names is one that is served."""
    known = {
        reference.exposed_name(each)
        for each in (
            *metrics.ORCHESTRATOR,
            *metrics.WORKER,
            *metrics.PROJECTOR,
            *metrics.GATEWAY,
            *metrics.CANARY,
            *metrics.EVERY_SERVICE,
        )
    }
    named = set(METRIC.findall(page.read_text(encoding="utf-8"))) - TABLES
    assert named <= known


def test_no_sentence_shares_its_line():
    """One sentence stands on a line, tables and numbered steps aside, so that a change shows what it changed."""
    shared = [
        f"{page.relative_to(ROOT)}:{number}: {line}"
        for page in WRITTEN
        for number, line in enumerate(_prose(page), start=1)
        if re.search(r"[a-z)`][.?!] [A-Z]", line) and not re.match(r"\s*(\||\d+\. )", line)
    ]
    assert shared == []


def _prose(page: Path) -> list[str]:
    text = re.sub(
        r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), page.read_text(), flags=re.MULTILINE | re.DOTALL
    )
    return text.splitlines()


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _unknown(file: Path) -> list[str]:
    known = _commands()
    alone = {each for each in known if not any(other.startswith(f"{each} ") for other in known)}
    words = COMMAND.findall(file.read_text(encoding="utf-8"))
    return [each for each in words if each not in known and each.split()[0] not in alone]


def _commands() -> set[str]:
    found: set[str] = set()
    for name, command in typer.main.get_command(app).commands.items():
        found.add(name)
        found |= {f"{name} {below}" for below in getattr(command, "commands", {})}
    return found
