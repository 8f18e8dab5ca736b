"""Tenants: namespaces with a PointService under a running operator; a test speaks for the controllers."""

import datetime
import time
from typing import Any

from harness.gateway_api import CRD as GATEWAY_API_CRD
from harness.gateway_api import MODULE as GATEWAY_API
from point_local.machine import pki
from point_operator.model import kinds
from point_operator.model.kinds import Kind

NOW = "2026-01-01T00:00:00Z"

PROMETHEUS = (
    "github.com/prometheus-operator/prometheus-operator@v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)
_GRAFANA = (
    "github.com/grafana/grafana-operator/v5@v5.19.4",
    "h1:RJbitTafZsz11YxFIANxc0I+d/eTyj2nbHN9aK317oo=",
)
PROMETHEUS_CRD = "example/prometheus-operator-crd/monitoring.coreos.com_{}.yaml"
_GRAFANA_CRD = "config/crd/bases/grafana.integreatly.org_{}.yaml"
PUBLISHED = {
    kinds.SERVICE_MONITOR: (PROMETHEUS, PROMETHEUS_CRD.format("servicemonitors")),
    kinds.PROMETHEUS_RULE: (PROMETHEUS, PROMETHEUS_CRD.format("prometheusrules")),
    kinds.GRAFANA_DASHBOARD: (_GRAFANA, _GRAFANA_CRD.format("grafanadashboards")),
    **{
        kind: (GATEWAY_API, GATEWAY_API_CRD.format(kind.plural))
        for kind in (kinds.HTTP_ROUTE, kinds.PARENT, kinds.GATEWAY_CLASS)
    },
}
"""Go module, with its checksum if no other names it, and the file in it that holds the CRD."""


def add_certificate(kube: Any, name: str) -> None:
    """Make a certificate, with its key, at the gateway."""
    paths = [kube.server.directory / f"gateway-authority.{part}" for part in ("crt", "key")]
    certificate, key = pki.Authority("gateway", *paths).issue(name, [f"{name}.localhost"])
    pair = {"tls.crt": certificate, "tls.key": key}
    kube.create(kinds.SECRET, {"metadata": {"name": name, "namespace": "istio-ingress"}, "stringData": pair})


def gateway_pod(
    kube: Any, name: str, labels: dict[str, str], account: str = "istio-ingressgateway", *, ready: bool = True
) -> None:
    """Make a pod of a gateway, as if it ran."""
    metadata = {"name": name, "namespace": "istio-ingress", "labels": labels}
    spec = {"serviceAccountName": account, "containers": [{"name": "istio-proxy", "image": "proxy"}]}
    kube.create(kinds.POD, {"metadata": metadata, "spec": spec})
    status = {"status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}
    kube.patch(kinds.POD, "istio-ingress", name, status, "status")


class Tenant:
    """A namespace with everything that a PointService needs, and the PointService `points` in it."""

    def __init__(self, kube: Any, namespace: str, host: str, spec: dict[str, Any]) -> None:
        self.kube, self.namespace, self.host, self._spec = kube, namespace, host, spec
        kube.create(kinds.NAMESPACE, {"metadata": {"name": namespace}})
        for name in ("points-db", "points-db-master", "points-redis"):
            self.secret(name, username="u", password="p")

    def secret(self, name: str, **values: str) -> None:
        """Create a Secret."""
        metadata = {"name": name, "namespace": self.namespace}
        self.kube.create(kinds.SECRET, {"metadata": metadata, "stringData": values})

    def create(
        self, name: str = "points", kind: Kind = kinds.POINT_SERVICE, **changes: Any
    ) -> dict[str, Any]:
        """Create the PointService; `changes` replace top-level fields of spec, `gateway` is merged."""
        own = {"hosts": [self.host], "tls": {"credentialName": "points-tls"}}
        gateway = self._spec["gateway"] | own | changes.pop("gateway", {})
        metadata = {"name": name, "namespace": self.namespace}
        return self.kube.create(
            kind, {"metadata": metadata, "spec": self._spec | changes | {"gateway": gateway}}
        )

    def get(self, kind: Kind, name: str = "points") -> dict[str, Any] | None:
        """Return an object of the namespace."""
        return self.kube.get(kind, self.namespace, name)

    def at_gateway(self, kind: Kind) -> dict[str, Any] | None:
        """Return the child of a kind in the gateway's namespace."""
        return self.kube.get(kind, "istio-ingress", f"{self.namespace}.points")

    def edit(self, kind: Kind, patch: dict[str, Any], name: str = "points") -> dict[str, Any]:
        """Change an object of the namespace by hand."""
        return self.kube.patch(kind, self.namespace, name, patch)

    def repaired(self, kind: Kind, seconds: float = 3) -> bool:
        """Whether a deletion is undone at once, by a watch, and not only at the next look."""
        if self.get(kind) is None:
            return False
        self.kube.delete(kind, self.namespace, "points")
        deadline = time.monotonic() + seconds
        while (back := self.get(kind)) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        return back is not None

    def spec(self, **changes: Any) -> dict[str, Any]:
        """Change the PointService's spec."""
        return self.edit(kinds.POINT_SERVICE, {"spec": changes})

    def condition(self, kind: str, name: str = "points") -> dict[str, Any]:
        """Return a condition of the PointService, empty when it is not there yet."""
        body = self.get(kinds.POINT_SERVICE, name) or {}
        found = body.get("status", {}).get("conditions", [])
        return next((one for one in found if one["type"] == kind), {})

    def wait_reason(
        self, kind: str, reason: str, name: str = "points", seconds: float = 15
    ) -> dict[str, Any]:
        """Return the condition once it has this reason."""

        def condition() -> dict[str, Any] | None:
            found = self.condition(kind, name)
            return found if found.get("reason") == reason else None

        return self.kube.wait(f"{kind}={reason} (is {self.condition(kind, name)})", condition, seconds)

    def job(self) -> dict[str, Any]:
        """Return the migration Job that is not finished yet."""

        def pending() -> dict[str, Any] | None:
            jobs = self.kube.find(kinds.JOB, self.namespace)
            return next((one for one in jobs if not one.get("status", {}).get("conditions")), None)

        return self.kube.wait("a migration Job", pending)

    def migrated(self) -> None:
        """Say that the migration went well."""
        both = [_condition("SuccessCriteriaMet", "True"), _condition("Complete", "True")]
        ended = {"active": 0, "ready": 0, "succeeded": 1, "startTime": NOW, "completionTime": NOW}
        status = ended | {"conditions": both}
        name = self.job()["metadata"]["name"]
        self.kube.patch(kinds.JOB, self.namespace, name, {"status": status}, "status")

    def migration_failed(self, message: str, at: str = "") -> None:
        """Say that the migration failed, now if `at` is empty: one that failed long ago is tried again at once."""
        said = {"lastTransitionTime": at or _now(), "message": message, "reason": "BackoffLimitExceeded"}
        both = [_condition(kind, "True", **said) for kind in ("FailureTarget", "Failed")]
        status = {"failed": 3, "startTime": NOW, "conditions": both}
        name = self.job()["metadata"]["name"]
        self.kube.patch(kinds.JOB, self.namespace, name, {"status": status}, "status")

    def rolled_out(
        self, replicas: int = 2, *, available: int | None = None, stuck: bool = False, name: str = "points"
    ) -> None:
        """Say how far a Deployment is."""
        self.kube.wait("the Deployment", lambda: self.get(kinds.DEPLOYMENT, name))
        self.kube.patch(kinds.DEPLOYMENT, self.namespace, name, {"spec": {"replicas": replicas}}, "scale")
        deployment = self.get(kinds.DEPLOYMENT, name) or {}
        ready = replicas if available is None else available
        progress = "ProgressDeadlineExceeded" if stuck else "NewReplicaSetAvailable"
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": replicas,
            "updatedReplicas": 0 if stuck else replicas,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": replicas - ready,
            "conditions": [
                _condition("Available", "True" if ready else "False"),
                _condition("Progressing", "False" if stuck else "True", reason=progress),
            ],
        }
        self.kube.patch(kinds.DEPLOYMENT, self.namespace, name, {"status": status}, "status")

    def ready(self, **changes: Any) -> None:
        """Create the PointService and bring it to Ready."""
        self.create(**changes)
        self.migrated()
        self.rolled_out()
        self.wait_reason("Ready", "Available")
        self.wait_reason("Progressing", "Complete")


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(kind: str, status: str, **more: str) -> dict[str, str]:
    times = (
        {"lastProbeTime": NOW}
        if kind in ("Complete", "Failed", "SuccessCriteriaMet", "FailureTarget")
        else {}
    )
    return {
        "type": kind,
        "status": status,
        "lastTransitionTime": NOW,
        "reason": "Test",
        "message": "",
        **times,
        **more,
    }
