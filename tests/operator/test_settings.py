"""The operator's environment."""

import json
import logging
import sys

import pytest
from point_operator import settings
from point_operator.process import logs


def test_without_environment_the_defaults_hold() -> None:
    loaded = settings.load({})
    assert loaded.gateway_namespaces == ("istio-ingress",)
    assert loaded.http_port == 8080


def test_namespaces_are_separated_by_commas() -> None:
    loaded = settings.load({"POINT_OPERATOR_GATEWAY_NAMESPACES": "a, b,"})
    assert loaded.gateway_namespaces == ("a", "b")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("POINT_OPERATOR_GATEWAY_NAMESPACES", "istio-system", "can't be on it"),
        ("POINT_OPERATOR_HTTP_PORT", "http", "not a whole number from 1 to 65535"),
        ("POINT_OPERATOR_HTTP_PORT", "0", "not a whole number from 1 to 65535"),
        ("POINT_OPERATOR_WORKERS", "1000", "not a whole number from 1 to 64"),
        ("POINT_OPERATOR_LOG_LEVEL", "loud", "none of DEBUG"),
        ("POINT_OPERATOR_RUNBOOK_URL", "docs/runbook.md", "no http or https URL"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(settings.SettingError, match=f"{name}.*{message}"):
        settings.load({name: value})


def test_a_log_line_is_one_json_object() -> None:
    try:
        raise ValueError("why\nnot")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x", logging.INFO, "f", 1, "did %s", ("it",), sys.exc_info(), extra={"child": "a/b"}
        )
    line = logs.JsonFormatter().format(record)
    assert "\n" not in line
    told = json.loads(line)
    assert (told["message"], told["child"], told["level"]) == ("did it", "a/b", "INFO")
    assert "ValueError" in told["error"]
