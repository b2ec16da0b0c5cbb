"""Orders of every kind through real processes: people answer, two kills, and a judge who looks at the outside world."""

import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "examples" / "order_demo.py"


def _demo(*arguments):
    done = subprocess.run(
        [sys.executable, str(DEMO), *arguments], capture_output=True, text=True, check=False, timeout=540
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kill -9") == 2
    assert done.stdout.endswith("The judge found nothing wrong.\n")


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("embedded_broker")  # where there is none, the demo cannot start its own
def test_no_order_is_lost_or_paid_twice_on_the_embedded_broker():
    """Goods, money, parcels and invoices agree for every order, although a worker and the orchestrator were killed."""
    _demo()


@pytest.mark.kafka
@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_order_is_lost_or_paid_twice_on_apache_kafka(apache_kafka):
    """The same on a Kafka that is given."""
    _demo("--kafka", apache_kafka.bootstrap)
