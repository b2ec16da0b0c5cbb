"""An unreliable world around one run, with exact books: what workers did, what was undone, and what the run believes.

Commands and results may be lost for a while, repeated, reordered, delayed beyond the end, or made up. Workers keep an inbox
as transactional actions do, so the books can be held against what the run says.
"""

import re
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.definitions import read_graph
from actionbus.contracts.errors import Refused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import ChildReport, RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, ResultKind
from actionbus.contracts.run import UNDER_WAY, Parent, RunStatus, StepStatus, WorkflowRun
from actionbus.engine import recall
from actionbus.engine.advance import advance
from actionbus.engine.dispatch import commands
from actionbus.engine.forsaken import forsaken
from actionbus.engine.history import pinned
from actionbus.engine.inputs import (
    Admitted,
    ChildReported,
    RequestMade,
    ResultReceived,
    StartRequested,
    TimerFired,
)
from actionbus.engine.paths import below
from actionbus.engine.rebuild import rebuild
from actionbus.engine.replay import replay
from actionbus.engine.transition import Outcome
from engine.any_workflow import ERRORS, workflows
from engine.books import Books
from engine.graphs import compiled, put
from engine.play import RESULTS, START, nonce

FAILURES = (RunStatus.FAILED, RunStatus.CANCELLED)
BY_HAND = (RequestKind.SKIP_STEP, RequestKind.COMPLETE_STEP)


WORDS = [ResultKind.STARTED, ResultKind.HEARTBEAT, ResultKind.DEFERRED, ResultKind.IN_DOUBT]


class World(RuleBasedStateMachine):
    """One run, its workers and its network."""

    @initialize(definition=workflows())
    def begins(self, definition):
        """A definition is deployed and a run of it asked for."""
        self.definition = definition
        self.definitions = {definition.version: definition}
        self.names: dict[str, str] = {}  # what renamed nodes were called first
        self.run: WorkflowRun | None = None
        self.now, self.seq = START, 1
        self.inputs, self.transitions = [], []
        self.sent: dict[str, ActionCommand] = {}
        self.results: list[ActionResult] = []
        self.rows: dict[str, str] = {}  # the inboxes of all workers: DONE or CANCELLED by step key, then undone
        self.undone: set[str] = set()
        self.outputs: dict[str, object] = {}  # by the path of the step
        self.by_hand: set[str] = set()  # what an operator said, and no worker did
        self.asked: set[str] = set()
        self.again: list[set[str]] = []  # the nodes that the run went back over, by their first paths
        self.started: dict[str, str] = {}  # the paths of nodes, by the runs that they started
        self.ended: dict[str, RunStatus] = {}
        self.feed(self.start("start-1"))
        self.commits()

    # What the world does

    @rule(data=st.data(), fate=st.sampled_from(["done", "done", "done", *ERRORS, "hopeless", "lost"]))
    @precondition(lambda self: self.sent)
    def works(self, data, fate):
        """A worker meets any command that was ever sent, the first time or again, and its answer may be on its way long."""
        command = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        result = self.work(command, fate)
        if fate != "lost":
            self.results.append(result)
            if data.draw(st.booleans()):
                self.receive(result)

    @rule(data=st.data())
    @precondition(lambda self: self.results)
    def delivers(self, data):
        """Any answer that was ever given arrives, the first time or again."""
        self.receive(data.draw(st.sampled_from(self.results)))

    @rule(path=st.sampled_from(["n1", "n2", "n3.n4", "n9", ""]), attempt=st.integers(0, 4), undo=st.booleans())
    def forges(self, path, attempt, undo):
        """An answer arrives to a command that was never sent."""
        key = identifiers.step_key("r-1", "0", path)
        text = identifiers.command_id(key, attempt, undo=undo)
        known = {step.path: step.attempt for step in self.run.steps}
        if attempt in range(1, known.get(path, 0) + 1) or path == "":
            return  # an attempt that exists: its nonce is checked before the engine is asked
        before = self.run
        self.receive(self.answer_to(text, key, ResultKind.SUCCEEDED, output=b'{"v":666}'))
        assert self.run is before

    @rule(data=st.data(), word=st.sampled_from(WORDS))
    @precondition(lambda self: self.sent)
    def says_it_works(self, data, word):
        """A worker says that it has begun, or goes on, that somebody else will answer, or that it does not know."""
        command = self.sent[data.draw(st.sampled_from(sorted(self.sent)))]
        self.receive(self.answer_to(command.command_id, command.step_key, word))

    @rule(ms=st.integers(0, 30))
    def time_passes(self, ms):
        """Timers fire, also when their time has not come."""
        self.now += ms
        for timer in self.run.timers if self.run else ():
            if timer.kind != "retention":
                self.feed(TimerFired(timer_id=timer.id))

    @rule(data=st.data())
    @precondition(lambda self: self.queued())
    def admits(self, data):
        """A turn comes for something that waits for one, unless the run is paused."""
        made = self.feed(Admitted(path=data.draw(st.sampled_from(self.queued()))))
        assert made.outcome is (Outcome.STALE if self.run.status == "PAUSED" else Outcome.APPLIED)

    @rule(number=st.integers(1, 2))
    def asks_again(self, number):
        """A start comes again, or another one for the same run."""
        before = self.run
        transition = self.feed(self.start(f"start-{number}"))
        assert self.run is before
        assert transition.outcome is (Outcome.REPEATED if number == 1 else Outcome.REJECTED)

    @rule()
    def cancels(self):
        """Somebody wants the run to stop."""
        request = WorkflowRequest(request_id="cancel-1", run_id="r-1", kind=RequestKind.CANCEL)
        self.feed(RequestMade(request=request))

    @rule(number=st.integers(1, 6))
    def signals(self, number):
        """Somebody hands a value to the run, perhaps for the second time."""
        self.ask(RequestKind.SIGNAL, f"signal-{number}", signal="go", payload=payloads.encode({"v": number % 3}))

    @rule(data=st.data(), end=st.sampled_from([RunStatus.COMPLETED, RunStatus.COMPLETED, *FAILURES, RunStatus.RUNNING]))
    @precondition(lambda self: self.started)
    def child_tells(self, data, end):
        """A run that this one started tells how it stands: that it has begun, or how it ended, the first time or again."""
        self.tell(data.draw(st.sampled_from(sorted(self.started))), end)

    @rule(data=st.data())
    @precondition(lambda self: self.asked_people())
    def hands_on(self, data):
        """Somebody else is asked."""
        path = data.draw(st.sampled_from(self.asked_people()))
        made = self.ask(RequestKind.ASSIGN_TASK, f"assign-{len(self.inputs)}", step=path, payload=b'"bob"')
        assert made.outcome is Outcome.APPLIED

    @rule(kind=st.sampled_from([RequestKind.PAUSE, RequestKind.RESUME]))
    def holds(self, kind):
        """Somebody wants nothing new for a while, or goes on."""
        self.ask(kind, f"{kind}-{len(self.inputs)}")

    @rule(luck=st.integers(0, 9))
    def terminates(self, luck):
        """Seldom, somebody stops the run at once."""
        if luck == 0:
            self.ask(RequestKind.TERMINATE, "terminate")

    @rule(data=st.data(), kind=st.sampled_from([RequestKind.RETRY_STEP, RequestKind.RETRY_STEP, *BY_HAND]))
    @precondition(lambda self: self.run and self.run.steps)
    def operates(self, data, kind):
        """An operator deals with any step."""
        step = data.draw(st.sampled_from([each.path for each in self.run.steps]))
        made = self.ask(kind, f"{kind}-{len(self.inputs)}", step=step, payload=b'{"v":"by hand"}')
        if made.outcome is Outcome.APPLIED and kind in BY_HAND:
            self.by_hand.add(step)

    @rule(data=st.data(), ms=st.integers(0, 30))
    @precondition(lambda self: self.run and self.run.timers)
    def moves_a_timer(self, data, ms):
        """An operator lets something wait for another time."""
        path = data.draw(st.sampled_from([each.step or "" for each in self.run.timers]))
        self.ask(RequestKind.CHANGE_TIMER, f"timer-{len(self.inputs)}", step=path, due_at=self.now + ms)

    @rule(grows=st.booleans(), luck=st.integers(0, 2))
    @precondition(lambda self: self.run and not self.run.status.ended)
    def migrates(self, grows, luck):
        """Seldom, the run goes over to another version: the same workflow, or one with a node more at its end."""
        if luck:
            return
        graph, number = self.definition.graph, len(self.definitions) + 1
        more = (put(f"more-{number}", number),) if grows else ()
        root = graph.root.model_copy(update={"nodes": (*graph.root.nodes, *more)})
        target = compiled(graph.model_copy(update={"root": root, "version": str(number)}))
        self.definitions[target.version] = target
        request = WorkflowRequest(request_id=f"migrate-{number}", run_id="r-1", kind=RequestKind.MIGRATE)
        before = self.run
        made = self.feed(RequestMade(request=request.replace(version=target.version), target=target))
        assert made.outcome is Outcome.APPLIED, made.event
        assert (made.run.steps, made.run.timers) == (before.steps, before.timers)

    @rule(data=st.data(), luck=st.integers(0, 2))
    @precondition(lambda self: self.run and not self.run.status.ended)
    def renames(self, data, luck):
        """Seldom, the run goes over to a version where a node has another id; only what workers know by name stays."""
        if luck:
            return
        graph, number = self.definition.graph, len(self.definitions) + 1
        old = data.draw(st.sampled_from(sorted({node.id for _, node, _ in graph.nodes()}) or ["root"]))
        text = graph.canonical().decode().replace(f'"{old}"', f'"x{number}"')
        target = compiled(read_graph(text.encode()).model_copy(update={"version": str(number)}))
        self.definitions[target.version] = target
        names = {} if old == "root" else {old: f"x{number}"}
        request = WorkflowRequest(
            request_id=f"migrate-{number}",
            run_id="r-1",
            kind=RequestKind.MIGRATE,
            version=target.version,
            payload=payloads.encode(names),
        )
        before = self.run
        made = self.feed(RequestMade(request=request, target=target))
        if made.outcome is Outcome.APPLIED:
            self.names |= {new: self.names.get(old, old) for old, new in names.items()}
        else:
            assert self.run is before
            assert "by its name" in made.event.entries[0].reason

    @rule(data=st.data(), luck=st.integers(0, 2))
    @precondition(lambda self: self.run and not self.run.status.ended)
    def goes_back(self, data, luck):
        """Sometimes an operator lets the run go back; what it has forgotten is told from its history."""
        if luck:
            return
        places = [(scope, self.definition.place(scope.path)) for scope in self.run.scopes]
        paths = [
            f"{scope.path}.{each}".lstrip(".")
            for scope, place in places
            if place.node.kind == "sequence"
            for each in place.plan.ids[: scope.cursor + 2]
        ]
        step = data.draw(st.sampled_from(paths or ["n1"]))
        try:
            payload = recall.forgotten(self.definition, self.run, self.history(), step)
        except Refused:
            payload = None
        made = self.ask(RequestKind.REWIND, f"rewind-{len(self.inputs)}", step=step, payload=payload)
        if made.outcome is Outcome.REJECTED:
            reason = made.event.entries[0].reason
            assert "not kept" not in reason, reason
            assert "does not fit" not in reason, reason

    @rule()
    def commits(self):
        """The transaction ends; the commands of what it scheduled go out."""
        self.send(after_seq=self.seq - 1, fresh=True)
        self.seq += 1

    @rule(data=st.data())
    @precondition(lambda self: self.seq > 1)
    def takes_over(self, data):
        """Another owner sends again what may not have been sent."""
        self.commits()
        self.send(after_seq=data.draw(st.integers(0, self.seq - 1)), fresh=False)

    # How it does it

    def ask(self, kind, request_id, **fields):
        """A request; the same one twice has one effect."""
        before = self.run
        request = WorkflowRequest(request_id=request_id, run_id="r-1", kind=kind, **fields)
        made = self.feed(RequestMade(request=request))
        if request_id in self.asked and before is not None:
            assert made.outcome is Outcome.REPEATED
        if made.outcome is Outcome.APPLIED:
            self.asked.add(request_id)
        return made

    def queued(self):
        """What waits for its turn."""
        if getattr(self, "run", None) is None:
            return []
        return [""] * self.run.queued + [step.path for step in self.run.steps if step.queued]

    def asked_people(self):
        """The paths of those who are asked for something."""
        scopes = self.run.scopes if getattr(self, "run", None) is not None else ()
        return [each.path for each in scopes if self.definition.place(each.path).node.kind == "person"]

    def tell(self, child, end):
        """A child's word; how it ended is so for ever, and what it did then stands in the books as the work of others."""
        path = self.started[child]
        if end is not RunStatus.RUNNING:
            end = self.ended.setdefault(child, end)
            key = identifiers.step_key("r-1", child.removeprefix("r-1:").partition(":")[0], path)
            self.rows.setdefault(key, "DONE" if end is RunStatus.COMPLETED else "CANCELLED")
        report = ChildReport(
            run_id=child,
            incarnation="7",
            status=end,
            output=payloads.encode({"v": path}) if end is RunStatus.COMPLETED else None,
            error=ActionError(type="Full", message="no", details=b'{"a":1}') if end in FAILURES else None,
        )
        parent = Parent(run_id="r-1", incarnation="0", path=path, waits=True)
        self.feed(ChildReported(parent=parent, report=report))

    def start(self, request_id):
        """A request to start the run."""
        request = WorkflowRequest(
            request_id=request_id, run_id="r-1", kind=RequestKind.START, workflow="order", payload=b'{"n":5}'
        )
        return StartRequested(request=request, incarnation="0")

    def work(self, command, fate):
        """What a worker with an inbox does with a command, and what it answers."""
        key = command.step_key

        def answer(kind, **fields):
            return self.answer_to(command.command_id, key, kind, **fields)

        def failed(kind, *, retryable=True):
            return answer(ResultKind.FAILED, error=ActionError(type=kind, retryable=retryable))

        if command.kind is CommandKind.COMPENSATE:
            if fate in ERRORS or fate == "hopeless":
                return failed(fate, retryable=fate != "hopeless")
            if key not in self.rows:
                self.rows[key] = "CANCELLED"
            happened = self.rows[key] == "DONE"
            if happened:
                self.undone.add(key)
            return answer(
                ResultKind.SUCCEEDED, output=payloads.encode({"outcome": "undone" if happened else "never_happened"})
            )
        if self.rows.get(key) == "CANCELLED":
            return failed("Cancelled", retryable=False)
        if key not in self.rows and fate not in ("done", "lost"):
            return failed(fate, retryable=fate != "hopeless")
        assert key not in self.undone or self.rows[key] == "DONE"
        self.rows[key] = "DONE"
        return answer(ResultKind.SUCCEEDED, output=payloads.encode({"v": key}))

    def answer_to(self, command_id, key, kind, **fields):
        """A result."""
        return ActionResult(
            command_id=command_id, step_key=key, run_id="r-1", kind=kind, nonce=nonce(command_id), **fields
        )

    def receive(self, result):
        """A result arrives."""
        self.feed(ResultReceived(result=result, command=identifiers.parse_command_id(result.command_id)))

    def feed(self, event):
        """One input, within the transaction that is open."""
        self.inputs.append((event, self.now, self.seq))
        transition = advance(self.definition, self.run, event, self.now, self.seq)
        if transition.outcome not in (Outcome.APPLIED, Outcome.FORGOTTEN):
            assert transition.run is self.run
            assert transition.emits == ()
        self.run = transition.run
        self.definition = pinned(self.definition, event, self.run)
        self.transitions.append(transition)
        for entry in transition.event.entries if transition.event else ():
            if entry.kind is EntryKind.CHILD_STARTED:
                self.started[payloads.decode(entry.data)["run_id"]] = entry.step
            if entry.kind is EntryKind.RUN_REWOUND:
                self.goes_over(entry.step)
            if entry.kind in (EntryKind.STEP_SUCCEEDED, EntryKind.STEP_SKIPPED, EntryKind.STEP_COMPLETED):
                self.note(entry.step.removesuffix(".f"), payloads.decode(entry.data))
        return transition

    def goes_over(self, path):
        """The run goes back to a node: what it and those after it gave is given anew."""
        outer, _, name = path.rpartition(".")
        ids = self.definition.place(outer).plan.ids
        over = {self.first(f"{outer}.{each}".lstrip(".")) for each in ids[ids.index(name) :]}
        self.again.append(over)
        self.outputs = {
            each: value for each, value in self.outputs.items() if not any(below(each, one) for one in over)
        }

    def history(self):
        """What the events of the run tell of it."""
        events = [each.event for each in self.transitions if each.event is not None]
        return rebuild(next(iter(self.definitions.values())), events, "", self.definitions)

    def first(self, path):
        """A path as it was before any node of it was renamed."""
        return re.sub(r"x\d+", lambda found: self.names.get(found[0], found[0]), path)

    def place(self, path):
        """The node at a path of whatever version has it."""
        found = (each.place(path) for each in reversed(self.definitions.values()))
        return next(each for each in found if each is not None)

    def note(self, path, value):
        """An output that later nodes may read; a fallback's is that of its step."""
        path = self.first(path)
        assert path not in self.outputs, f"{path} has given an output twice"
        self.outputs[path] = value["v"]

    def send(self, after_seq, *, fresh):
        """Commands go out; each is one attempt, asked for once, and sent again only as it was."""
        for command in commands(self.definition, self.run, after_seq, RESULTS, 0, nonce) if self.run else ():
            known = self.sent.get(command.command_id)
            assert not (fresh and known), f"{command.command_id} was sent twice"
            assert known is None or known.replace(definition_version=command.definition_version) == command
            assert known is not None or fresh, f"{command.command_id} was scheduled and never sent"
            if command.kind is CommandKind.EXECUTE and not command.step.endswith(".f"):
                sources = [self.definition.source(path[1], command.step) for path in self.reads(command.step)]
                given = payloads.decode(command.input)
                assert given["given"] == 5
                for read, source in zip(given["reads"], sources, strict=True):
                    assert read == self.outputs.get(self.first(source), read)
            self.sent[command.command_id] = command

    def reads(self, path):
        """The references in the input of a step."""
        return [each["$ref"] for each in self.definition.place(path).node.call.input["reads"]]

    # What always holds

    @invariant()
    def nothing_is_lost(self):
        """Versions count up, one event each; ended runs stay as they are; an input never fails to be made."""
        if not hasattr(self, "transitions"):
            return
        versions = [each.event.version for each in self.transitions if each.event and each.event.version]
        assert versions == list(range(1, len(versions) + 1))
        statuses = [each.run.status for each in self.transitions if each.run is not None]
        assert all(not before.ended or after is before for before, after in pairwise(statuses))
        assert "Refused" not in str(self.run.error)
        stuck = [step.path for step in self.run.steps if step.stuck is not None]
        assert (self.run.incident is not None) == bool(stuck)
        assert self.run.incident is None or self.run.incident.step in stuck
        assert not self.run.held or self.run.status == "PAUSED"

    @invariant()
    def timers_are_for_what_waits(self):
        """Every timer is for a step that is under way, and whatever waits for a time has a timer."""
        if not hasattr(self, "transitions"):
            return
        steps = {step.path: step for step in self.run.steps}
        scopes = {scope.path for scope in self.run.scopes}
        for timer in self.run.timers:
            if timer.kind == "wake":
                assert timer.step in scopes
            else:
                assert timer.step is None or steps[timer.step].status in UNDER_WAY | {"COMPENSATING"}
        held = {each.path for each in self.run.held if each.kind == "again"}
        retries = {timer.step for timer in self.run.timers if timer.kind == "retry"}
        waits = {
            path
            for path, step in steps.items()
            if step.status is StepStatus.BACKING_OFF
            or (
                step.status is StepStatus.COMPENSATING and step.dispatch_seq == 0 and step.stuck is None and step.action
            )
            if not step.queued
        }
        assert retries | held == waits
        assert not retries & held

    @invariant()
    def something_is_left_that_moves_it(self):
        """A live run has a timer, a command, a turn to come, or waits for somebody: it is never forsaken."""
        if hasattr(self, "transitions"):
            assert not forsaken(self.definition, self.run), f"{self.run.steps} {self.run.scopes}"

    def teardown(self):
        """The world becomes reliable: the run ends, its books balance, and a replay gives the same bytes."""
        if not hasattr(self, "transitions"):
            return
        for _ in range(300):
            if self.run.status.ended:
                break
            self.ask(RequestKind.RESUME, f"resume-{len(self.inputs)}")
            self.ask(RequestKind.SIGNAL, f"signal-{len(self.inputs)}", signal="go", payload=b'{"v":2}')
            for path in self.queued():
                self.feed(Admitted(path=path))
            for child, path in list(self.started.items()):
                self.tell(child, RunStatus.COMPLETED if self.place(path).node.wait else RunStatus.RUNNING)
            self.commits()
            for command in list(self.sent.values()):
                self.receive(self.work(command, "done"))
            self.time_passes(60_000)
        assert self.run.status.ended, f"it hangs: {self.run.steps} {self.run.scopes} {self.run.timers}"
        assert (self.run.steps, self.run.scopes, self.run.compensations, self.run.held) == ((), (), (), ())
        for command in list(self.sent.values()):  # late workers
            self.work(command, "done")
        self.balances()
        self.replays()
        self.is_rebuilt()

    def balances(self):
        """What was done and has an undo is undone, unless the run says that it is done; undos ran last first."""
        entries = [entry for each in self.transitions if each.event for entry in each.event.entries]
        books = Books(
            self.definition,
            self.run.status,
            entries,
            self.by_hand,
            place=self.place,
            first=self.first,
            again=self.again,
        )
        assert books.last_first(), "not last first"
        for path, at, kept in books.wanted():
            key = identifiers.step_key("r-1", f"0.{at}" if at else "0", path)
            there = self.rows[key] == "DONE" and key not in self.undone
            assert there is kept, f"{path} should {'be' if kept else 'not be'} there: {self.rows[key]}"

    def replays(self):
        """The same inputs give the same bytes, with the run written and read between any two."""
        run, definition = None, next(iter(self.definitions.values()))
        for (event, now, seq), expected in zip(self.inputs, self.transitions, strict=True):
            again = advance(definition, run, event, now, seq)
            definition = pinned(definition, event, again.run)
            for one, other in ((again.run, expected.run), (again.event, expected.event)):
                assert (one and one.model_dump_json()) == (other and other.model_dump_json())
            run = WorkflowRun.from_plain(again.run.plain()) if again.run else None

    def is_rebuilt(self):
        """What happened says what must have come: the inputs told from the events give the same events."""
        assert list(replay(self.history())) == []
