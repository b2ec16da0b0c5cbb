"""A live installation to be poisoned: orchestrator, worker, projector and gateway, with the orders of the ledger app."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from fuzzing.poison import Poisoner
from integration.installation import Installation, Service
from integration.oracle import Ledger
from support.ports import free_ports

APP = Path(__file__).parents[1] / "integration" / "ledger_app.py"
ACTION = "notify"  # it may run for a stranger without an effect that anybody counts


class Poisoned:
    """Everything that reads a topic."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self.ledger = Ledger(folder)
        self.installation = Installation(
            bootstrap=bootstrap,
            prefix=prefix,
            folder=folder,
            app=APP,
            stores={"ledger": self.ledger.url},
            extra={
                "LEDGER_NOTICES": str(self.ledger.notices),
                "ACTIONBUS_VISIBILITY_URL": f"sqlite:///{folder / 'visibility.db'}",
                "ACTIONBUS_LOG_LEVEL": "error",
            },
        )

    def start(self) -> None:
        """Topics, definitions, every service."""
        made = self.installation
        made.prepare()
        (self.port,) = free_ports(1)
        self.services: Mapping[str, Service] = {
            "orchestrator": made.orchestrator(),
            "worker": made.worker(),
            "projector": made.projector(),
            "gateway": made.gateway(self.port),
        }
        made.wait_ready()

    def close(self) -> None:
        """End them."""
        self.installation.close()

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pids(self) -> Mapping[str, int]:
        """Of every service that has not ended; whoever ended is missing."""
        return {name: each.pid for name, each in self.services.items() if each.process and each.process.poll() is None}

    def restart_orchestrator(self) -> None:
        """End it as an operator does, and start it again without what it remembers."""
        orchestrator = self.services["orchestrator"]
        assert orchestrator.stop() == 0, orchestrator.output
        orchestrator.start()
        orchestrator.wait_ready()

    def counts(self) -> Mapping[str, float]:
        """What the services count of what they do not take."""
        orchestrator, projector = self.services["orchestrator"], self.services["projector"]
        found = {"forged": total(orchestrator, "actionbus_forged_results_total")}
        found["definitions"] = total(orchestrator, "actionbus_records_ignored_total", kind="definitions")
        found["state"] = total(orchestrator, "actionbus_records_ignored_total", kind="state")
        found["control"] = total(self.services["worker"], "actionbus_records_ignored_total", kind="control")
        found["events"] = total(projector, "actionbus_projector_events_total", outcome="unreadable")
        found["events passed"] = total(projector, "actionbus_projector_events_total")
        return found

    def poisoner(self, seed: int) -> Poisoner:
        """What poisons it."""
        made = self.installation
        return Poisoner(
            made.connection,
            made.prefix,
            shards=made.shards,
            action=ACTION,
            action_partitions=4,
            counts=self.counts,
            seed=seed,
        )


def total(service: Service, name: str, **labels: str) -> float:
    """The sum of a metric over the series that have these labels."""
    status, page = service.get("/metrics")
    while status != HTTPStatus.OK:  # on a busy machine it answers late
        assert service.process is not None
        assert service.process.poll() is None, f"{service.name} has ended:\n{service.output}"
        time.sleep(0.2)
        status, page = service.get("/metrics")
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )
