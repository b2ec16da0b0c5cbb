"""Values that somebody hands to a run."""

from actionbus.contracts import identifiers
from actionbus.contracts.limits import Limits
from actionbus.engine.transition import Outcome
from engine.graphs import ref, sequence, step, wait, workflow
from engine.matchers import has_ended, is_refused, live, story, told
from engine.play import Play, started


def waits():
    """A workflow that waits twice for the same signal, after a step."""
    return workflow(step("a"), wait("w", "go"), wait("v", "go"), output=[ref("steps", "w"), ref("steps", "v")])


def test_a_signal_that_comes_early_is_kept():
    """It is taken when something waits for it, once, and in the order in which signals came."""
    play = started(waits())
    play.signals("go", 1)
    play.signals("go", 2)
    assert [signal.payload for signal in play.run.signals] == [b"1", b"2"]
    play.succeeds("a")
    assert play.run.output == b"[1,2]"


def test_one_early_signal_serves_one_wait():
    """The second wait goes on waiting."""
    play = started(waits())
    play.signals("go", 1)
    play.succeeds("a")
    assert [scope.path for scope in play.run.scopes] == ["", "v"]
    assert play.run.signals == ()


def test_a_repeated_signal_is_delivered_once():
    """The same request twice has one effect, also after the run went on."""
    play = started(waits())
    play.signals("go", 1, request_id="s-1")
    assert play.signals("go", 1, request_id="s-1").outcome is Outcome.REPEATED
    play.succeeds("a")
    assert play.signals("go", 1, request_id="s-1").outcome is Outcome.REPEATED
    assert [scope.path for scope in play.run.scopes] == ["", "v"]
    assert "carried out before" in told(play.last.event)[0]


def test_a_key_is_good_for_one_signal():
    """The same key with another value is refused, while the first one waits and after it was taken."""
    play = started(waits())
    first, other = (identifiers.fingerprinted("k", content) for content in (b"1", b"2"))
    play.signals("go", 1, request_id=first)
    for goes_on in (lambda: play.succeeds("a"), lambda: None):
        is_refused(play.signals("go", 2, request_id=other), "the idempotency key k was used for another request")
        assert play.signals("go", 1, request_id=first).outcome is Outcome.REPEATED
        goes_on()


def test_only_so_many_requests_are_remembered():
    """The oldest ids make room, so that a run does not grow with what is asked of it."""
    play = started(workflow(wait("w", "go"), limits=Limits(requests_kept=2, signals_buffered=9)))
    for number in range(5):
        play.pauses() if number % 2 == 0 else play.resumes()
    assert len(play.run.requests) == 2


def test_a_signal_that_nothing_knows():
    """A name that the workflow never waits for is refused with those it knows."""
    is_refused(started(waits()).signals("gone"), "waits for no signal 'gone'; the signals it knows: go")
    is_refused(started(workflow(step("a"))).signals("go"), "the signals it knows: none")


def test_too_many_early_signals():
    """What nothing waits for is bounded."""
    play = started(workflow(step("a"), wait("w", "go"), limits=Limits(signals_buffered=1)))
    play.signals("go", 1)
    is_refused(play.signals("go", 2), "no room for one more")
    assert len(play.run.signals) == 1


def test_a_signal_that_is_too_large():
    """A payload has a limit here as well."""
    play = started(workflow(wait("w", "go"), limits=Limits(payload_bytes=10)))
    is_refused(play.signals("go", "x" * 20), "does not fit")


def test_a_run_that_undoes_takes_no_signals():
    """Nothing will wait for it any more; what was kept is gone."""
    play = started(workflow(step("a", undo="u"), wait("w", "go")))
    play.signals("go")
    play.fails("a")
    assert play.run.signals == ()
    is_refused(play.signals("go"), "undoes what it did")
    play.undoes("a")
    is_refused(play.signals("go"), "the run has ended already")


def test_a_signal_starts_the_run_if_there_is_none():
    """The run begins with the input that came along, and meets the signal when it waits."""
    definition = workflow(sequence("s", wait("w", "go")), step("a", input=ref("input")))
    play = Play(definition)
    play.signals_with_start("go", 1, {"n": 2})
    assert live(play.run) == {"a": "SCHEDULED"}
    assert play.sent[0].input == b'{"n":2}'
    assert "run_started" in " ".join(story(play))
    assert play.run.signals == ()


def test_a_signal_with_start_meets_a_run():
    """It is delivered to the run that is there, once."""
    play = Play(waits())
    play.signals_with_start("go", 1)
    play.signals_with_start("go", 2, request_id="signal-2")
    assert play.signals_with_start("go", 1).outcome is Outcome.REPEATED
    assert play.signals_with_start("go", 2, request_id="signal-2").outcome is Outcome.REPEATED
    play.succeeds("a")
    assert play.run.output == b"[1,2]"
    has_ended(play, "COMPLETED")


def test_a_signal_that_is_refused_starts_nothing():
    """Either both happen or neither."""
    play = Play(waits())
    is_refused(play.signals_with_start("gone", 1), "waits for no signal")
    assert play.run is None
