"""Prometheus on the local cluster: its rules, and how to ask it something."""

import json
from typing import Any, cast

import yaml

from point_local.programs import paths, versions
from point_local.programs.command import kubectl
from point_local.stack import api
from point_local.stack.manifests import apply

NAMESPACE = "monitoring"
_OPERATORS_OWN = paths.ROOT / "operator" / "deploy" / "monitoring"


def install() -> None:
    """Start Prometheus with the rules that the cluster has; returns without waiting for it."""
    apply("prometheus", image=versions.local_image("prometheus"), rules=_rules())


def install_rules() -> None:
    """Apply alerts and dashboard of the operator, and load the rules of every PrometheusRule."""
    for name in ("alerts", "dashboard"):  # its PodMonitor needs the Prometheus operator
        kubectl(
            *("apply", "--server-side", "--force-conflicts", "--field-manager=point-local"),
            *("-f", _OPERATORS_OWN / f"{name}.yaml"),
        )
    install()


def wait_ready() -> None:
    """Return once Prometheus answers."""
    kubectl("rollout", "status", "deployment/prometheus", "-n", NAMESPACE, "--timeout=120s")


def query(expression: str, *, timeout: float = api.PATIENCE_SECONDS) -> list[dict[str, Any]]:
    """The series that an instant query gives now. Raises LocalError after `timeout` seconds without an answer."""
    return _ask("query", timeout, query=expression)["result"]


def query_range(expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
    """The series that a query gives from `start` to `end` (seconds since 1970), every `step` seconds."""
    return _ask("query_range", query=expression, start=start, end=end, step=step)["result"]


def groups() -> list[dict[str, Any]]:
    """The groups of rules that are loaded, with each rule's health and last error."""
    return _ask("rules")["groups"]


def _ask(what: str, timeout: float = api.PATIENCE_SECONDS, **parameters: object) -> dict[str, Any]:
    """The data of an answer, through the API server's proxy."""
    path = f"/api/v1/namespaces/{NAMESPACE}/services/prometheus:http/proxy/api/v1/{what}"
    return cast("dict[str, Any]", api.get(path, timeout=timeout, **parameters)["data"])


def _rules() -> dict[str, str]:
    """Rule files by name, one for each PrometheusRule; none before their kind is there."""
    found = kubectl("get", "prometheusrules", "-A", "-o", "json", check=False)
    rules = json.loads(found)["items"] if found.strip() else []
    names = [f"{one['metadata']['namespace']}.{one['metadata']['name']}" for one in rules]
    return {name: yaml.safe_dump(one["spec"]) for name, one in zip(names, rules, strict=True)}
