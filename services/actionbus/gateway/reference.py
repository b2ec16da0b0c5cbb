"""The document of the API as a file: `python -m actionbus.gateway.reference docs/reference` writes it."""

import json
import sys
from pathlib import Path
from typing import Final

from actionbus.gateway.app import application, document

NAME: Final = "openapi.json"
_ANY_BODY: Final = 1  # the limit of bodies is no part of the document


def text() -> str:
    """The document, derived from the routes."""
    return json.dumps(document(application(body_bytes=_ANY_BODY)), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the file into the folder given."""
    (folder,) = arguments
    (Path(folder) / NAME).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
