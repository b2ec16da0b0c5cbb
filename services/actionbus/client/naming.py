"""Which workflow a caller means: its name, ``name@version``, or the code."""

from actionbus.client.interface import HasGraph
from actionbus.contracts import identifiers
from actionbus.contracts.definitions import Graph


def named(workflow: str | HasGraph, version: str | None) -> tuple[str, str | None, Graph | None]:
    """Name, version if one is pinned, and graph if it was given as code; raises IdentifierRefused."""
    if isinstance(workflow, str):
        name, pinned, inline = workflow.partition("@")
        wanted = inline if pinned and version is None else version
        return identifiers.name("workflow", name), None if wanted is None else identifiers.version(wanted), None
    graph = workflow.graph
    return graph.name, version or graph.version, graph
