"""No log line and no span tells who a member is: names by a key, and no exception's words that may quote a value."""

import hashlib
import hmac
import json
import logging
import subprocess
import sys

import pymysql
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from point_service.mysql import faults, migrate
from point_service.settings import SettingError, load
from point_service.telemetry import logs, traces
from point_service.turns import cache
from redis import exceptions as client
from sqlalchemy.exc import OperationalError

GOOD = {"POINT_DATABASE_HOST": "mysql-writer.data"}
SECRET = "m-secret"
PRINT_NAME = "from point_service.telemetry import logs; print(logs.hashed('m-1'))"


def line_of(error):
    record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, error.__traceback__)})
    return json.loads(logs.JsonFormatter().format(record))["exception"]


def test_a_members_name_in_the_log_is_made_by_the_key_of_the_stack(monkeypatch):
    key = b"0123456789abcdef"
    monkeypatch.setattr(logs, "_key", key)
    assert logs.hashed("m-1") == hmac.new(key, b"m-1", hashlib.sha256).hexdigest()[:16]


def test_without_a_key_no_two_processes_call_a_member_the_same():
    told = {subprocess.check_output([sys.executable, "-c", PRINT_NAME]) for _ in range(2)}
    assert len(told) == 2
    assert hashlib.sha256(b"m-1").hexdigest()[:12].encode() not in b"".join(told)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"short\n", "holds fewer than 16 bytes"), (None, "can't be read (FileNotFoundError)")],
)
def test_a_key_that_can_be_guessed_or_is_not_there_is_named(tmp_path, content, said):
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    with pytest.raises(SettingError, match="POINT_LOG_KEY_FILE") as error:
        load(GOOD | {"POINT_LOG_KEY_FILE": str(tmp_path / "key")})
    assert said in str(error.value)


@pytest.mark.parametrize(
    "error",
    [
        KeyError(SECRET),
        ValueError(f"invalid literal for int() with base 10: '{SECRET}'"),
        pymysql.err.IntegrityError(1062, f"Duplicate entry '{SECRET}' for key 'PRIMARY'"),
        client.RedisClusterException(f"No targets were found to execute ('GET', '{SECRET}') command on"),
    ],
)
def test_an_exception_that_may_quote_a_value_says_its_type_alone_wherever_it_stands(error):
    assert logs.told(error) == type(error).__name__
    assert SECRET not in faults.described(error)
    for explicitly in (True, False):
        line = line_of(followed(error, explicitly))
        assert SECRET not in line
        assert type(error).__name__ in line
        assert line.endswith("RefusedError: told")


def followed(error, explicitly):
    """Return what was raised from an error, or while it was handled."""
    try:
        try:
            raise error
        except Exception as caught:
            if explicitly:
                raise migrate.RefusedError("told") from caught
            raise migrate.RefusedError("told")  # noqa: B904
    except migrate.RefusedError as raised:
        return raised


def test_what_an_exception_says_of_the_code_or_the_system_is_told():
    assert logs.told(ConnectionRefusedError(111, "refused")) == "ConnectionRefusedError: [Errno 111] refused"
    assert logs.told(TypeError("f() takes 1")) == "TypeError: f() takes 1"
    assert logs.told(SettingError("POINT_X: no")) == "SettingError: POINT_X: no"


def test_a_cache_that_can_t_be_reached_is_told_with_the_reason_and_no_command():
    unverified = client.ConnectionError("Error 1 connecting to redis:6379. certificate verify failed")
    away = client.RedisClusterException(f"cannot be connected: {SECRET}")
    away.__cause__ = unverified
    assert cache.described(away) == f"RedisClusterException (ConnectionError: {unverified})"
    assert cache.described(client.ResponseError(f"wrong: {SECRET}")) == "ResponseError"


@pytest.mark.parametrize(
    ("number", "said", "told"),
    [
        (1045, "Access denied for user 'a'", "OperationalError 1045: Access denied for user 'a'"),
        (2003, "certificate verify failed", "OperationalError 2003: certificate verify failed"),
        (1064, f"syntax near '{SECRET}'", "OperationalError 1064"),
    ],
)
def test_a_migration_that_is_refused_tells_no_password(monkeypatch, tmp_path, number, said, told):
    (tmp_path / "password").write_text("x")

    def refuse(*_):
        orig = pymysql.err.OperationalError(number, said)
        raise OperationalError("CREATE USER ... IDENTIFIED BY %(password)s", {"password": SECRET}, orig)

    monkeypatch.setattr(migrate, "_connect", refuse)
    variables = GOOD | {"POINT_DATABASE_MIGRATION_CREDENTIALS_DIR": str(tmp_path)}
    with pytest.raises(migrate.RefusedError) as error:
        migrate.migrate(load(variables).database)
    assert logs.told(error.value) == f"RefusedError: {told}"
    assert SECRET not in line_of(error.value)


def test_a_span_of_a_call_that_failed_says_of_what_kind(monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(traces, "_tracer", provider.get_tracer("test"))
    with pytest.raises(KeyError), traces.request("GET", {}), traces.span("read", "mysql"):
        raise KeyError(SECRET)
    [call, request] = exporter.get_finished_spans()
    assert (call.name, call.status.description) == ("read", "KeyError")
    assert SECRET not in call.to_json() + request.to_json()
