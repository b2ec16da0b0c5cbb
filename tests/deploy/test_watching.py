"""What is watched exists: a real Prometheus scrapes real processes under load, and every expression finds its data."""

import asyncio
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
import yaml

from actionbus.client import Client
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.producer import IdempotentProducer
from actionbus.provisioner.dashboards import files
from deploy import watched
from integration.installation import Installation
from support.commands import die_with_parent
from support.ports import free_ports

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WORKFLOWS = ("fine", "undone", "late", "crowded", "asking")
SECONDS = 240.0
ABSENT = {  # what no load can bring about, and why
    "actionbus_producer_rebuilds_total": "a shard is rebuilt only when brokers fail",
    "actionbus_records_ignored_total": "somebody has to write what nobody can read",
    "actionbus_results_differ_total": "an attempt that was given up has to come back with another output",
    "actionbus_results_relayed_total": "a worker has to die between its commit and its answer",
    "actionbus_steps_in_doubt_total": "a worker has to die in the middle of an attempt",
    "actionbus_store_rows_removed_total": "a row is older than a week when it is removed",
}


class Watching:
    """An installation under load, and the Prometheus that scrapes it."""

    def __init__(self, installation: Installation, prefix: str, port: int, door: int) -> None:
        self.installation = installation
        self.prefix = prefix
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=60, trust_env=False)
        self._door = f"http://127.0.0.1:{door}"
        self._over = threading.Event()
        self._load = threading.Thread(target=lambda: asyncio.run(self._work()), daemon=True)

    def __enter__(self):
        self._load.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._load.join()
        self._http.close()

    def ask(self, path, **parameters):
        """The data of an answer of Prometheus."""
        return self._http.get(path, params=parameters).raise_for_status().json()["data"]

    def samples(self, expression):
        """What an expression gives now."""
        return self.ask("/query", query=expression)["result"]

    def wait_for(self, find, what):
        """Return what is found, once it is something."""
        deadline = time.monotonic() + SECONDS
        while not (found := find()):
            assert self._load.is_alive(), "the load has ended"
            assert time.monotonic() < deadline, what
            time.sleep(0.5)
        return found

    async def _work(self):
        """Start runs of every workflow until it is over, one of them with a record that nobody can read before it."""
        connection = self.installation.connection
        async with IdempotentProducer(connection) as producer:
            await producer.append(Topics(self.prefix).requests, 0, [OutRecord(key=b"junk", value=b"\x00no request")])
        gateway = httpx.AsyncClient(base_url=self._door, timeout=60, trust_env=False)
        async with Client(connection, self.prefix) as client, gateway:
            number = 0
            while not self._over.is_set():
                names = WORKFLOWS if number < 20 else WORKFLOWS[:3]  # those that wait are many enough by then
                for name in names:
                    await client.start(name, "ada", run_id=f"{name}-{number}", trace=TRACE, wait=False)
                (await gateway.get("/v1/runs")).raise_for_status()
                number += 1
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def watching(embedded_broker, prometheus, tmp_path_factory):
    """Every service under load, and Prometheus with the shipped rules and the shipped jobs."""
    folder, prefix = tmp_path_factory.mktemp("watching"), "watching"
    installation = Installation(
        bootstrap=embedded_broker,
        prefix=prefix,
        folder=folder,
        app=Path(__file__).with_name("watched_app.py"),
        extra={
            "ACTIONBUS_VISIBILITY_URL": f"sqlite:///{folder / 'visibility.db'}",
            "ACTIONBUS_PROJECTOR_WINDOW_SECONDS": "1",
        },
    )
    process = None
    port, door = free_ports(2)
    try:
        installation.prepare()
        services = {
            "orchestrator": installation.orchestrator(),
            "worker": installation.worker(),
            "projector": installation.projector(),
            "gateway": installation.gateway(door),
            "canary": installation.canary(),
        }
        installation.wait_ready()
        process = _prometheus(prometheus, folder, port, {name: [each.port] for name, each in services.items()})
        with Watching(installation, prefix, port, door) as watching:
            watching.wait_for(lambda: _answers(port), "Prometheus does not answer")
            yield watching
    finally:
        if process is not None:
            process.terminate()
            process.wait()
        installation.close()


def _answers(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/-/ready", timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _prometheus(program, folder, port, ports):
    """Start it with the shipped configuration, whose names of containers are exchanged for ports of this machine."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        del job["dns_sd_configs"]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{each}" for each in ports.get(job["job_name"], ())]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    with (folder / "prometheus.log").open("wb") as log:
        return subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--enable-feature=exemplar-storage",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - prctl alone is safe after fork
        )


def _wanted(expression):
    """Whether an expression has to find data here."""
    return not watched.metric_names(expression) & ABSENT.keys()


@pytest.mark.parametrize("name", files.DASHBOARDS)
def test_every_panel_finds_data(watching, name):
    """Each expression of a dashboard is accepted, and gives something while the installation works."""
    expressions = {
        watched.filled(target["expr"]) for panel in files.DASHBOARDS[name]()["panels"] for target in panel["targets"]
    }
    for expression in sorted(expressions):
        if _wanted(expression):
            watching.wait_for(lambda expression=expression: watching.samples(expression), f"nothing for {expression}")
        else:
            watching.samples(expression)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_watches_what_there_is(watching, rule):
    """Each metric of a rule is served by a process that works, and Prometheus evaluates the rule without an error."""
    for name in watched.metric_names(rule["expr"]):
        if _wanted(name):
            watching.wait_for(lambda name=name: watching.samples(f"count({name})"), f"nothing is called {name}")

    def evaluated():
        groups = watching.ask("/rules", type="alert")["groups"]
        return [each["health"] for group in groups for each in group["rules"] if each["name"] == rule["alert"]]

    watching.wait_for(lambda: evaluated() == ["ok"], f"{rule['alert']} cannot be evaluated")


@pytest.mark.parametrize("service", ["orchestrator", "worker", "projector", "gateway"])
def test_a_live_scrape_is_clean(watching, promtool, service):
    """Prometheus's linter finds nothing in what a process serves under load, and no run id is in a label."""
    watching.wait_for(lambda: watching.samples("actionbus_run_duration_seconds_count"), "no run has ended")
    process = next(each for each in watching.installation.services if each.name == service)
    _, page = process.get("/metrics")
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "fine-0" not in page


@pytest.mark.parametrize(
    "metric",
    [
        "actionbus_run_duration_seconds_bucket",
        "actionbus_timer_fire_delay_seconds_bucket",
        "actionbus_step_duration_seconds_bucket",
        "actionbus_step_schedule_to_start_seconds_bucket",
    ],
)
def test_a_duration_leads_to_a_trace(watching, metric):
    """Prometheus has kept the trace of a run beside the durations of it and of its steps."""

    def exemplars():
        now = time.time()
        found = watching.ask("/query_exemplars", query=metric, start=now - 3_600, end=now + 60)
        return [each["labels"]["trace_id"] for series in found for each in series["exemplars"]]

    assert set(watching.wait_for(exemplars, f"{metric} has no exemplar")) == {TRACE.split("-")[1]}
