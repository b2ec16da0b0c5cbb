"""Records the histories that are not there yet: ``python -m histories`` in the folder of the tests.

A history that is there stays as it is: it is the promise that runs of an earlier version go on in this one. To change one on
purpose, remove its file, record it again, and say in the commit why runs that are under way may change their course.
"""

from histories.history import FOLDER, record
from histories.scenarios import SCENARIOS

for scenario in SCENARIOS:
    file = FOLDER / f"{scenario.__name__.replace('_', '-')}.json"
    if not file.exists():
        file.write_text(record(scenario(), scenario.__doc__ or ""), encoding="utf-8")
        print(f"recorded {file.name}")  # noqa: T201 - a command line prints
