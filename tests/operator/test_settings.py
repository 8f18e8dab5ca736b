"""The operator's environment."""

import json
import logging
import sys
from pathlib import Path

import pytest
from point_operator import main, settings
from point_operator.process import logs


def test_without_environment_the_defaults_hold() -> None:
    loaded = settings.load({})
    assert list(map(str, loaded.gateways)) == [
        "default=istio-ingress/istio=ingressgateway/istio-ingressgateway"
    ]
    assert loaded.http_port == 8080


def test_gateways_are_read_in_order() -> None:
    text = "inner=b/app.kubernetes.io/name=gw,zone=a/inner-sa; outer=b/app.kubernetes.io/name=edge/outer.sa;"
    inner, outer = settings.load({"POINT_OPERATOR_GATEWAYS": text}).gateways
    assert inner.selector == {"app.kubernetes.io/name": "gw", "zone": "a"}
    assert (outer.name, outer.namespace, outer.service_account) == ("outer", "b", "outer.sa")


def test_what_is_read_are_the_namespaces_watched_and_those_of_gateways() -> None:
    former = {"POINT_OPERATOR_FORMER_GATEWAY_NAMESPACES": "old"}
    assert settings.load(former).read_namespaces == ()
    loaded = settings.load(former | {"POINT_OPERATOR_WATCH_NAMESPACES": "shop, test,"})
    assert loaded.watch_namespaces == ("shop", "test")
    assert loaded.read_namespaces == ("istio-ingress", "old", "shop", "test")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("POINT_OPERATOR_GATEWAYS", "a=istio-system/a=b/c", "can't be on it"),
        ("POINT_OPERATOR_GATEWAYS", "a=b/c/d", "not of the form name=namespace/label=value"),
        ("POINT_OPERATOR_GATEWAYS", "a=b/c=d", "not of the form name=namespace/label=value"),
        ("POINT_OPERATOR_GATEWAYS", "a=b/c=d/e;a=f/c=d/e", "two gateways are called a"),
        ("POINT_OPERATOR_GATEWAYS", "a=b/c=d/e;f=b/c=d,g=h/e", "a and f may be the same pods of b"),
        ("POINT_OPERATOR_WATCH_NAMESPACES", "a,b/c", "'b/c' is no name of a namespace"),
        ("POINT_OPERATOR_FORMER_GATEWAY_NAMESPACES", "a_b", "'a_b' is no name of a namespace"),
        ("POINT_OPERATOR_HOSTS_LISTED", "yes", "neither true nor false"),
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


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "Invalid kube-config file"), ("}{", "expected"), ("[1]", ""), ("clusters: 1", "")],
)
def test_a_kubeconfig_that_says_nothing_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, why: str
) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main.main(["check", "--kubeconfig", str(file)])
    assert ended.value.code == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"point-operator: error: no way to the API server: {file}: ")
    assert why in said[-1]


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
