"""Folders of files through real processes: a worker is killed, and a judge compares files and rows."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "pipeline_demo.py"


def _demo(*arguments):
    done = subprocess.run(
        [sys.executable, str(DEMO), *arguments], capture_output=True, text=True, check=False, timeout=540
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kill -9") == 1
    assert done.stdout.endswith("The judge found nothing wrong.\n")


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("embedded_broker")  # where there is none, the demo cannot start its own
def test_no_row_is_lost_or_doubled_on_the_embedded_broker():
    """Rows are those of the good files, damaged files are in quarantine, and a delivery that failed left nothing."""
    _demo()


@pytest.mark.kafka
@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_row_is_lost_or_doubled_on_apache_kafka(apache_kafka):
    """The same on a Kafka that is given."""
    _demo("--kafka", apache_kafka.bootstrap)
