"""What of the service's settings has a field, and that the schema and the service say the same of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from point_operator.model import api
from point_operator.resources.pods import container, deployment
from point_service import settings

CRD = yaml.safe_load((Path(__file__).resolve().parents[4] / "crds/pointservices.yaml").read_text())
SERVICE = {"POINT_DATABASE_HOST": "mysql.data", "POINT_CACHE_HOST": "redis.data"}

FIELDS = {
    "database.acquireTimeoutSeconds": "POINT_DATABASE_ACQUIRE_TIMEOUT_SECONDS",
    "database.connectionLifetimeSeconds": "POINT_DATABASE_CONNECTION_LIFETIME_SECONDS",
    "database.poolSize": "POINT_DATABASE_POOL_SIZE",
    "cache.timeoutSeconds": "POINT_CACHE_TIMEOUT_SECONDS",
    "cache.answerTTLSeconds": "POINT_CACHE_ANSWER_TTL_SECONDS",
    "policy.expiringSoonDays": "POINT_POLICY_EXPIRING_SOON_DAYS",
    "server.requestTimeoutSeconds": "POINT_REQUEST_TIMEOUT_SECONDS",
    "server.targetLatencySeconds": "POINT_TARGET_LATENCY_SECONDS",
    "server.drainTimeoutSeconds": "POINT_DRAIN_TIMEOUT_SECONDS",
    "server.idempotencyRetentionHours": "POINT_IDEMPOTENCY_RETENTION_HOURS",
    "server.upkeepIntervalSeconds": "POINT_UPKEEP_INTERVAL_SECONDS",
    "server.sharedTransactionRequests": "POINT_SHARED_TRANSACTION_REQUESTS",
}
"""Numbers whose default is the service's: absent, they leave their variable out."""
SCOPE = "server.idempotencyScope"
ALWAYS = {
    "logLevel": "POINT_LOG_LEVEL",
    "database.host": "POINT_DATABASE_HOST",
    "database.port": "POINT_DATABASE_PORT",
    "database.name": "POINT_DATABASE_NAME",
    "database.readerHost": "POINT_DATABASE_READER_HOST",
    "database.tls.enabled": "POINT_DATABASE_TLS",
    "cache.host": "POINT_CACHE_HOST",
    "cache.port": "POINT_CACHE_PORT",
    "cache.clusterMode": "POINT_CACHE_CLUSTER_MODE",
    "cache.tls.enabled": "POINT_CACHE_TLS",
    "policy.minEarn": "POINT_POLICY_MIN_EARN",
    "policy.maxEarn": "POINT_POLICY_MAX_EARN",
    "policy.maxBalance": "POINT_POLICY_MAX_BALANCE",
    "policy.defaultExpiryDays": "POINT_POLICY_DEFAULT_EXPIRY_DAYS",
    "policy.maxExpiryDays": "POINT_POLICY_MAX_EXPIRY_DAYS",
}
"""Fields whose default the schema fills in."""
OPERATORS = {
    "POINT_HTTP_ADDRESS", "POINT_HTTP_PORT", "POINT_LOCK_ENABLED", "POINT_ZONE", "POINT_POD_NAME",
    "POINT_DATABASE_CREDENTIALS_DIR", "POINT_DATABASE_MIGRATION_CREDENTIALS_DIR", "POINT_DATABASE_CA_FILE",
    "POINT_CACHE_CREDENTIALS_DIR", "POINT_CACHE_CA_FILE", "POINT_LOG_KEY_FILE",
}  # fmt: skip
"""What the operator decides: where things are in the pod, and that Redis is used."""


def _schema(path: str) -> dict[str, Any]:
    found = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for name in path.split("."):
        found = found["properties"][name]
    return found


def _in_force(**changed: str) -> dict[str, str]:
    lines = settings.shown(SERVICE | changed).splitlines()
    return dict(line.split("=", 1) for line in lines)


def _variables(spec: dict[str, Any], path: str = "", value: object = None) -> dict[str, str]:
    """Variables of the application when a field has a value; none is changed without a path."""
    changed = spec
    if path:
        *folders, name = path.split(".")
        changed = place = {key: dict(one) if isinstance(one, dict) else one for key, one in spec.items()}
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = value
    body = {"metadata": {"name": "points", "namespace": "points", "uid": "u"}, "spec": changed}
    pod = deployment.build(api.parse(body), changed["image"], "")["spec"]["template"]["spec"]
    return {one["name"]: one.get("value", "") for one in pod["containers"][0]["env"]}


def test_every_variable_of_the_service_has_a_field_or_is_the_operators() -> None:
    known = {name for name in _in_force() if name.startswith("POINT_")}
    assert set(container.VARIABLES) == known
    scope = {"POINT_IDEMPOTENCY_SCOPE"}
    assert {*FIELDS.values(), *ALWAYS.values()} | OPERATORS | scope == known


@pytest.mark.parametrize("path", FIELDS)
def test_a_field_without_a_value_leaves_its_variable_out(spec: dict[str, Any], path: str) -> None:
    assert FIELDS[path] not in _variables(spec)
    assert "default" not in _schema(path)


@pytest.mark.parametrize("path", FIELDS)
def test_the_schema_takes_what_the_service_takes(spec: dict[str, Any], path: str) -> None:
    field, variable = _schema(path), FIELDS[path]
    for value in (field["minimum"], field["maximum"]):
        said = _variables(spec, path, value)[variable]
        assert float(_in_force(**{variable: said})[variable]) == value
    step = 1 if field["type"] == "integer" else 0.001
    for value in (field["minimum"] - step, field["maximum"] + step):
        with pytest.raises(settings.SettingError):
            settings.load(SERVICE | {variable: str(value)})


@pytest.mark.parametrize("path", [one for one in FIELDS if one != "database.poolSize"])
def test_the_schema_tells_the_default_that_the_service_has(path: str) -> None:
    assert f"; {_in_force()[FIELDS[path]]} when absent" in _schema(path)["description"]


def test_the_scope_of_keys_is_one_that_the_service_knows(spec: dict[str, Any]) -> None:
    variable = "POINT_IDEMPOTENCY_SCOPE"
    assert variable not in _variables(spec)
    said = [_variables(spec, SCOPE, value)[variable] for value in _schema(SCOPE)["enum"]]
    assert [settings.load(SERVICE | {variable: one}).keys_by_client for one in said] == [False, True]
    assert f"; {_in_force()[variable]} when absent" in _schema(SCOPE)["description"]
    with pytest.raises(settings.SettingError):
        settings.load(SERVICE | {variable: "Anybody"})


@pytest.mark.parametrize("path", [path for path in ALWAYS if "default" in _schema(path)])
def test_the_schema_fills_in_the_default_that_the_service_has(path: str) -> None:
    assert str(_schema(path)["default"]) == _in_force()[ALWAYS[path]]


def test_what_has_no_default_must_be_given_or_may_be_left_out() -> None:
    assert {path for path in ALWAYS if "default" not in _schema(path)} == {
        "database.host", "database.readerHost", "cache.host",
    }  # fmt: skip


@pytest.mark.parametrize(("value", "said"), [(2, "2"), (0.25, "0.25"), (1.5, "1.5")])
def test_seconds_are_written_as_the_user_wrote_them(spec: dict[str, Any], value: float, said: str) -> None:
    assert _variables(spec, "server.requestTimeoutSeconds", value)["POINT_REQUEST_TIMEOUT_SECONDS"] == said


def test_the_proxy_and_the_grace_period_follow_the_drain(spec: dict[str, Any]) -> None:
    def given(**server: int) -> tuple[str, int]:
        body = {
            "metadata": {"name": "points", "namespace": "points", "uid": "u"},
            "spec": spec | {"server": server},
        }
        template = deployment.build(api.parse(body), spec["image"], "")["spec"]["template"]
        (drain,) = (
            line for line in template["metadata"]["annotations"]["proxy.istio.io/config"].splitlines()
            if line.startswith("terminationDrainDuration")
        )  # fmt: skip
        return drain.removeprefix("terminationDrainDuration: "), template["spec"][
            "terminationGracePeriodSeconds"
        ]

    assert given() == ("25s", 40)
    assert given(drainTimeoutSeconds=0) == ("5s", 20)
    assert given(drainTimeoutSeconds=120) == ("125s", 140)
    assert int(_in_force()["POINT_DRAIN_TIMEOUT_SECONDS"]) == deployment.SERVICE_DRAIN_SECONDS


def test_spans_go_where_is_said(spec: dict[str, Any]) -> None:
    def tracing(**said: object) -> dict[str, str]:
        found = _variables(spec, "observability.tracing", said) if said else _variables(spec)
        return {name: value for name, value in found.items() if name.startswith("OTEL_")}

    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
    assert tracing() == {}
    assert tracing(endpoint="http://collector:4318") == endpoint
    assert tracing(endpoint="http://collector:4318", samplingPercent=0.5) == endpoint | {
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.005",
    }
    assert settings.load(SERVICE | endpoint).traces_endpoint == "http://collector:4318"


def test_the_sampler_is_one_that_opentelemetry_knows(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.sdk.trace import TracerProvider

    said = _variables(spec, "observability.tracing", {"endpoint": "http://a", "samplingPercent": 12.5})
    for name, value in said.items():
        if name.startswith("OTEL_TRACES"):
            monkeypatch.setenv(name, value)
    assert "TraceIdRatioBased{0.125}" in TracerProvider().sampler.get_description()
