"""A projector that is killed in the middle of a burst leaves the tables of an undisturbed run."""

import pytest

from integration.installation import Installation, Service
from projector import looking, traffic
from projector.test_projector import undisturbed

KAFKA = pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.java])
NAMED = {"ACTIONBUS_PROJECTOR_GROUP_INSTANCE_ID": "one"}  # it has its share back at once
UNNAMED = {"ACTIONBUS_PROJECTOR_SESSION_TIMEOUT_MS": "6000"}  # for so long the group waits for the one that is dead


@pytest.mark.slow
async def test_a_killed_projector_leaves_the_same_rows(connection, settings, database, tmp_path):
    """After kill -9 at several places of a burst the next process goes on, and all rows are equal."""
    await _kill(settings, connection, database, tmp_path, NAMED, (0.05, 0.3, 0.6))


@pytest.mark.slow
@pytest.mark.parametrize("broker", [KAFKA], indirect=True)  # the embedded one never gives up a dead, nameless member
async def test_a_killed_projector_without_a_name_leaves_the_same_rows(connection, settings, database, tmp_path):
    """Also where each process is a new member, which gets its share when the session of the dead one is over."""
    await _kill(settings, connection, database, tmp_path, UNNAMED, (0.05, 0.5))


async def _kill(settings, connection, database, folder, membership, shares):  # noqa: PLR0917 - fixtures and what differs
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, 1_500)
    expected = await undisturbed(database, events)
    await traffic.write(connection, names, events)
    made = Installation(bootstrap=connection.bootstrap_servers, prefix=settings.prefix, folder=folder, app=folder)
    more = {
        "ACTIONBUS_VISIBILITY_URL": settings.visibility.url.get_secret_value(),
        "ACTIONBUS_PROJECTOR_BATCH_EVENTS": "100",
        **membership,
    }
    service = Service("projector", ["run", "projector"], made.environment | more, folder)
    try:
        for share in shares:
            service.start()
            await looking.until_at_least(database, int(len(events) * share))
            service.kill()
            assert await looking.count(database) < len(events), "the burst is over: it has to be longer"
        service.start()
        await looking.until(database, len(events))
        service.wait_ready()
        assert service.metric("actionbus_projector_events_total") > 0
        assert service.stop() == 0, service.output
    finally:
        service.kill()
    assert await looking.everything(database, times=False) == expected
