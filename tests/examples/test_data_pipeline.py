"""The pipeline example, run without Kafka on real files and a real database, and its judge."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from actionbus.sdk import registry
from actionbus.testing import answers, run_workflow
from pipeline_world import deliveries, judge

EXAMPLES = Path(__file__).parents[2] / "examples"
LOAD_FOLDER = registry.load(str(EXAMPLES / "data_pipeline.py")).workflows["load-folder", "1"]


class Office:
    """A folder for deliveries, a quarantine and a database."""

    def __init__(self, folder):
        self.march, self.quarantine, self.database = folder / "march", folder / "quarantine", folder / "rows.sqlite"

    def load(self, **options):
        """Run one delivery to its end."""
        given = {"folder": str(self.march), "quarantine": str(self.quarantine)}
        return run_workflow(LOAD_FOLDER, given, stores={"default": f"sqlite:///{self.database}"}, **options)

    def look(self):
        """The world as it is now."""
        return judge.look(self.march, self.quarantine, self.database)


@pytest.fixture
def office(tmp_path):
    """An empty one."""
    return Office(tmp_path)


def test_a_good_delivery_is_loaded(office):
    """Every row is there once, and the summary counts them."""
    delivered = deliveries.deliver(office.march, files=12, damaged=0)
    run = office.load()
    assert (run.result.loaded, run.result.quarantined, run.result.rows) == (12, 0, sum(delivered.values()))
    assert list(judge.violations(delivered, office.look(), completed=True)) == []


def test_one_damaged_file_in_ten_is_set_aside(office):
    """It goes into quarantine with its reason, and the others are loaded."""
    delivered = deliveries.deliver(office.march, files=20, damaged=2)
    run = office.load()
    assert (run.result.loaded, run.result.quarantined) == (18, 2)
    assert list(judge.violations(delivered, office.look(), completed=True)) == []


def test_one_more_and_nothing_stays(office):
    """The run fails with the first damage too many, and what was loaded is taken out again."""
    delivered = deliveries.deliver(office.march, files=20, damaged=3)
    run = office.load()
    assert (run.status, run.error.type) == ("FAILED", "Damaged")
    assert run.called("unload-file")
    assert list(judge.violations(delivered, office.look(), completed=False)) == []


@pytest.mark.parametrize("damage", deliveries.DAMAGES)
def test_every_damage_is_found_and_named(office, damage):
    """No row of a damaged file is loaded, whatever is wrong with it."""
    deliveries.deliver(office.march, files=19, damaged=0)
    office.march.joinpath("march-999.csv").write_bytes(deliveries.DAMAGES[damage])
    assert office.load().result.quarantined == 1
    world = office.look()
    assert world.quarantined["march-999.csv"].startswith("march-999.csv")
    assert not world.rows["march-999.csv"]


def test_the_reason_names_the_line(office):
    """Whoever repairs a file is told where."""
    deliveries.deliver(office.march, files=19, damaged=0)
    office.march.joinpath("march-999.csv").write_bytes(deliveries.DAMAGES["no number"])
    office.load()
    assert office.look().quarantined["march-999.csv"].startswith("march-999.csv, line 2: value: ")


def test_an_empty_folder_is_no_mistake(office):
    """There is nothing to load, and the summary says so."""
    office.march.mkdir()
    result = office.load().result
    assert (result.loaded, result.quarantined, result.rows) == (0, 0, 0)


def test_a_disk_that_fails_is_no_damage(office):
    """What is wrong with the machine is tried again, and puts no file into quarantine."""
    deliveries.deliver(office.march, files=1, damaged=0)
    run = office.load(actions={"load-file": answers(OSError("no such device"), 5)})
    assert run.result.quarantined == 0
    assert len(run.called("load-file")) == 2


DELIVERED = {"a.csv": 3, "b.csv": 0}
WHOLE = judge.World(
    waiting=frozenset({"a.csv"}),
    quarantined={"b.csv": "b.csv has no rows"},
    rows=Counter({"a.csv": 3}),
    summaries=((1, 1, 3),),
)
UNDONE = judge.World(waiting=frozenset(DELIVERED))


@pytest.mark.parametrize(
    ("world", "completed", "words"),
    [
        (replace(WHOLE, rows=Counter()), True, "a.csv: 0 rows in the database, not 3"),
        (replace(WHOLE, rows=Counter({"a.csv": 6})), True, "a.csv: 6 rows"),
        (replace(WHOLE, rows=Counter({"a.csv": 3, "c.csv": 1})), True, "c.csv: 1 rows"),
        (replace(WHOLE, waiting=frozenset()), True, "a.csv is not in exactly one place"),
        (replace(WHOLE, waiting=frozenset(DELIVERED)), True, "b.csv is not in exactly one place"),
        (replace(WHOLE, quarantined={"b.csv": ""}), True, "b.csv is in quarantine without a reason"),
        (replace(WHOLE, waiting=frozenset(DELIVERED), quarantined={}), True, "b.csv is damaged and not in quarantine"),
        (replace(WHOLE, waiting=frozenset(), quarantined={"a.csv": "?", "b.csv": "?"}), True, "was not damaged"),
        (replace(WHOLE, summaries=()), True, "the summaries are ()"),
        (replace(UNDONE, rows=Counter({"a.csv": 3})), False, "a.csv: 3 rows in the database, not 0"),
        (replace(UNDONE, summaries=((1, 1, 3),)), False, "the summaries are"),
    ],
)
def test_a_broken_promise_is_named(world, completed, words):
    """The judge names everything that is missing, doubled or left behind, and accepts what is whole or undone."""
    assert list(judge.violations(DELIVERED, WHOLE, completed=True)) == []
    assert list(judge.violations(DELIVERED, UNDONE, completed=False)) == []
    found = list(judge.violations(DELIVERED, world, completed=completed))
    assert any(words in each for each in found), found
