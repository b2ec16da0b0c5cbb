"""The compose installation is well formed, starts in order, and gives nothing away."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from actionbus.process import settings, variables

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("actionbus")}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[-?])([^}]*)\}")


def _filled(found):
    return found[3] if found[2] == ":-" else "k" * 32


def test_the_file_fits_the_specification():
    """The file, with its variables filled in, is valid under the Compose Specification's schema."""
    schema = json.loads((Path(__file__).parent / "compose-spec" / "compose-spec.json").read_text())
    filled = yaml.safe_load(VARIABLE.sub(lambda found: found[3] if found[2] == ":-" else "given", TEXT))
    jsonschema.Draft202012Validator(schema).validate(filled)


def test_the_specification_refuses_what_is_wrong():
    """The schema that judges the file is not so lenient that it would pass a misspelt key."""
    schema = json.loads((Path(__file__).parent / "compose-spec" / "compose-spec.json").read_text())
    wrong = COMPOSE | {"services": SERVICES | {"kafka": SERVICES["kafka"] | {"comand": "x"}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(wrong)


def test_every_variable_is_explained():
    """Each variable of the file stands in .env.example and the reverse; a secret has no default."""
    used = {name: kind for name, kind, _ in VARIABLE.findall(TEXT)}
    example = (ROOT / ".env.example").read_text()
    assert set(used) == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert {name for name, kind in used.items() if kind == ":?"} == {
        "ACTIONBUS_NONCE_CURRENT",
        "GRAFANA_PASSWORD",
        "POSTGRES_PASSWORD",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_fixed_version(name):
    """No service takes whatever image is the latest."""
    assert re.search(r":v?\d+\.\d+(\.\d+)?$", SERVICES[name]["image"])  # PostgreSQL's versions have two parts


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_rights_to_spare(name):
    """Our containers cannot write to their image, gain privileges or use capabilities."""
    service = OURS[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_read_only_settings_that_exist(name, monkeypatch):
    """Every variable that a container is given is a setting, and together they make sense."""
    given = {key: VARIABLE.sub(_filled, value) for key, value in OURS[name]["environment"].items()}
    monkeypatch.setattr("os.environ", given)
    loaded = variables.load()
    assert loaded.topics.replication_factor == 1
    if name == "orchestrator":
        assert loaded.nonce_keys().current != settings.DEVELOPMENT_NONCE_KEY


@pytest.mark.parametrize("name", OURS)
def test_a_container_is_given_time_to_finish(name):
    """The platform waits longer than the process's own grace period before it kills."""
    assert int(OURS[name]["stop_grace_period"].removesuffix("s")) > settings.Settings().grace_seconds


def test_nothing_starts_before_what_it_needs():
    """Topics come before definitions and orchestrators, definitions before workers, Kafka before all of them."""
    needs = {name: set(service.get("depends_on", {})) for name, service in OURS.items()}
    assert needs == {
        "topics": {"kafka"},
        "deploy": {"topics"},
        "orchestrator": {"topics"},
        "worker": {"deploy"},
        "projector": {"topics", "postgres"},
        "gateway": {"topics", "postgres"},
        "canary": {"topics", "postgres"},
    }
    for service in OURS.values():
        for needed, how in service["depends_on"].items():
            once = SERVICES[needed].get("restart") == "no"
            assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_on_this_machine_only(name):
    """No port is reachable from the network unless somebody decides so."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_each_orchestrator_has_a_cache_of_its_own():
    """Replicas of the orchestrator share no volume: two processes cannot open one RocksDB folder."""
    assert "volumes" not in SERVICES["orchestrator"]
    assert "VOLUME /var/lib/actionbus" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_projector_and_gateway_share_a_database():
    """Both have the address of the PostgreSQL service, its user and its password."""
    addresses = {SERVICES[name]["environment"]["ACTIONBUS_VISIBILITY_URL"] for name in ("projector", "gateway")}
    made = SERVICES["postgres"]["environment"]
    user, password, name = (made[f"POSTGRES_{part}"] for part in ("USER", "PASSWORD", "DB"))
    assert addresses == {f"postgresql://{user}:{password}@postgres/{name}"}


def test_traces_go_to_the_collector_by_choice():
    """Without the profile nothing of tracing runs or is sent; with it the services know where the collector is."""
    assert SERVICES["jaeger"]["profiles"] == ["tracing"]
    ports = [port.rsplit(":", 1)[1] for port in SERVICES["jaeger"]["ports"]]
    for service in OURS.values():
        assert service["environment"]["ACTIONBUS_TRACING_ENABLED"] == "${TRACING:-false}"
        host, port = service["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"].removeprefix("http://").split(":")
        assert host in SERVICES
        assert port in ports


def test_the_gateways_port_is_exposed():
    """The port that the file publishes is the one that the gateway is told and that the image names."""
    port = SERVICES["gateway"]["environment"]["ACTIONBUS_GATEWAY_PORT"]
    assert SERVICES["gateway"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"EXPOSE {port}\n" in (ROOT / "deploy" / "Dockerfile").read_text()


def test_mounted_paths_exist():
    """Every file and folder that the file mounts is in the checkout."""
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = VARIABLE.sub(lambda found: found[3], mount).split(":")[0]
            assert not source.startswith(".") or (ROOT / source).exists()


def test_prometheus_scrapes_the_services_that_exist():
    """Each scrape job is named after a service of the file and asks the port that it serves."""
    jobs = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    for job in jobs:
        (found,) = job["dns_sd_configs"]
        assert found["names"] == [job["job_name"]]
        assert job["job_name"] in OURS
        assert found["port"] == settings.Settings().http.port
    assert {name for name, service in OURS.items() if service.get("restart") != "no"} <= {
        each["job_name"] for each in jobs
    }


def test_grafana_finds_its_source_and_its_dashboards():
    """The provisioned source has the address of the Prometheus service, the provider the folder that is mounted."""
    folder = ROOT / "deploy" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "actionbus.yml").read_text())["providers"]
    assert source["url"] == "http://prometheus:9090"
    mounted = [mount.split(":")[1] for mount in SERVICES["grafana"]["volumes"]]
    assert provider["options"]["path"] in mounted
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (ROOT / "deploy" / "grafana" / "dashboards" / Path(home).name).exists()
