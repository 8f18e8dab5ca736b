"""Configuration: read once, and wrong values named in one line."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from point_local.alone import ports
from point_service.settings import Credentials, SettingError, load, pool_size, shown

API = Path(__file__).parents[2] / "docs" / "api.md"
EVERYTHING = {"POINT_CACHE_HOST": "valkey", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
GOOD = {"POINT_DATABASE_HOST": "mysql-writer.data"}


def test_only_the_database_host_must_be_given():
    settings = load(GOOD)
    assert (settings.database.port, settings.database.name, settings.http_port) == (3306, "points", 8080)
    assert settings.database.tls
    assert settings.cache is None


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("POINT_DATABASE_HOST", "", "not set"),
        ("POINT_DATABASE_HOST", "bad host", "'bad host' is not a host name"),
        ("POINT_DATABASE_PORT", "0", "'0' is not a whole number from 1 to 65535"),
        ("POINT_DATABASE_PORT", "abc", "'abc' is not a whole number"),
        ("POINT_DATABASE_NAME", "a`b", "letters, digits or _"),
        ("POINT_DATABASE_TLS", "maybe", "'maybe' is not one of true, false"),
        ("POINT_DATABASE_CA_FILE", "/nowhere/ca.crt", "'/nowhere/ca.crt' is not a file"),
        ("POINT_DATABASE_CREDENTIALS_DIR", "/nowhere", "is not a folder with a file named password"),
        ("POINT_DATABASE_POOL_SIZE", "501", "from 1 to 500"),
        ("POINT_REQUEST_TIMEOUT_SECONDS", "nan", "'nan' is not a number of seconds"),
        ("POINT_SHARED_TRANSACTION_REQUESTS", "0", "from 1 to 500"),
        ("POINT_TARGET_LATENCY_SECONDS", "61", "from 0 to 60"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "is not an http or https URL"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector:4318", "has credentials"),
        ("POINT_LOG_LEVEL", "LOUD", "is not one of DEBUG, INFO, WARNING, ERROR"),
        ("POINT_POLICY_MIN_EARN", "100001", "is more than POINT_POLICY_MAX_EARN"),
        ("POINT_POLICY_DEFAULT_EXPIRY_DAYS", "2000", "is more than POINT_POLICY_MAX_EXPIRY_DAYS"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_was_and_what_is_allowed(name, value, said):
    with pytest.raises(SettingError) as error:
        load(GOOD | {name: value})
    assert str(error.value).startswith(name)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture(
    params=[b"", b"garbage", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def no_certificate(tmp_path, request):
    """A file that holds none."""
    file = tmp_path / "ca.crt"
    file.write_bytes(request.param)
    return file


@pytest.mark.parametrize("name", ["POINT_DATABASE_CA_FILE", "POINT_CACHE_CA_FILE"])
def test_a_file_that_holds_no_certificate_is_named(no_certificate, name):
    with pytest.raises(SettingError) as error:
        load(GOOD | {"POINT_CACHE_HOST": "valkey", name: str(no_certificate)})
    assert str(error.value) == f"{name}: '{no_certificate}' is not a file of certificates in PEM"


@pytest.mark.parametrize(
    ("limit", "size"),
    [("50000 100000", 5), ("10000 100000", 4), ("max 100000", None), ("", None), (None, None)],
)
def test_the_pool_is_as_large_as_the_cpu_limit_keeps_busy(tmp_path, limit, size):
    control = tmp_path / "cpu.max"
    if limit is not None:
        control.write_text(limit)
    unlimited = max(4, min(50, 10 * len(os.sched_getaffinity(0))))
    assert pool_size(control) == (size or unlimited)
    assert load(GOOD).database.pool_size in (pool_size(), unlimited)


def test_the_program_ends_with_status_2_and_one_line():
    done = subprocess.run(
        [sys.executable, "-m", "point_service", "serve"],
        env={"POINT_DATABASE_HOST": "x", "POINT_HTTP_PORT": "http"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "point-service: POINT_HTTP_PORT: 'http' is not a whole number from 1 to 65535\n"


def test_an_application_that_does_not_start_ends_with_status_1_and_says_so_last(tmp_path):
    variables = {
        "POINT_DATABASE_HOST": "127.0.0.1",
        "POINT_HTTP_ADDRESS": "127.0.0.1",
        "POINT_HTTP_PORT": str(ports.free_port()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "OTEL_BSP_MAX_QUEUE_SIZE": "-1",  # which the exporter refuses
    }
    done = subprocess.run(
        [sys.executable, "-m", "point_service", "serve"],
        env={**os.environ, **variables},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (1, "")
    assert lines[-1]["message"] == "serve failed: NotStartedError: the application did not start"
    assert "Task exception was never retrieved" not in done.stdout
    assert "max_queue_size" in done.stdout


def test_a_port_that_is_taken_is_one_line_too():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "point_service", "serve"],
            env={
                "POINT_DATABASE_HOST": "127.0.0.1",
                "POINT_HTTP_ADDRESS": "127.0.0.1",
                "POINT_HTTP_PORT": str(port),
            },
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stdout) == (2, "")
    [line] = done.stderr.splitlines()
    assert "POINT_HTTP_PORT" in line
    assert str(port) in line


def test_a_secret_is_read_from_its_file_each_time(tmp_path):
    (tmp_path / "password").write_text("one\n")
    credentials = Credentials(tmp_path)
    assert (credentials.username(), credentials.password()) == (None, "one")
    (tmp_path / "password").write_text("two\n")
    assert credentials.password() == "two"


def test_every_variable_is_shown_with_the_value_in_force_and_taken_again_as_it_is():
    given = GOOD | {"POINT_CACHE_HOST": "valkey.data", "POINT_POLICY_MAX_EARN": "500"}
    lines = shown(given).splitlines()
    assert {"POINT_HTTP_PORT=8080", "POINT_POLICY_MAX_EARN=500", "POINT_CACHE_TLS=True"} <= set(lines)
    assert load(dict(line.split("=", 1) for line in lines)) == load(given)


def test_the_documented_variables_are_those_that_are_read():
    rows = [line for line in API.read_text().splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`((?:POINT|OTEL)_[A-Z_]+)`", row)}
    read = {line.partition("=")[0] for line in shown(GOOD | EVERYTHING).splitlines()}
    assert documented == read - {"OTEL_EXPORTER_OTLP_PROTOCOL"}  # of which there is one value only


def test_no_setting_shows_a_secret(tmp_path):
    (tmp_path / "password").write_text("hunter2")
    assert "hunter2" not in shown(GOOD | {"POINT_DATABASE_CREDENTIALS_DIR": str(tmp_path)})
    assert "hunter2" not in repr(load(GOOD | {"POINT_DATABASE_CREDENTIALS_DIR": str(tmp_path)}))
