"""The ground that faults are played on in the suite: the brokers and the database that all tests share."""

import pytest

from faults.ground import Ground


@pytest.fixture
def ground(request: pytest.FixtureRequest, tmp_path) -> Ground:
    """Each part is made when a fault asks for it."""

    def cluster(size: int):
        return request.getfixturevalue("apache_kafka" if size == 1 else "apache_kafka_3")

    return Ground(tmp_path, cluster, lambda: request.getfixturevalue("postgres_url"))
