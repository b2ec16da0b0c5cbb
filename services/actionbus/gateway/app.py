"""The application: every route of the API, its document, and the page for people."""

from importlib.metadata import version
from typing import Any, Final

from fastapi import APIRouter, FastAPI

from actionbus.gateway import (
    bulk,
    following,
    letters,
    looking,
    page,
    problems,
    runs,
    schedules,
    steps,
    verbs,
    workflows,
)
from actionbus.gateway.door import PREFIX, Door
from actionbus.gateway.problems import Problem
from actionbus.process.http_spans import HttpSpans

DESCRIPTION: Final = """Start durable workflows, follow them, and step in.

Errors are problems as RFC 9457 describes them. A request that asks something of a run waits for the verdict on it;
when that is not in in time the answer is 202, and the request is carried out all the same. Send an `Idempotency-Key`
with every POST: the same key sent again has one effect."""


def application(*, body_bytes: int) -> FastAPI:
    """The application; whoever serves it puts a `Backing` into its state."""
    app = FastAPI(
        title="actionbus",
        version=version("actionbus"),
        description=DESCRIPTION,
        docs_url=None,  # its page comes from elsewhere; the document itself is at /openapi.json
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    api = APIRouter(prefix=PREFIX)
    for each in (runs, following, verbs, bulk, steps, workflows, schedules, looking, letters):
        api.include_router(each.router)
    app.include_router(api)
    app.include_router(page.router)
    problems.install(app)
    app.add_middleware(HttpSpans)
    app.add_middleware(Door, body_bytes=body_bytes)
    app.openapi = lambda: document(app)  # pyright: ignore[reportAttributeAccessIssue] - as FastAPI documents it
    return app


def document(app: FastAPI) -> dict[str, Any]:
    """The document of the API, OpenAPI 3.1: with the problems that FastAPI does not know of."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        schemas = made["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        made["components"]["responses"] = problems.components()
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for path in made["paths"].values():
            for operation in path.values():
                _own_validation(operation)
                problems.refer(operation["responses"])
        app.openapi_schema = made
    return app.openapi_schema


def _own_validation(operation: dict[str, Any]) -> None:
    """What FastAPI would answer to a request that it cannot read is a problem with 400 here."""
    found = operation.get("responses", {}).get("422")
    content = {} if found is None else found.get("content", {})
    if "HTTPValidationError" in str(content.get("application/json", {})):
        content.pop("application/json")
        if not content:
            operation["responses"].pop("422")
