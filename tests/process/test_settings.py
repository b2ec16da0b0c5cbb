"""Settings come from variables and secret files, and nonsense is refused before anything starts."""

import os

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from actionbus.contracts.errors import SettingsRefused
from actionbus.process import groups, settings, variables

KEY = "k" * 32


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)


def test_defaults_serve_a_broker_on_this_machine():
    """Without any variable the settings describe a development installation on this machine."""
    loaded = variables.load()
    assert loaded.kafka.bootstrap_servers == ("127.0.0.1:9092",)
    assert loaded.prefix == "actionbus"
    assert loaded.limits.payload_bytes == 262_144


@pytest.mark.parametrize(
    ("name", "text", "read", "expected"),
    [
        ("ACTIONBUS_PREFIX", "shop", lambda s: s.prefix, "shop"),
        ("ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS", "a:1, b:2", lambda s: s.kafka.bootstrap_servers, ("a:1", "b:2")),
        ("ACTIONBUS_HTTP_PORT", "0", lambda s: s.http.port, 0),
        ("ACTIONBUS_LOG_LEVEL", "DEBUG", lambda s: s.log.level, groups.LogLevel.DEBUG),
        ("ACTIONBUS_LIMITS_LIVE_STEPS", "7", lambda s: s.limits.live_steps, 7),
        ("ACTIONBUS_WORKER_MODULES", "pkg.a,pkg.b", lambda s: s.worker.modules, ("pkg.a", "pkg.b")),
        ("ACTIONBUS_STORE_USER_DB_URL", "sqlite://", lambda s: s.store["user-db"].get_secret_value(), "sqlite://"),
    ],
)
def test_a_variable_sets_its_setting(monkeypatch, name, text, read, expected):
    """A variable named after group and setting changes exactly that setting."""
    monkeypatch.setenv(name, text)
    assert read(variables.load()) == expected


@pytest.mark.parametrize("name", [name for name in variables.known() if name != variables.STORE])
def test_every_variable_reaches_the_tree(monkeypatch, name):
    """Every documented variable is really read: nonsense in it is kept as text, or refused under its group's name."""
    monkeypatch.setenv(name, "no sense")
    group, _, leaf = name.removeprefix(settings.PREFIX).lower().partition("_")
    try:
        found = variables.load().model_dump()[group]
        told = found[leaf] if leaf else found
        told = told.get_secret_value() if isinstance(told, SecretStr) else str(told)
    except SettingsRefused as refused:
        told = str(refused)
    assert told == "no sense" or "('no sense',)" in told or f"ACTIONBUS_{group.upper()}" in told


def test_a_secret_file_says_what_a_variable_would(monkeypatch, tmp_path):
    """A file in the folder of secrets holds a value; the variable of that name wins over it."""
    (tmp_path / "ACTIONBUS_NONCE_CURRENT").write_text(KEY + "\n")
    (tmp_path / "actionbus_store_crm_url").write_text("postgresql://in/file")
    (tmp_path / "ACTIONBUS_PREFIX").write_text("of-the-file")
    monkeypatch.setenv("ACTIONBUS_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("ACTIONBUS_PREFIX", "of-the-variable")
    loaded = variables.load()
    assert loaded.nonce_keys().current == KEY.encode()
    assert loaded.store["crm"].get_secret_value() == "postgresql://in/file"
    assert loaded.prefix == "of-the-variable"


def test_a_missing_folder_of_secrets_is_refused(monkeypatch, tmp_path):
    """A folder of secrets that is not mounted stops the start instead of leaving defaults in force."""
    monkeypatch.setenv("ACTIONBUS_SECRETS_DIR", str(tmp_path / "gone"))
    with pytest.raises(SettingsRefused, match="ACTIONBUS_SECRETS_DIR is no folder"):
        variables.load()


def test_a_misspelt_variable_is_refused_with_the_right_one(monkeypatch):
    """A variable that is no setting is refused, and the nearest setting is named."""
    monkeypatch.setenv("ACTIONBUS_KAFKA_SECURTY_PROTOCOL", "SSL")
    with pytest.raises(SettingsRefused, match="did you mean ACTIONBUS_KAFKA_SECURITY_PROTOCOL"):
        variables.load()


def test_a_misspelt_secret_file_is_refused(monkeypatch, tmp_path):
    """A secret file whose name is no setting is refused like a variable."""
    (tmp_path / "ACTIONBUS_NONCE_CURENT").write_text(KEY)
    monkeypatch.setenv("ACTIONBUS_SECRETS_DIR", str(tmp_path))
    with pytest.raises(SettingsRefused, match="did you mean ACTIONBUS_NONCE_CURRENT"):
        variables.load()


def test_a_kubernetes_service_link_is_explained(monkeypatch):
    """The variables Kubernetes makes for a service of our name are refused with the remedy."""
    monkeypatch.setenv("ACTIONBUS_ORCHESTRATOR_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(SettingsRefused, match="enableServiceLinks: false"):
        variables.load()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ACTIONBUS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "needs sasl_username and sasl_password"),
        ({"ACTIONBUS_KAFKA_SASL_USERNAME": "me"}, "need a SASL_ protocol"),
        ({"ACTIONBUS_KAFKA_SSL_CERTFILE": "c.pem"}, "belong together"),
        ({"ACTIONBUS_NONCE_CURRENT": "short"}, "32 to 64 bytes"),
        ({"ACTIONBUS_NONCE_PREVIOUS": KEY}, "needs a current one"),
        ({"ACTIONBUS_ORCHESTRATOR_SESSION_TIMEOUT_MS": "2999"}, "ACTIONBUS_ORCHESTRATOR"),
        ({"ACTIONBUS_PREFIX": "no_underscore"}, "prefix 'no_underscore' is not valid"),
        ({"ACTIONBUS_HTTP_PORT": "x"}, "ACTIONBUS_HTTP_PORT"),
    ],
)
def test_settings_that_make_no_sense_are_refused(monkeypatch, given, sentence):
    """Settings that contradict each other are refused with a sentence that says what to change."""
    for name, text in given.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SettingsRefused, match=sentence):
        variables.load()


def test_a_refusal_shows_no_secret(monkeypatch):
    """Neither a refusal nor the printed settings show a password, a key or a database's address."""
    monkeypatch.setenv("ACTIONBUS_NONCE_CURRENT", "canary-short")
    with pytest.raises(SettingsRefused) as refused:
        variables.load()
    assert "canary" not in str(refused.value)
    monkeypatch.setenv("ACTIONBUS_NONCE_CURRENT", f"canary-{KEY}")
    monkeypatch.setenv("ACTIONBUS_STORE_CRM_URL", "postgresql://canary")
    monkeypatch.setenv("ACTIONBUS_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("ACTIONBUS_KAFKA_SASL_USERNAME", "me")
    monkeypatch.setenv("ACTIONBUS_KAFKA_SASL_PASSWORD", "canary")
    loaded = variables.load()
    assert "canary" not in repr(loaded)
    assert "canary" not in loaded.model_dump_json()
    assert "canary" not in repr(loaded.nonce_keys())


@pytest.mark.parametrize("server", ["127.0.0.1:9092", "localhost:9092", "[::1]:9092"])
def test_the_development_key_serves_this_machine_with_a_warning(server):
    """Without a nonce key a broker on this machine is served, and the log warns."""
    loaded = variables.load(kafka={"bootstrap_servers": server})
    with capture_logs() as lines:
        assert loaded.nonce_keys().current == settings.DEVELOPMENT_NONCE_KEY
    assert [line["log_level"] for line in lines] == ["warning"]


@pytest.mark.parametrize("servers", ["kafka:9092", "127.0.0.1:9092,10.0.0.7:9092", "localhost.example:9092"])
def test_the_development_key_is_refused_elsewhere(servers):
    """Without a nonce key no broker on another machine is served."""
    loaded = variables.load(kafka={"bootstrap_servers": servers})
    with pytest.raises(SettingsRefused, match="ACTIONBUS_NONCE_CURRENT"):
        loaded.nonce_keys()


def test_the_connection_says_what_the_settings_say():
    """The connection given to Kafka clients carries every Kafka setting."""
    loaded = variables.load(
        kafka={
            "bootstrap_servers": "a:1,b:2",
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_username": "u",
            "sasl_password": "p",
        }
    )
    arguments = loaded.kafka.connection("me").arguments()
    assert arguments["bootstrap_servers"] == "a:1,b:2"
    assert arguments["client_id"] == "me"
    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("u", "p")
