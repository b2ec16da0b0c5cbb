"""Offsets and commit metadata: nothing unfinished is ever skipped, nothing finished is repeated."""

from hypothesis import given
from hypothesis import strategies as st

from actionbus.worker import metadata
from actionbus.worker.metadata import Memo, Position
from actionbus.worker.offsets import Progress

LIMIT = 4_096


def test_a_fresh_partition_commits_where_it_began():
    """With nothing received, the committed position is the one that was found."""
    assert Progress(Position(offset=17), metadata_bytes=LIMIT).position(leaving=True) == Position(offset=17)


def test_the_prefix_waits_for_the_oldest_unfinished_record():
    """The committed offset never passes a record whose result is not acknowledged."""
    progress = Progress(Position(offset=0), metadata_bytes=LIMIT)
    for offset in range(10):
        assert progress.receive(offset)
    for offset in (1, 2, 3, 7, 9):
        progress.finish(offset)
    position = progress.position()
    assert position is not None
    assert position.offset == 0
    assert metadata.read(position).done == ((1, 4), (7, 8), (9, 10))


def test_a_restart_repeats_only_the_unfinished():
    """The next owner is told by the metadata which records above the offset to pass over."""
    first = Progress(Position(offset=0), metadata_bytes=LIMIT)
    for offset in range(8):
        first.receive(offset)
    for offset in (0, 2, 3, 6):
        first.finish(offset)
    committed = first.position()
    assert committed is not None
    second = Progress(committed, metadata_bytes=LIMIT)
    assert [offset for offset in range(committed.offset, 10) if second.receive(offset)] == [1, 4, 5, 7, 8, 9]


def test_markers_between_records_do_not_hold_the_offset_back():
    """Offsets at which there is no record, such as transaction markers, count as done."""
    progress = Progress(Position(offset=0), metadata_bytes=LIMIT)
    for offset in (0, 2, 5):
        progress.receive(offset)
        progress.finish(offset)
    assert progress.position(leaving=True) == Position(offset=6)


def test_damaged_metadata_repeats_work_and_loses_none():
    """Metadata that is not ours or is cut off is read as nothing done."""
    good = metadata.write(5, Memo(done=((7, 9), (1_000, 5_000)), begun={6: 1}, held=True))
    for text in ("", "someone else's", good[:-5] + "!!!=", "ab1:gICA", "ab1:AQ==", "ab1:AAE=", "ab1:.AQ==", good + "é"):
        assert metadata.read(Position(offset=5, metadata=text)) == Memo()


def test_a_full_partition_says_so_before_the_metadata_overflows():
    """A partition has no room long before its metadata could grow beyond the broker's limit."""
    progress = Progress(Position(offset=0), metadata_bytes=64)
    offset = 0
    while progress.room(1):
        progress.receive(offset)
        offset += 1
    assert 10 < offset < 64
    for each in range(1, offset, 2):
        progress.finish(each)
        position = progress.position()
        assert position is not None
        assert len(position.metadata) <= 64


def test_one_stuck_record_does_not_fill_the_metadata():
    """A million records may pass one that hangs, because a run costs a few bytes whatever its length."""
    progress = Progress(Position(offset=0), metadata_bytes=64)
    progress.receive(0)
    progress.receive(1_000_000)
    progress.finish(1_000_000)
    assert progress.room(1)
    position = progress.position()
    assert position is not None
    assert metadata.read(position).done == ((1, 1_000_001),)


def test_what_does_not_fit_is_not_committed_at_all():
    """When the metadata would not fit, there is nothing to commit, rather than something cut off."""
    progress = Progress(Position(offset=0), metadata_bytes=16)
    for offset in range(40):
        progress.receive(offset)
    for offset in range(1, 40, 2):
        progress.finish(offset)
    assert progress.position() is None
    for offset in range(40):
        progress.finish(offset)
    assert progress.position(leaving=True) == Position(offset=40)


@st.composite
def histories(draw):
    """Records at ascending offsets with gaps, and for each owner in turn which of its records finish, in what order."""
    gaps = draw(st.lists(st.integers(1, 300), min_size=1, max_size=60))
    records = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    owners = draw(st.lists(st.tuples(st.integers(0, len(records)), st.randoms()), min_size=1, max_size=4))
    return records, owners


@given(histories())
def test_any_history_of_owners_repeats_exactly_the_unfinished(history):
    """Whatever finishes in whatever order under however many owners, each new owner gets exactly what is unfinished."""
    records, owners = history
    committed, done = Position(offset=0), set()
    for count, random in owners:
        progress = Progress(committed, metadata_bytes=1_000_000)
        seen = [offset for offset in records[:count] if offset >= committed.offset]
        taken = [offset for offset in seen if progress.receive(offset)]
        assert taken == [offset for offset in seen if offset not in done]
        finished = random.sample(taken, random.randint(0, len(taken)))
        for offset in finished:
            progress.finish(offset)
        done.update(finished)
        position = progress.position()
        assert position is not None
        assert position.offset >= committed.offset
        assert all(offset in done for offset in records if offset < position.offset)
        said = metadata.read(position)
        again = Position(offset=position.offset, metadata=metadata.write(position.offset, said))
        assert metadata.read(again) == said
        committed = position


@given(st.integers(16, 400), st.lists(st.tuples(st.integers(1, 40_000), st.booleans()), max_size=300), st.randoms())
def test_respecting_room_never_overflows(limit, steps, random):
    """As long as nothing is received without room, every state can be committed within the limit."""
    progress = Progress(Position(offset=0), metadata_bytes=limit)
    offset, unfinished = 0, []
    for gap, finish in steps:
        if finish and unfinished:
            progress.finish(unfinished.pop(random.randrange(len(unfinished))))
        elif progress.room(1) or not unfinished:
            offset += gap
            if progress.receive(offset):
                unfinished.append(offset)
                progress.begin(offset)
        position = progress.position()
        assert position is not None
        assert len(position.metadata) <= limit


def test_what_a_killed_owner_may_have_begun_is_suspected():
    """After a kill whatever lay in the log then is suspected; after a good leave nothing is."""
    first = Progress(Position(offset=0), metadata_bytes=LIMIT)
    assert not first.deserted
    first.receive(0)
    left, killed = first.position(leaving=True), first.position()
    assert not Progress(left, metadata_bytes=LIMIT).deserted
    second = Progress(killed, metadata_bytes=LIMIT)
    assert second.deserted
    second.suspect_below(3)
    assert [second.suspected(offset) for offset in range(5)] == [True, True, True, False, False]


def test_what_is_begun_under_suspicion_is_counted_once_by_each_owner_that_is_killed():
    """The count outlives owners that are killed, an owner that leaves takes its own back, and what ends is forgotten."""
    committed = Position(offset=0)
    for times in (1, 2, 3):
        owner = Progress(committed, metadata_bytes=LIMIT)
        for offset in range(3):
            owner.receive(offset)
        assert owner.begin(1)
        assert owner.begin(1)
        committed = owner.position()
        assert metadata.read(committed).begun == {1: times}
    assert metadata.read(owner.position(leaving=True)).begun == {1: 2}
    owner.finish(1)
    assert metadata.read(owner.position()).begun == {}


def test_no_more_is_begun_under_suspicion_than_can_be_said():
    """Where the metadata has no room for another mark, the record waits."""
    progress = Progress(Position(offset=0), metadata_bytes=LIMIT)
    for offset in range(1_000):
        progress.receive(offset)
    begun = [offset for offset in range(1_000) if progress.begin(offset)]
    assert 0 < len(begun) < 1_000
    assert len(progress.position().metadata) <= LIMIT
    progress.finish(begun[0])
    assert progress.begin(999)
