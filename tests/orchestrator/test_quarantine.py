"""Who is to blame when a transaction is refused again and again."""

from actionbus.contracts.errors import AccessRefused, BatchTooLarge, Refused, TopicMissing, Unavailable
from actionbus.contracts.records import InRecord
from actionbus.orchestrator.firing import Firing
from actionbus.orchestrator.quarantine import Quarantine

ROUNDS = 3


def _records(count: int) -> list[InRecord]:
    return [
        InRecord(topic="results", partition=0, offset=number, timestamp_ms=0, key=None, value=None)
        for number in range(count)
    ]


def _hunt(guilty: set[int], count: int = 100) -> tuple[set[int], int]:
    """Whom a quarantine condemns when every batch with a guilty one is refused; and after how many refusals."""
    quarantine, left, condemned, refusals = Quarantine(ROUNDS), _records(count), set(), 0
    while left:
        batch = left[: quarantine.cap or len(left)]
        sentenced = {each.offset for each in batch if quarantine.sentence(each) is not None}
        condemned |= sentenced
        if {each.offset for each in batch} & guilty - sentenced:
            refusals += 1
            quarantine.failed(batch, BatchTooLarge(), foreign=False)
        else:
            quarantine.passed(batch)
            left = left[len(batch) :]
    return condemned, refusals


def test_the_guilty_one_is_found_by_halving() -> None:
    """Exactly the one, wherever it stands, in few rounds."""
    for guilty in (0, 1, 49, 50, 98, 99):
        condemned, refusals = _hunt({guilty})
        assert condemned == {guilty}
        assert refusals <= ROUNDS + 8


def test_several_guilty_ones_are_found_one_after_the_other() -> None:
    """Nobody else pays."""
    assert _hunt({3, 4, 70})[0] == {3, 4, 70}


def test_the_state_of_the_world_blames_nobody() -> None:
    """Silence, and a topic of our own that is missing or closed, can fail as often as they like."""
    quarantine = Quarantine(ROUNDS)
    for cause in (None, Unavailable("x"), TopicMissing("ours"), AccessRefused("ours")):
        for _ in range(20):
            quarantine.failed(_records(1), cause, foreign=False)
        assert quarantine.sentence(_records(1)[0]) is None
        assert quarantine.cap is None


def test_a_foreign_topic_blames_who_writes_to_it() -> None:
    """The same refusals about a topic that an action emits to."""
    quarantine = Quarantine(ROUNDS)
    for _ in range(ROUNDS):
        quarantine.failed(_records(1), AccessRefused("theirs"), foreign=True)
    assert quarantine.sentence(_records(1)[0]) is not None


def test_refusals_with_a_success_between_them_do_not_add_up() -> None:
    """Only the same failure, again and again, is a property of an input."""
    quarantine = Quarantine(ROUNDS)
    for _ in range(10):
        quarantine.failed(_records(5), Refused("x"), foreign=False)
        quarantine.passed(_records(1))
    assert quarantine.cap is None


def test_an_input_condemned_again_is_judged_more_severely_and_a_timer_can_be_pardoned() -> None:
    """First a failure, then a dead letter only, then nothing; a timer is tried again as it is."""
    quarantine, firing = Quarantine(ROUNDS), Firing(run_id="r1")
    for severity in (1, 2, 3):
        quarantine.condemn(firing, Refused("x"))
        assert quarantine.sentence(firing).severity == severity
    quarantine.pardon(firing)
    assert quarantine.sentence(firing) is None
