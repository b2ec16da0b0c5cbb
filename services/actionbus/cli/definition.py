"""`actionbus definition`: workflows as text. Nothing of it needs a broker."""

from enum import StrEnum
from typing import Annotated

import typer

from actionbus.cli import output, session, targets
from actionbus.contracts import diagrams, reference

app = typer.Typer(help="Workflows as text: checked, drawn, described.", no_args_is_help=True, rich_markup_mode=None)
Targets = Annotated[
    list[str], typer.Argument(metavar="TARGET...", help="Documents, order.yaml, or modules, path/to/app.py.")
]


class Language(StrEnum):
    """In what a graph is drawn."""

    MERMAID = "mermaid"
    """For Markdown, GitHub and most wikis."""
    DOT = "dot"
    """For Graphviz."""


@app.command()
def lint(found_in: Targets) -> None:
    """Check workflows: every mistake is named, in a document with its line and column. Silence means there is none."""
    for graph in targets.graphs(found_in, session.settings().limits):
        output.note(f"{graph.name}@{graph.version}: {sum(1 for _ in graph.nodes())} nodes, no mistakes")


@app.command()
def graph(
    found_in: Targets,
    *,
    language: Annotated[Language, typer.Option("--format", help="In what it is drawn.")] = Language.MERMAID,
) -> None:
    """Draw workflows, as text in the language of Mermaid or of Graphviz."""
    draw = diagrams.mermaid if language is Language.MERMAID else diagrams.dot
    for each in targets.graphs(found_in, session.settings().limits):
        print(draw(each), end="")


@app.command()
def show(found_in: Targets) -> None:
    """Print workflows as the JSON that is deployed, a line for each."""
    for each in targets.graphs(found_in, session.settings().limits):
        print(each.canonical().decode())


@app.command()
def schema() -> None:
    """Print the JSON Schema of documents, for editors that complete and check while one writes."""
    print(reference.definition_page(), end="")
