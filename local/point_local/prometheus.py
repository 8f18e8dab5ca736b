"""Prometheus on the local cluster, and how to ask it something."""

import json
import urllib.parse
from typing import Any, cast

from point_local import versions
from point_local.command import kubectl
from point_local.manifests import apply

NAMESPACE = "monitoring"


def install() -> None:
    """Start Prometheus; returns without waiting for it."""
    apply("prometheus", image=versions.local_image("prometheus"))


def wait_ready() -> None:
    """Return once Prometheus answers."""
    kubectl("rollout", "status", "deployment/prometheus", "-n", NAMESPACE, "--timeout=120s")


def query(expression: str) -> list[dict[str, Any]]:
    """The series that an instant query gives now, through the API server's proxy."""
    path = f"/api/v1/namespaces/{NAMESPACE}/services/prometheus:http/proxy/api/v1/query"
    answer = json.loads(kubectl("get", "--raw", f"{path}?{urllib.parse.urlencode({'query': expression})}"))
    return cast("list[dict[str, Any]]", answer["data"]["result"])
