"""One whole installation with a gateway for all tests of a file."""

from collections.abc import Iterator

import httpx
import pytest

from gateway.served import Served, serving


@pytest.fixture(scope="module")
def served(embedded_broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway that answers, on the broker for development and SQLite."""
    with serving(embedded_broker, tmp_path_factory.mktemp("gateway")) as made:
        yield made


@pytest.fixture
async def http(served: Served):
    """Asks the gateway."""
    async with served.client() as client:
        yield client


@pytest.fixture
async def waiting(http: httpx.AsyncClient) -> str:
    """A run that waits for an item."""
    reply = await http.post("/v1/runs", json={"workflow": "basket", "input": 100})
    assert reply.status_code == 201, reply.text
    return reply.json()["run_id"]
