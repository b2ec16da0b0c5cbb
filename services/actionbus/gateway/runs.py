"""Starting runs, and looking at them."""

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from actionbus.client import RunHandle
from actionbus.contracts import diagrams, payloads
from actionbus.contracts.errors import RunMissing, Unavailable
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.run import StepStatus
from actionbus.contracts.schedules import WORKFLOW as SCHEDULE
from actionbus.engine.paths import static
from actionbus.gateway import backing, views
from actionbus.gateway.answers import (
    Asked,
    CountView,
    HistoryView,
    RunDetailView,
    RunPage,
    View,
)
from actionbus.gateway.backing import Backing
from actionbus.gateway.bodies import Filter, SignalWithStart, Start
from actionbus.gateway.grammar import INCARNATION, Cursor, Name, RunId
from actionbus.gateway.intent import Intended, Intent, answers
from actionbus.gateway.problems import NotFound, documented
from actionbus.gateway.verbs import handle
from actionbus.visibility.filters import RunSort
from actionbus.visibility.rows import RunDetail

router = APIRouter(prefix="/runs", tags=["runs"])
_BEHIND: Final = (
    *(StepStatus.UNKNOWN, StepStatus.FAILED, StepStatus.BACKING_OFF, StepStatus.QUEUED, StepStatus.SCHEDULED),
    *(StepStatus.PENDING, StepStatus.COMPENSATING, StepStatus.COMPENSATED, StepStatus.CANCELLED),
    *(StepStatus.SKIPPED, StepStatus.SUCCEEDED),
)
UNREADABLE = documented(HTTPStatus.UNPROCESSABLE_ENTITY)
ABSENT = documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
After = Annotated[int, Query(ge=0, le=2**62, description="Only events with higher versions.")]
Life = Annotated[
    str | None,
    Query(
        alias="incarnation",
        pattern=f"^{INCARNATION}$",
        description="Which life of a run id that was used again; left out: the latest.",
    ),
]


class Listing(Filter):
    """Runs for which all of this holds, a page at a time."""

    sort: Literal["started", "-started", "updated", "-updated"] = "-started"
    limit: int = Field(default=50, ge=1, le=200)
    cursor: Cursor | None = None


class Started(Asked):
    """A run that began, or will (status 202)."""

    workflow: str
    incarnation: str | None = None
    status: str | None = None


class GraphView(View):
    """The workflow of a run as data and as a drawing, and where its steps stand."""

    workflow: str
    version: str
    graph: dict[str, Any]
    mermaid: str
    steps: dict[str, str] = Field(description="Statuses by the path in the graph; of a list's items the least far.")


@router.post("", status_code=HTTPStatus.CREATED, responses=answers())
async def start(request: Request, body: Start, intended: Intended) -> Started:
    """Start a run of a deployed workflow."""
    back = backing.of(request)
    if body.workflow != SCHEDULE:
        (await back.kafka.definitions.wanted(body.workflow, body.version)).check_input(body.input)
    begin = {"begin_at": body.begin_at, "debounce": body.debounce_seconds, "if_exists": body.if_exists}
    chosen = {"run_id": body.run_id, "partition_key": body.partition_key, "priority": body.priority}
    # Without waiting: the id is known as soon as the request is in the log, whatever becomes of it.
    run = await back.kafka.client.start(
        body.workflow, body.input, version=body.version, **begin, **chosen, **_unwaited(intended, body),
    )  # fmt: skip
    return await _began(run, intended, body.workflow, back)


@router.post("/signal-with-start", status_code=HTTPStatus.CREATED, responses=answers())
async def signal_with_start(request: Request, body: SignalWithStart, intended: Intended) -> Started:
    """Hand a run a named value, and start it first when there is none of that id; all or nothing.

    Input and signal have to fit the workflow whether the run is there or not: what is right does not depend on that.
    """
    back = backing.of(request)
    deployed = await back.kafka.definitions.wanted(body.workflow, body.version)
    deployed.check_input(body.input)
    deployed.check_signal(body.signal, body.payload)
    run = await back.kafka.client.signal_with_start(
        body.workflow,
        body.signal,
        body.payload,
        run_id=body.run_id,
        input=body.input,
        version=body.version,
        **_unwaited(intended, body),
    )
    return await _began(run, intended, body.workflow, back)


@router.get("", responses=UNREADABLE)
async def list_runs(request: Request, asked: Annotated[Listing, Query()]) -> RunPage:
    """Runs, the newest first; those of some moments ago may not be there yet."""
    page = await backing.of(request).questions.runs(
        asked.asked(), sort=RunSort(asked.sort), limit=asked.limit, cursor=asked.cursor
    )
    return RunPage(items=[views.run(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/count", responses=UNREADABLE)
async def count_runs(request: Request, asked: Annotated[Filter, Query()]) -> CountView:
    """How many runs there are, by status."""
    found = await backing.of(request).questions.count(asked.asked())
    return CountView(count=found.count, by_status={status.value: each for status, each in found.by_status.items()})


@router.get("/{run_id}", responses=ABSENT)
async def get_run(request: Request, run_id: RunId, life: Life = None) -> RunDetailView:
    """A run with its steps."""
    return views.detail(await known(backing.of(request), run_id, life))


@router.get("/{run_id}/state", responses=ABSENT)
async def get_state(request: Request, run_id: RunId) -> dict[str, Any]:
    """The run's record of the state topic, which is the truth: it reads a whole partition, so look, and do not poll."""
    return views.plain((await handle(request, run_id).state()).plain())


@router.get("/{run_id}/history", responses=ABSENT)
async def get_history(
    request: Request,
    run_id: RunId,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    life: Life = None,
) -> HistoryView:
    """What happened to a run, oldest first."""
    back = backing.of(request)
    page = await back.questions.history(run_id, life, after=after, limit=limit)
    if page is None:
        raise _missing(run_id)
    events = [decoded(back, each.record) for each in page.items]
    return HistoryView(items=[views.event(each) for each in events], next_after=page.next_after)


@router.get("/{run_id}/graph", responses=ABSENT)
async def get_graph(request: Request, run_id: RunId) -> GraphView:
    """The graph of a run's definition, and where its steps stand."""
    back = backing.of(request)
    found = await known(back, run_id)
    deployed = await back.definitions.wanted(found.run.workflow, found.run.definition_version)
    return GraphView(
        workflow=deployed.graph.name,
        version=deployed.graph.version,
        graph=payloads.decode(deployed.record.graph),
        mermaid=diagrams.mermaid(deployed.graph),
        steps=_furthest_behind(found),
    )


@router.get("/{run_id}/views/{name}", responses=ABSENT)
async def get_view(request: Request, run_id: RunId, name: Name) -> Any:
    """What the run shows under a name."""
    shown = (await handle(request, run_id).state()).views
    if name not in shown:
        raise NotFound(f"run {run_id} shows {', '.join(sorted(shown)) or 'nothing'}, and nothing by the name {name}")
    return payloads.decode(shown[name])


async def known(back: Backing, run_id: str, incarnation: str | None = None) -> RunDetail:
    """A run with its steps as the visibility database has them; raises RunMissing."""
    found = await back.questions.run(run_id, incarnation)
    if found is None:
        raise _missing(run_id)
    return found


def decoded(back: Backing, record: bytes) -> WorkflowEvent:
    """An event as the topic held it; raises RecordUnreadable."""
    return back.codec.decode(WorkflowEvent, record)


def _furthest_behind(found: RunDetail) -> dict[str, str]:
    """Statuses by static path; of the items of a list, or the turns of a loop, that of the one most behind."""
    standing: dict[str, StepStatus] = {}
    for each in found.steps:
        path = static(each.path)
        if path not in standing or _BEHIND.index(each.status) < _BEHIND.index(standing[path]):
            standing[path] = each.status
    return {path: status.value for path, status in standing.items()}


async def _began(run: RunHandle, intended: Intent, workflow: str, back: Backing) -> Started:
    intended.response.headers["Location"] = f"/v1/runs/{run.run_id}"
    event = None
    patience = back.settings.gateway.verdict_seconds if intended.wait is None else intended.wait
    try:
        event = await back.until_stopping(run.accepted(patience))
    except Unavailable:  # whatever keeps the verdict away: the request is in the log
        intended.put_off()
    finally:
        with suppress(Unavailable):
            await run.forget()
    return Started(
        request_id=intended.request_id,
        run_id=run.run_id,
        workflow=workflow,
        incarnation=None if event is None else event.incarnation,
        status=None if event is None else event.status.value,
    )


def _unwaited(intended: Intent, body: Start | SignalWithStart) -> dict[str, Any]:
    return intended.asked(body) | {"wait": False, "within": None}


def _missing(run_id: str) -> RunMissing:
    return RunMissing(
        f"run {run_id} is not known: it was never started, or its first event has not reached the visibility database"
    )
