"""Shapes: what a workflow writes for each of them becomes its node, and what cannot be run is refused with its line."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app import Mail, Signup, User, create_user, graph_of, queue_letter, ref, send_mail, step_of, take

from actionbus import Flow, cel, rule
from actionbus.contracts.decisions import Call, Compensate, ContinueWith, Pause, Retry, RetryPolicy, Rule
from actionbus.contracts.nodes import (
    BlockRule,
    Case,
    ChooseNode,
    Handle,
    MapNode,
    ParallelNode,
    RaiseNode,
    RepeatNode,
    SequenceNode,
    SetNode,
    SleepNode,
    StepNode,
    TryNode,
    WaitNode,
)

HERE = Path(__file__).name


def expression(text: str, **names: Any) -> dict[str, Any]:
    """An expression as it stands in a graph."""
    return {"$cel": text, "with": names} if names else {"$cel": text}


def block(name: str, *nodes: Any, output: Any = None) -> SequenceNode:
    """The node of a block."""
    return SequenceNode(id=name, nodes=nodes, output=output)


def use(name: str, value: Any) -> StepNode:
    """The node of ``flow.run(take(value), id=name)``."""
    return StepNode(id=name, call=Call(action="take", input={"value": value}))


def nodes_of(body: Any, given: Any = Signup) -> tuple[Any, ...]:
    """The nodes of a workflow whose body is this function."""
    return graph_of(body, given).root.nodes


def test_choose():
    """Each case is a condition and a sequence that gives what its function returns."""

    def body(flow: Flow, signup: Any) -> Any:
        mail = flow.choose(
            (cel("name == 'Ann'", name=signup.name), lambda: flow.run(send_mail(signup.email))),
            otherwise=lambda: flow.run(queue_letter("1")),
        )
        return flow.run(take(mail.message_id))

    assert nodes_of(body) == (
        ChooseNode(
            id="choose",
            cases=(
                Case(
                    when=expression("name == 'Ann'", name=ref("input", "name")),
                    then=block(
                        "choose-case-1",
                        StepNode(id="send-mail", call=Call(action="send-mail", input={"email": ref("input", "email")})),
                        output=ref("steps", "send-mail"),
                    ),
                ),
            ),
            otherwise=block(
                "choose-otherwise",
                StepNode(id="queue-letter", call=Call(action="queue-letter", input={"user_id": "1"})),
                output=ref("steps", "queue-letter"),
            ),
        ),
        use("take", ref("steps", "choose", "message_id")),
    )


def test_parallel():
    """Each branch is a sequence, and its value a part of the node's list."""

    def body(flow: Flow, _: Any) -> Any:
        a, b = flow.parallel(lambda: flow.run(take(1), id="a"), lambda: flow.output(Mail, message_id="x"))
        return flow.run(take([a, b.copies]))

    assert nodes_of(body) == (
        ParallelNode(
            id="parallel",
            branches=(
                block("parallel-branch-1", use("a", 1), output=ref("steps", "a")),
                block("parallel-branch-2", output={"message_id": "x", "copies": 1}),
            ),
        ),
        use("take", [ref("steps", "parallel", 0), ref("steps", "parallel", 1, "copies")]),
    )


def test_first():
    """The race stands in a sequence that gives the value of the winner."""
    race = "first-race"
    winner = expression("(branches.filter(each, each != null) + [null])[0]", branches=ref("steps", race))
    assert nodes_of(lambda flow, _: flow.first(lambda: 1, lambda: 2)) == (
        SequenceNode(
            id="first",
            nodes=(
                ParallelNode(
                    id=race,
                    branches=(block(f"{race}-branch-1", output=1), block(f"{race}-branch-2", output=2)),
                    enough=1,
                ),
            ),
            output=winner,
        ),
    )


def test_map():
    """The item and its place are read from the scope of the node; the limits stand beside it."""

    def body(flow: Flow, user: Any) -> Any:
        return flow.map(
            user.mails,
            lambda mail, at: flow.run(take([mail.copies, at])),
            concurrency=3,
            may_fail_percent=5,
            id="mails",
        )

    graph = graph_of(body, User)
    assert graph.root.nodes == (
        MapNode(
            id="mails",
            items=ref("input", "mails"),
            body=block(
                "mails-item",
                use("take", [ref("scope", "mails", "item", "copies"), ref("scope", "mails", "index")]),
                output=ref("steps", "take"),
            ),
            concurrency=3,
            may_fail_percent=5,
        ),
    )
    assert graph.output == ref("steps", "mails")


def test_repeat():
    """The turn is read from the scope of the node, in the body and in both conditions."""

    def body(flow: Flow, _: Any) -> Any:
        return flow.repeat(
            lambda turn: flow.run(take([turn.number, turn.last])),
            while_=lambda turn: cel("n < 3", n=turn.number),
            until=lambda result: cel("has(r.done)", r=result),
            limit=7,
        )

    assert nodes_of(body) == (
        RepeatNode(
            id="repeat",
            body=block(
                "repeat-turn",
                use("take", [ref("scope", "repeat", "turn"), ref("scope", "repeat", "last")]),
                output=ref("steps", "take"),
            ),
            while_=expression("n < 3", n=ref("scope", "repeat", "turn")),
            until=expression("has(r.done)", r=ref("scope", "repeat", "last")),
            limit=7,
        ),
    )


def test_waits():
    """A signal has the schema of its type; times are milliseconds, templates or text."""

    def body(flow: Flow, given: Any) -> None:
        flow.wait_for("approved", Mail, timeout="3d", on_timeout=lambda: Mail("late"))
        flow.sleep("5m")
        flow.sleep(given["ms"])
        flow.sleep_until(datetime(2026, 12, 24, 18, tzinfo=UTC))
        flow.sleep_until(given["at"], id="at")

    wait, *sleeps = nodes_of(body, Any)
    assert isinstance(wait, WaitNode)
    assert (wait.id, wait.signal, wait.timeout_ms) == ("wait-approved", "approved", 259_200_000)
    assert wait.payload_schema["required"] == ["message_id", "copies"]
    assert wait.on_timeout == block("wait-approved-timeout", output={"message_id": "late", "copies": 1})
    assert sleeps == [
        SleepNode(id="sleep", for_ms=300_000),
        SleepNode(id="sleep-2", for_ms=ref("input", "ms")),
        SleepNode(id="sleep-3", until="2026-12-24T18:00:00+00:00"),
        SleepNode(id="at", until=ref("input", "at")),
    ]


def test_attempt():
    """A block has rules of its own, with a handler that reads the failure, and what always follows."""

    def body(flow: Flow, _: Any) -> Any:
        return flow.attempt(
            lambda: flow.run(take(1), id="a"),
            on_failure=[
                rule("Busy").retry(),
                rule("Full").handle(lambda failure: flow.run(take(failure.message), id="h"), undo=False),
                rule("Odd").continue_with(Mail("none")),
                rule.any.compensate(),
            ],
            always=lambda: flow.run(take(2), id="z"),
            timeout="5m",
        )

    assert nodes_of(body) == (
        TryNode(
            id="attempt",
            timeout_ms=300_000,
            body=block("attempt-block", use("a", 1), output=ref("steps", "a")),
            rules=(
                BlockRule(error_type="Busy", then=Retry(policy=RetryPolicy())),
                BlockRule(
                    error_type="Full",
                    undo=False,
                    then=Handle(
                        node=block(
                            "attempt-handler-2",
                            use("h", ref("scope", "attempt", "error", "message")),
                            output=ref("steps", "h"),
                        )
                    ),
                ),
                BlockRule(error_type="Odd", then=ContinueWith(value={"message_id": "none", "copies": 1})),
                BlockRule(then=Compensate()),
            ),
            always=block("attempt-always", use("z", 2), output=ref("steps", "z")),
        ),
    )


def test_compute_and_fail():
    """A computed value is a node, and so is a failure; what follows a failure is never reached."""

    def body(flow: Flow, user: Any) -> User:
        total = flow.compute("a * b", int, a=user.pair[0], b=2)
        flow.fail("CardRefused", cel("'no ' + n", n=user.email), details={"total": total})

    assert nodes_of(body, User) == (
        SetNode(id="compute", value=expression("a * b", a=ref("input", "pair", 0), b=2)),
        RaiseNode(
            id="fail",
            error_type="CardRefused",
            message=expression("'no ' + n", n=ref("input", "email")),
            details={"total": ref("steps", "compute")},
        ),
    )


def test_a_rule_with_a_condition():
    """The failure is bound to its names, beside what the author binds; a pause is a decision too."""
    step = step_of(lambda flow, s: flow.run(take(1), on_failure=[rule("X").when("attempt < n", n=s.name).pause()]))
    given = {name: ref(name) for name in ("error", "attempt", "elapsed_ms")}
    assert step.rules == (
        Rule(error_type="X", when=expression("attempt < n", **given, n=ref("input", "name")), then=Pause()),
    )


def test_a_part_that_every_branch_gives():
    """Where branches give different types, a field that all of them have can be read, with the types of all."""

    def body(flow: Flow, signup: Any) -> Any:
        either = flow.choose((cel("true"), lambda: flow.run(create_user("a"))), otherwise=lambda: signup)
        return flow.run(send_mail(either.email))

    assert step_of(body).call.input == {"email": ref("steps", "choose", "email")}


def test_expressions_stand_wherever_a_value_may():
    """In arguments, in models, in other expressions; their type is not known."""
    step = step_of(lambda flow, s: flow.run(send_mail(cel("a + b", a=s.email, b=cel("'x'")))))
    assert step.call.input == {"email": expression("a + b", a=ref("input", "email"), b=expression("'x'"))}


def test_data_that_looks_like_an_expression_stays_data():
    """A value is never computed because of its keys."""
    data = {"$cel": "1 + 1", "with": {}}
    assert step_of(lambda flow, _: flow.run(take(data))).call.input == {"value": {"$literal": data}}


def test_blocks_inside_blocks_read_what_is_around_them():
    """Earlier steps of every block around, the item and the turn can be read; ids stay apart."""

    def body(flow: Flow, user: Any) -> Any:
        made = flow.run(take(1), id="made")
        return flow.map(
            user.mails,
            lambda mail: flow.repeat(
                lambda turn: flow.run(take([made, mail.copies, turn.number]), undo=lambda _: take(mail.message_id))
            ),
        )

    step = nodes_of(body, User)[1].body.nodes[0].body.nodes[0]
    assert step.call.input["value"] == [
        ref("steps", "made"),
        ref("scope", "map", "item", "copies"),
        ref("scope", "repeat", "turn"),
    ]
    assert step.undo == Call(action="take", input={"value": ref("scope", "map", "item", "message_id")})


def test_the_same_workflow_has_the_same_ids():
    """Reading twice gives one hash, so ids that nobody gave are as stable as the text."""

    def body(flow: Flow, s: Any) -> Any:
        flow.choose((cel("true"), lambda: flow.sleep(1)), (cel("false"), lambda: flow.sleep(2)))
        return flow.choose((cel("true"), lambda: s.email))

    assert graph_of(body).hash == graph_of(body).hash
    assert [node.id for node in nodes_of(body)] == ["choose", "choose-2"]
