"""How large things get. A limit marks where to stop and think; what is larger for a reason is listed with it."""

from architecture.sources import functions, named, python

FILE_LINES = 350
FUNCTION_LINES = 60
LONGER_FILES: dict[str, str] = {}
LONGER_FUNCTIONS = {
    "services/actionbus/visibility/migrations/versions/v0001_first_tables.py:upgrade": "tables, one after the other",
}


def test_files_stay_short():
    """No file of the services has more than 350 lines, unless the list here says why."""
    longer = {
        named(file) for file in python("services") if len(file.read_text(encoding="utf-8").splitlines()) > FILE_LINES
    }
    assert longer - LONGER_FILES.keys() == set(), "split it by idea, or give the reason in LONGER_FILES"
    assert LONGER_FILES.keys() - longer == set(), "these entries are needed no more: take them out"


def test_functions_stay_short():
    """No function of the services has more than 60 lines, unless the list here says why."""
    longer = {
        f"{named(file)}:{name}"
        for file in python("services")
        for name, node in functions(file)
        if (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES
    }
    assert longer - LONGER_FUNCTIONS.keys() == set(), "give the parts names, or the reason in LONGER_FUNCTIONS"
    assert LONGER_FUNCTIONS.keys() - longer == set(), "these entries are needed no more: take them out"
