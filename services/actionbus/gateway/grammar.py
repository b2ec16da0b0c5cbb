"""The grammars of names, as the document of the API says them. What breaks one is refused where the name is used.

They are not checked a second time here: those who know what a name is for say what is wrong with it.
"""

import re
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import Field

from actionbus.contracts import identifiers

_STEP: Final = r"[a-z0-9-]{1,100}(\[[0-9]{1,10}\])*"


def said(grammar: re.Pattern[str] | str) -> dict[str, Any]:
    """A grammar for the document."""
    return {"pattern": f"^{grammar if isinstance(grammar, str) else grammar.pattern}$"}


PATH: Final = rf"{_STEP}(\.{_STEP})*"
INCARNATION: Final = "[0-9a-z]{1,13}"
"""An offset in base 36."""
PLACE: Final = rf"{INCARNATION}:[0-9]{{1,18}}"
"""The id of an event in a stream."""
CURSOR: Final = "[A-Za-z0-9_.:-]+"

RunName = Annotated[str, Field(json_schema_extra=said(identifiers.RUN_ID))]
WorkflowName = Annotated[str, Field(json_schema_extra=said(identifiers.NAME))]
SignalName = Annotated[str, Field(json_schema_extra=said(identifiers.NAME))]
ActionName = Annotated[str, Field(json_schema_extra=said(identifiers.NAME))]
Version = Annotated[str, Field(json_schema_extra=said(identifiers.VERSION))]
StepPath = Annotated[str, Field(json_schema_extra=said(PATH))]
ErrorType = Annotated[str, Field(json_schema_extra=said(identifiers.ERROR_TYPE))]
TopicName = Annotated[str, Field(json_schema_extra=said(identifiers.TOPIC))]
Cursor = Annotated[str, Field(json_schema_extra=said(CURSOR), description="That of the page before.")]

RunId = Annotated[str, Path(description="The run.", max_length=200, json_schema_extra=said(identifiers.RUN_ID))]
ScheduleId = Annotated[
    str, Path(description="The schedule.", max_length=200, json_schema_extra=said(identifiers.RUN_ID))
]
Name = Annotated[str, Path(max_length=100, json_schema_extra=said(identifiers.NAME))]
VersionName = Annotated[str, Path(max_length=100, json_schema_extra=said(identifiers.VERSION))]
