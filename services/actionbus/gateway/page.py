"""The page for people at `/`: static files that travel with the package and ask the API like anybody else."""

from importlib import resources
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

FILES: Final = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "graph.js": "text/javascript; charset=utf-8",
    "dom.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

router = APIRouter(include_in_schema=False)


def _file(name: str) -> Response:
    data = resources.files("actionbus.gateway").joinpath("console", name).read_bytes()
    return Response(data, media_type=FILES[name], headers=HEADERS)


@router.get("/")
async def index() -> Response:
    """The page."""
    return _file("index.html")


@router.get("/console/{name}")
async def file(name: str) -> Response:
    """A file of the page."""
    return _file(name) if name in FILES else Response(status_code=404)
