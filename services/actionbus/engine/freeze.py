"""The end of a transition: the working copy becomes the frozen run, with its event and what is to be written."""

from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.model import trusted
from actionbus.contracts.run import Incident
from actionbus.engine.draft import Draft
from actionbus.engine.transition import Outcome, Transition

_event = trusted(WorkflowEvent)


def frozen(draft: Draft) -> Transition:
    """The run as it stands now. Without an entry there is no event and no new version: only time was noted."""
    version = draft.run.version + 1 if draft.entries else draft.run.version
    run = draft.run.replace(
        status=draft.status,
        ending=draft.ending,
        version=version,
        txn_seq=draft.seq,
        input=draft.input,
        output=draft.output,
        error=draft.error,
        scopes=tuple(draft.scopes.values()),
        steps=tuple(draft.steps.values()),
        timers=draft.timers,
        compensations=draft.compensations,
        decisions=draft.decisions,
        answered=draft.answered,
        incident=_incident(draft),
        signals=draft.signals,
        views=draft.views,
        held=draft.held,
        requests=draft.requests,
        turn=draft.turn,
        paces=draft.paces,
        next_timer=draft.next_timer,
        rewound=draft.rewound,
        updated_at=draft.now,
    )
    event = None
    if draft.entries:
        event = _event(
            run_id=run.run_id,
            incarnation=run.incarnation,
            workflow=run.workflow,
            definition_version=run.definition_version,
            version=version,
            status=draft.status,
            at=draft.now,
            entries=tuple(draft.entries),
        )
    return Transition(
        run=run,
        outcome=Outcome.APPLIED,
        event=event,
        emits=tuple(draft.emits),
        requests=tuple(draft.sent),
        limited=draft.definition.limited,
    )


def _incident(draft: Draft) -> Incident | None:
    """The first stuck step calls for an operator; once it goes on, the next one does."""
    known = draft.run.incident
    if known is not None and known.step in draft.steps and draft.steps[known.step].stuck is not None:
        return known
    stuck = next((step for step in draft.steps.values() if step.stuck is not None), None)
    if stuck is None:
        return None
    return Incident(reason=stuck.stuck or "", step=stuck.path, since=draft.now)
