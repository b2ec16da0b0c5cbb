"""What a run has to remember."""

from engine.graphs import call, emit, fallback, on, ref, sequence, step, workflow
from engine.matchers import live
from engine.play import started

INPUT = "\0input"


def forgotten(*nodes, **fields):
    """What is forgotten when which node has finished."""
    return {path: set(sources) for path, sources in workflow(*nodes, **fields).liveness.forget.items()}


def test_an_output_that_nothing_reads_is_never_kept():
    """A step that nobody reads leaves nothing behind."""
    assert workflow(step("a"), step("b")).liveness.read == set()


def test_the_last_reader_decides():
    """An output is forgotten when the last node that reads it has finished; what the result reads stays."""
    nodes = (
        step("a"),
        step("b"),
        step("c", input=[ref("steps", "a"), ref("input")]),
        emit("d", "t", ref("steps", "b")),
    )
    assert forgotten(*nodes) == {"c": {"a", INPUT}, "d": {"b"}}
    assert forgotten(*nodes, output=ref("steps", "b", "x")) == {"c": {"a", INPUT}}


def test_of_many_readers_the_last_one_decides():
    """However many nodes read an output, it stays until the last of them in reading order has finished."""
    nodes = [step("a"), *(step(name, input=[ref("steps", "a"), ref("input")]) for name in "bcd"), step("e")]
    assert forgotten(*nodes) == {"d": {"a", INPUT}}


def test_rules_and_undos_read_until_their_step_has_finished():
    """Whatever a step may still ask for is kept until it is done, with or without its fallback."""
    play = started(
        workflow(
            step("a"),
            step("b", on(None, fallback("f", a=ref("steps", "a"))), undo=call("u", n=ref("input"))),
            step("c"),
        ),
        5,
    )
    play.succeeds("a", 1)
    assert live(play.run) == {"a": "SUCCEEDED", "b": "SCHEDULED"}
    assert play.run.input == b"5"
    play.succeeds("b")
    assert live(play.run) == {"c": "SCHEDULED"}
    assert play.run.input is None


def test_a_reader_in_a_nested_sequence():
    """An output that is read inside a sequence is forgotten when that reader's sequence has, if it comes from outside."""
    nodes = (
        step("a"),
        sequence("s", step("b"), step("c", input=[ref("steps", "a"), ref("steps", "b")]), step("d")),
        step("e"),
    )
    assert forgotten(*nodes) == {"s": {"a"}, "s.c": {"s.b"}}


def test_a_long_sequence_costs_no_more_than_a_short_one():
    """The state of a run does not grow with the steps behind it."""
    count = 2_000
    nodes = [step("s0")]
    nodes += [step(f"s{number}", input=ref("steps", f"s{number - 1}")) for number in range(1, count)]
    play = started(workflow(*nodes, output=ref("steps", f"s{count - 1}")))
    sizes = []
    for number in range(count - 1):
        play.succeeds(f"s{number}", {"n": 10_000 + number})
        assert len(play.run.steps) == 2
        sizes.append(len(play.run.model_dump_json()))
    assert max(sizes[100:]) <= max(sizes[:100]) + 20
    play.succeeds(f"s{count - 1}", "done")
    assert play.run.output == b'"done"'
