"""Every metric that a dashboard or an alert names comes from something that Prometheus scrapes on AWS."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from point_operator.resources.watching import alerts, service_dashboard

CRD = Path(__file__).resolve().parents[3] / "crds" / "pointservices.yaml"
# What is a metric in PromQL: a name before its labels or its window, with no colon, which recorded ones have.
METRIC = re.compile(r"(?<![:\w])([a-z_]\w*)(?=[\[{])", re.IGNORECASE | re.ASCII)
SCRAPED_BY = {
    "point_operator_": "operator-point-system-podmonitor-point-operator",
    "process_": "operator-point-system-podmonitor-point-operator",
    "point_": "ServiceMonitor",
    "envoy_": "operator-point-system-podmonitor-point-gateway-default",
    "container_": "kube-prometheus-stack",
    "kube_": "kube-prometheus-stack",
    "istio_": "operator-point-system-podmonitor-point-gateway-default",
    "pilot_": "istio-istio-system-podmonitor-istiod",
}
"""Beginning of a metric's name -> what finds its pods; the first that fits."""


def _declared(updated: Any) -> list[str]:
    """Queries of the alerts and the dashboards that the program itself declares."""
    rules = [
        r for p in updated.of(":PrometheusRule").values() for g in p["spec"]["groups"] for r in g["rules"]
    ]
    boards = [
        json.loads(text)
        for m in updated.of(":ConfigMap").values()
        if "grafana_dashboard" in m["metadata"]["labels"]
        for text in m["data"].values()
    ]
    panels = [p for board in boards for p in board["panels"]]
    targets = [
        t["expr"]
        for p in [*panels, *(q for p in panels for q in p.get("panels", []))]
        for t in p.get("targets", [])
    ]
    assert rules
    assert targets
    return [*(r["expr"] for r in rules), *targets]


def _of_a_service() -> list[str]:
    """Queries of the alerts and the dashboard that the operator makes for each PointService."""
    conditions = [condition for alert in alerts.ALERTS for condition in alert.conditions]
    return [*conditions, *(query for _, query in alerts.RECORDED), str(service_dashboard.ROWS)]


def _names(queries: list[str]) -> set[str]:
    """Metrics that are scraped, not recorded; `p` is what a label of a dashboard's legend looks like."""
    return {name for query in queries for name in METRIC.findall(query) if "_" in name.strip("_")}


def test_every_metric_that_is_named_is_scraped(updated: Any) -> None:
    names = _names([*_declared(updated), *_of_a_service()])
    assert names >= {"point_requests_total", "point_operator_leader"}
    finders = {n: next((by for start, by in SCRAPED_BY.items() if n.startswith(start)), None) for n in names}
    there = {*updated.of(":PodMonitor"), *updated.of(":Release"), "ServiceMonitor"}
    assert {n: by for n, by in finders.items() if by not in there} == {}


def test_the_operator_makes_a_service_monitor_unless_told_otherwise() -> None:
    schema = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    watched = schema["properties"]["spec"]["properties"]["observability"]["properties"]
    assert watched["serviceMonitor"]["default"] is True


def test_prometheus_takes_every_monitor_and_rule_whoever_made_it(updated: Any) -> None:
    spec = updated.of(":Release")["kube-prometheus-stack"]["values"]["prometheus"]["prometheusSpec"]
    kinds = ("serviceMonitor", "podMonitor", "rule")
    assert [spec[f"{kind}SelectorNilUsesHelmValues"] for kind in kinds] == [False, False, False]


def test_the_operator_s_monitor_finds_its_pods_and_their_port(updated: Any) -> None:
    template = updated.one(":Deployment")["spec"]["template"]
    monitor = updated.of(":PodMonitor")["operator-point-system-podmonitor-point-operator"]
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= template["metadata"]["labels"].items()
    ports = {p["name"] for c in template["spec"]["containers"] for p in c["ports"]}
    assert {e["port"] for e in monitor["spec"]["podMetricsEndpoints"]} <= ports


@pytest.mark.parametrize("chart", ["istiod", "istio-cni"])
def test_istio_s_own_pods_are_watched_where_they_are(updated: Any, chart: str) -> None:
    release = updated.of(":Release")[chart]
    monitors = updated.of(":PodMonitor").values()
    assert release["namespace"] in {
        m["metadata"]["namespace"] for m in monitors if m["metadata"]["name"] == chart
    }
