"""The files that are derived from others say what those say now; `make docs` writes them again."""

import pytest

from actionbus.contracts import reference
from architecture.sources import ROOT


@pytest.mark.parametrize("name", reference.PAGES)
def test_a_page_of_the_contracts_is_current(name):
    """A page about topics or schemas is exactly what the catalogue and the schemas give."""
    assert (ROOT / "docs" / "reference" / name).read_text(encoding="utf-8") == reference.PAGES[name]()


def test_the_pages_can_be_written(tmp_path):
    """The command writes every page into the folder that is named."""
    reference.main([str(tmp_path)])
    assert sorted(page.name for page in tmp_path.iterdir()) == sorted(reference.PAGES)
