"""The reference pages say what the code says."""

from pathlib import Path

import pytest

from actionbus.process import reference

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_is_current(name):
    """A reference page is exactly what the code derives; `make docs` renews it."""
    assert (FOLDER / name).read_text(encoding="utf-8") == reference.PAGES[name]()


def test_the_pages_can_be_written(tmp_path):
    """The command writes every page into the folder that is named."""
    reference.main([str(tmp_path)])
    assert sorted(page.name for page in tmp_path.iterdir()) == sorted(reference.PAGES)
