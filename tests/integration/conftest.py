"""What every integration test needs: an installation on a fresh prefix, and a ledger to judge by."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.installation import Installation
from integration.oracle import Ledger

APP = Path(__file__).with_name("ledger_app.py")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger."""
    return Ledger(tmp_path)


@pytest.fixture
def installation(broker, prefix: str, ledger: Ledger, tmp_path: Path) -> Iterator[Installation]:
    """Topics and definitions of the ledger app on the broker under test; no service runs yet."""
    made = Installation(
        bootstrap=broker.bootstrap,
        prefix=prefix,
        folder=tmp_path,
        app=APP,
        stores={"ledger": ledger.url},
        extra={"LEDGER_NOTICES": str(ledger.notices)},
    )
    try:
        made.prepare()
        yield made
    finally:
        made.close()
