"""The demo as a newcomer runs it: a list of signups, two kills, and a judge who looks at the outside world only."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).parents[2] / "examples" / "signup_demo" / "run.py"


def _demo(*arguments):
    done = subprocess.run(
        [sys.executable, str(RUN), *arguments], capture_output=True, text=True, check=False, timeout=540
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("embedded_broker")  # where there is none, the demo cannot start its own
def test_the_judge_finds_nothing_wrong_on_the_embedded_broker():
    """Every signup is whole or wholly undone, although a worker and the orchestrator were killed on the way."""
    code, said = _demo()
    assert code == 0, said
    assert said.count("kill -9") == 2
    assert "The judge found nothing wrong." in said


@pytest.mark.kafka
@pytest.mark.java
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_judge_finds_nothing_wrong_on_apache_kafka(apache_kafka):
    """The same on a Kafka that is given, where nothing of the demo stays behind."""
    code, said = _demo("--kafka", apache_kafka.bootstrap)
    assert code == 0, said
    assert "The judge found nothing wrong." in said


def test_a_broker_that_is_not_there_is_said():
    """An address where nobody listens ends the demo with a sentence and 1."""
    code, said = _demo("--kafka", "127.0.0.1:9")
    assert code == 1
    assert "127.0.0.1:9" in said
