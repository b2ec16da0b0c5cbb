"""What the documents tell readers to do works as they tell it."""

from pathlib import Path

import pytest

from docs import pages
from docs.pages import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
RUNNING = [page for page in PAGES if page.is_file() and pages.runs(page)]


def test_there_is_something_to_run():
    """At least the README and the quickstart have something to carry out: the reader of pages finds it."""
    assert {"README.md", "quickstart.md"} <= {page.name for page in RUNNING}


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.usefixtures("embedded_broker")  # where there is none, the pages that start one cannot run
@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_does_what_it_says(page: Path, tmp_path: Path):
    """Every command and program of a page runs, in its order, and prints what the page shows."""
    pages.Reader(tmp_path).follow(page)


def test_a_wrong_page_is_found_out(tmp_path: Path):
    """A page whose command prints something else, or whose program fails, is named with its line."""
    for text, word in (
        ("```console\n$ echo one\ntwo\n```\n", "did not print 'two'"),
        ("```python\n1 / 0\n```\n", "Zero"),
    ):
        folder = tmp_path / word[:4]
        folder.mkdir()
        shown = folder / "page.md"
        shown.write_text(f"# Page\n\n{text}")
        reader = pages.Reader(folder)
        block = next(pages.blocks(shown))
        assert block.line == 3
        with pytest.raises(AssertionError, match=word):
            reader._carry_out(block)
