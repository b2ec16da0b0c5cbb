"""What a step costs in a run that has gone far: time and bytes from its 10th step to its 10,000th. No broker is needed.

``python benchmarks/growth.py`` prints a table. A run is a long sequence, a loop, or a list of 10,000 items, 50 at once.
The cost of a step is that of its transition alone; what a shard adds to it, reading and writing, does not grow either.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import process_time_ns
from typing import Final

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.decisions import Call
from actionbus.contracts.definitions import ActionSpec, Graph
from actionbus.contracts.nodes import MapNode, Node, RepeatNode, SequenceNode, StepNode
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import WorkflowRun
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.inputs import Input, ResultReceived, StartRequested

STEPS: Final = 10_000
WINDOW: Final = 1_000  # steps that one figure is the middle of
NOW: Final = 1_790_000_000_000


@dataclass(slots=True)
class Costs:
    """What each transition took, in nanoseconds of CPU, and how large the run was after some of them."""

    took: list[int] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)

    def middle(self, first: int) -> float:
        """Microseconds of a step in the middle of a window that begins there."""
        window = sorted(self.took[first : first + WINDOW])
        return window[len(window) // 2] / 1_000


def main() -> None:
    """Measure the three and print what they cost."""
    print("run | us/step from 10 | us/step to 10,000 | growth | bytes at 10 | bytes at 10,000 | longest ms")
    for name, graph, paths in (
        (
            "sequence",
            _graph(SequenceNode(id="s", nodes=tuple(_step(f"a{each}") for each in range(STEPS)))),
            _rows("s.a{}"),
        ),
        ("repeat", _graph(RepeatNode(id="r", body=_step("a"), limit=STEPS)), _rows("r[{}]")),
        ("map", _graph(MapNode(id="m", items={"$ref": ["input"]}, body=_step("a"), concurrency=50)), _rows("m[{}]")),
    ):
        costs = _play(Definition(graph, run_retention_ms=1), paths, list(range(STEPS)) if name == "map" else None)
        first, last = costs.middle(10), costs.middle(len(costs.took) - WINDOW - 60)
        near, far = costs.sizes[10], costs.sizes[STEPS - 60]
        longest = max(costs.took) / 1_000_000
        print(f"{name} | {first:.0f} | {last:.0f} | {last / first:.2f} | {near} | {far} | {longest:.1f}")


def _rows(pattern: str) -> Iterator[str]:
    return (pattern.format(each) for each in range(STEPS))


def _step(name: str) -> StepNode:
    return StepNode(id=name, call=Call(action="a", input={}))


def _graph(node: Node) -> Graph:
    root = SequenceNode(id="root", nodes=(node,))
    return Graph(name="growth", version="1", root=root, actions={"a": ActionSpec(id="a")})


def _play(definition: Definition, paths: Iterator[str], value: object) -> Costs:
    request = WorkflowRequest(
        request_id="s", run_id="r", kind=RequestKind.START, workflow="growth", payload=payloads.encode(value)
    )
    costs = Costs()
    run = _give(definition, None, StartRequested(request=request, incarnation="0"), costs)
    for number, path in enumerate(paths):
        key = identifiers.step_key("r", "0", path)
        text = identifiers.command_id(key, 1)
        result = ActionResult(
            command_id=text, step_key=key, run_id="r", kind=ResultKind.SUCCEEDED, nonce="", output=b"{}"
        )
        run = _give(definition, run, ResultReceived(result=result, command=identifiers.parse_command_id(text)), costs)
        if number in (10, STEPS - 60):
            costs.sizes[number] = len(run.model_dump_json())
    return costs


def _give(definition: Definition, run: WorkflowRun | None, event: Input, costs: Costs) -> WorkflowRun:
    before = process_time_ns()
    made = advance(definition, run, event, NOW, len(costs.took) + 1)
    costs.took.append(process_time_ns() - before)
    if made.run is None:
        raise AssertionError(f"the run is gone: {made}")
    return made.run


if __name__ == "__main__":
    main()
