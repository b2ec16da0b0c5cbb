"""All dashboards by name, and the files that Grafana reads."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from actionbus.provisioner.dashboards.action import action
from actionbus.provisioner.dashboards.overview import overview
from actionbus.provisioner.dashboards.readers import readers
from actionbus.provisioner.dashboards.shards import shards
from actionbus.provisioner.dashboards.workers import workers
from actionbus.provisioner.dashboards.workflow import workflow

FOLDER: Final = "deploy/grafana/dashboards"
DASHBOARDS: Final = {
    "overview": overview,
    "workflow": workflow,
    "action": action,
    "shards": shards,
    "workers": workers,
    "readers": readers,
}


def text(name: str) -> str:
    """The file of one dashboard."""
    return json.dumps(DASHBOARDS[name](), indent=1, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str]) -> None:
    """Write every dashboard into the folder that is named, or into its place in a checkout."""
    (folder,) = arguments or [FOLDER]
    for name in DASHBOARDS:
        (Path(folder) / f"{name}.json").write_text(text(name), encoding="utf-8")
