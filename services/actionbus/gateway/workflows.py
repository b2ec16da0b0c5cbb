"""What is deployed: workflows with their versions, and the actions that they use with whoever works on them."""

import asyncio
import time
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import Field

from actionbus.contracts import diagrams, payloads
from actionbus.contracts.definitions import ActionSpec
from actionbus.gateway import backing, views
from actionbus.gateway.answers import View
from actionbus.gateway.backing import Backing
from actionbus.gateway.definitions import Deployed
from actionbus.gateway.grammar import Name, VersionName
from actionbus.gateway.problems import NotFound, documented
from actionbus.visibility.insights import Resolution, Span, WindowKind

router = APIRouter(responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
HOUR_MS: Final = 3_600_000


class VersionView(View):
    """One version of a workflow."""

    version: str
    hash: str
    deployed_at: datetime
    deployed_by: str
    live_runs: int


class WorkflowView(View):
    """A workflow with its versions, the newest first."""

    name: str
    description: str
    versions: list[VersionView]


class DefinitionView(VersionView):
    """One version of a workflow, whole."""

    name: str
    description: str
    input_schema: Any
    output_schema: Any
    graph: dict[str, Any]
    mermaid: str


class ActionView(View):
    """An action, and how the work on it goes."""

    id: str
    description: str
    effect: str
    input_schema: Any
    output_schema: Any
    backlog: int = Field(description="Commands that no worker has finished.")
    workers: int = Field(description="Worker processes that host it now.")
    started: int = Field(description="Steps that began in the last hour.")
    failed: int = Field(description="Steps of the last hour that failed for good.")
    p50_ms: float | None = Field(description="Of the steps that succeeded in the last hour.")
    p95_ms: float | None


@router.get("/workflows", tags=["workflows"])
async def list_workflows(request: Request) -> list[WorkflowView]:
    """Every deployed workflow."""
    back = backing.of(request)
    live = await _live(back)
    known = back.definitions
    return [_workflow(known.versions(name), live) for name in known.names()]


@router.get("/workflows/{name}", tags=["workflows"])
async def get_workflow(request: Request, name: Name) -> WorkflowView:
    """A workflow with its versions."""
    back = backing.of(request)
    return _workflow(back.definitions.versions(name), await _live(back, name))


@router.get("/workflows/{name}/versions/{version}", tags=["workflows"])
async def get_definition(request: Request, name: Name, version: VersionName) -> DefinitionView:
    """One version of a workflow: its graph, as data and as a drawing, and the schema of its input."""
    back = backing.of(request)
    found = await back.definitions.wanted(name, version)
    return DefinitionView(
        **_version(found, await _live(back, name)).model_dump(),
        name=name,
        description=found.graph.description,
        input_schema=found.graph.input_schema,
        output_schema=found.graph.output_schema,
        graph=payloads.decode(found.record.graph),
        mermaid=diagrams.mermaid(found.graph),
    )


@router.get("/actions", tags=["actions"])
async def list_actions(request: Request) -> list[ActionView]:
    """Every action that a deployed workflow uses."""
    back = backing.of(request)
    return list(await asyncio.gather(*(_action(back, each) for each in back.kafka.definitions.actions().values())))


@router.get("/actions/{name}", tags=["actions"])
async def get_action(request: Request, name: Name) -> ActionView:
    """An action, its backlog and its workers."""
    back = backing.of(request)
    known = back.kafka.definitions.actions()
    if name not in known:
        raise NotFound(f"no deployed workflow uses an action {name}; there are {', '.join(known) or 'none'}")
    return await _action(back, known[name])


async def _action(back: Backing, spec: ActionSpec) -> ActionView:
    kafka = back.kafka
    group, topic = kafka.topics.worker_group(spec.id), kafka.topics.commands(spec.id)
    stored = await kafka.admin.committed(group)
    backlog = 0
    for partition in range(await kafka.partitions(topic)):
        place = (topic, partition)
        done = stored[place].offset if place in stored else await kafka.reader.earliest(*place)
        backlog += max(0, await kafka.reader.end(*place) - done)
    now = time.time_ns() // 1_000_000
    span = Span(resolution=Resolution.MINUTE, after=now - HOUR_MS, before=now)
    hour = await back.insights.total(WindowKind.ACTION, spec.id, span)
    return ActionView(
        id=spec.id,
        description=spec.description,
        effect=spec.effect.value,
        input_schema=spec.input_schema,
        output_schema=spec.output_schema,
        backlog=backlog,
        workers=len(await kafka.admin.members(group)),
        started=hour.started,
        failed=hour.failed,
        p50_ms=hour.p50_ms,
        p95_ms=hour.p95_ms,
    )


async def _live(back: Backing, workflow: str | None = None) -> dict[tuple[str, str], int]:
    found = await back.questions.live_runs(workflow)
    return {(each.workflow, each.definition_version): each.count for each in found}


def _workflow(versions: list[Deployed], live: dict[tuple[str, str], int]) -> WorkflowView:
    newest = versions[-1].graph
    return WorkflowView(
        name=newest.name,
        description=newest.description,
        versions=[_version(each, live) for each in reversed(versions)],
    )


def _version(one: Deployed, live: dict[tuple[str, str], int]) -> VersionView:
    graph = one.graph
    return VersionView(
        version=graph.version,
        hash=one.record.hash,
        deployed_at=views.when(one.record.deployed_at),
        deployed_by=one.record.deployed_by,
        live_runs=live.get((graph.name, graph.version), 0),
    )
