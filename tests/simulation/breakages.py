"""Breakages of what only wide worlds have: several shards, runs that start others, updates, tokens, limits, schedules."""

BATCH = "actionbus.orchestrator.batch"
CHILD = "actionbus.engine.child"
DRAFT = "actionbus.engine.draft"
END = "actionbus.engine.end"
FOLD = "actionbus.orchestrator.fold"
INPUTS = "actionbus.orchestrator.inputs"
JUDGEMENT = "actionbus.orchestrator.judgement"
QUEUES = "actionbus.orchestrator.queues"
SIGNAL = "actionbus.engine.signal"
TAKEOVER = "actionbus.orchestrator.takeover"
TURN = "actionbus.engine.shapes.turn"
STRAY = "self.strays.append((record.topic, reading.partition, reading.record))"
ENDED = "        draft.sent.append(report.of(ended, draft.now))"
ABANDONED = "            place.shape.abandoned(self, place, scope)\n"
UNHEARD = "            if each.request_id is not None:\n                reason"
EARLY = "(draft.remember if request.signal in draft.definition.updates else draft.accept)(request)"
WAITING = "            firing = self.standing.waiting\n            self._note(waiting=None)"

Changes = tuple[tuple[str, str, str], ...]

SHARDS: dict[str, Changes] = {
    "what went astray is dropped": ((FOLD, STRAY, "pass"),),
    "what went astray is carried out": (
        (INPUTS, "    partition = partition_for(key, charter.partitions)\n", "    partition = charter.shard\n"),
    ),
    "a request to another run goes missing": ((BATCH, "for each in fold.asked:", "for each in fold.asked[1:]:"),),
}
CHILDREN: dict[str, Changes] = {
    "a run that ends tells nobody": (
        (END, "if draft.run.parent is not None and draft.run.parent.waits:", "if False:"),
    ),
    "a run that ends tells it twice": ((END, ENDED, "        draft.sent += [report.of(ended, draft.now)] * 2"),),
    "nobody is told that a start is refused": (
        ("actionbus.engine.verdict", "requests=report.of_refusal(request, reason, now))", "requests=())"),
    ),
    "a child that is not needed any more goes on": ((DRAFT, ABANDONED, "            pass\n"),),
    "nobody waits for a child that is cancelled": (
        (CHILD, "    return step.status is StepStatus.COMPENSATING and not step.action", "    return False"),
    ),
}
UPDATES: dict[str, Changes] = {
    "an early update is accepted before it is taken": ((SIGNAL, EARLY, "draft.accept(request)"),),
    "an update gets no answer": ((SIGNAL, "draft.accept(request, answer)", "draft.accept(request)"),),
    "who waits for an answer hears nothing at the end": (
        (DRAFT, UNHEARD, UNHEARD.replace("each.request_id is not None", "False")),
    ),
    "an early update that is sent again hears a verdict": (
        (
            "actionbus.engine.advance",
            "if any(each.request_id == request.request_id for each in run.signals):",
            "if False:",
        ),
    ),
}
TOKENS: dict[str, Changes] = {
    "a forged answer counts": ((INPUTS, "not charter.genuine(result.command_id, result.nonce) or ", ""),),
    "an answer by token is not kept for the undo": (
        ("actionbus.engine.complete", "from_outside=result.by_token", "from_outside=False"),
    ),
}
LIMITS: dict[str, Changes] = {
    "a takeover forgets who has a turn": (
        (TAKEOVER, "            holding.queues.note(holding.store.read(value))", "            pass"),
    ),
    "a takeover forgets when a rate lets the next begin": ((TAKEOVER, "        holding.queues.pace(run)\n", ""),),
    "every shard lets all begin": (
        (QUEUES, "most = policy.room(self._shard, self._shards)", "most = policy.concurrency"),
    ),
    "a key is counted for each run": (
        (QUEUES, 'LineId(step.action, "", step.turn.key)', "LineId(step.action, run.run_id, step.turn.key)"),
    ),
    "an undo needs no turn": (("actionbus.engine.compensate", "    if limit is None:\n", "    if True:\n"),),
}
SCHEDULES: dict[str, Changes] = {
    "a schedule counts from now": (
        (
            TURN,
            "self._note(next=self.schedule.next_after(at))",
            "self._note(next=self.schedule.next_after(self.draft.now))",
        ),
    ),
    "a firing is called after the time at which it is asked for": (
        (
            TURN,
            "run_id = identifiers.firing_run_id(self.draft.run.run_id, at)",
            "run_id = identifiers.firing_run_id(self.draft.run.run_id, self.draft.now)",
        ),
    ),
    "a firing that has waited waits on": ((TURN, WAITING, "            firing = self.standing.waiting"),),
}
VERSIONS: dict[str, Changes] = {
    "a run goes over to the newest version": (
        (
            JUDGEMENT,
            "charter.definitions.of(run)\n        if",
            "charter.definitions.find(run.workflow, None)\n        if",
        ),
    ),
    "the version that is asked for is not looked at": (
        (JUDGEMENT, 'find(request.workflow or "", request.version)', 'find(request.workflow or "", None)'),
    ),
    "a takeover reads no definitions": ((TAKEOVER, "        await charter.definitions.catch_up()\n", ""),),
}
OPERATORS: dict[str, Changes] = {
    "what no transaction has scheduled is looked after": (
        (
            "actionbus.orchestrator.tenure",
            "committed, run = self._holding.store.get(run_id), fold",
            "committed, run = fold.run(run_id), fold",
        ),
    ),
    "what runs again keeps its step key": (
        (DRAFT, 'return f"{self.run.incarnation}.{self.rewound}" if self.rewound else ""', 'return ""'),
    ),
    "what ran is not undone before it runs again": (("actionbus.engine.rewind", "    draft.abandon_all(again)\n", ""),),
    "a paused run schedules": (("actionbus.engine.progress", "if draft.paused and _held(draft, move):", "if False:"),),
}
WIDE = SHARDS | CHILDREN | UPDATES | TOKENS | LIMITS | SCHEDULES | VERSIONS | OPERATORS
# The first world that notices, of those that few notice: it is looked at first, and when it notices no more, all others are.
SEEN_IN = {
    "the first transaction is on b": 340,
    "b is fenced after the reading": 107,
    "a takeover sends no undo again": 145,
    "a shard that is let go looks at timers": 476,
    "the first is undone first": 52,
    "request ids are not remembered": 112,
    "the offset is committed before the result": 326,
    "who waits for an answer hears nothing at the end": 229,
    "an early update that is sent again hears a verdict": 116,
    "an answer by token is not kept for the undo": 53,
    "a takeover forgets who has a turn": 140,
    "a schedule counts from now": 128,
    "a firing that has waited waits on": 128,
    "what no transaction has scheduled is looked after": 236,
    "what ran is not undone before it runs again": 45,
}
