"""The kinds that the operator makes and where the API serves them; known here, so nothing is discovered."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from point_operator.model.api import GROUP, KIND, PLURAL, VERSION

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.:]*[A-Za-z0-9])?")
"""What any object of the API may be called."""


class Kind(msgspec.Struct, frozen=True):
    """One namespaced resource type of the Kubernetes API."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of the collection, the object or its subresource; no namespace means all of them.

        Names come from specs, and one with a slash or two dots would lead elsewhere. Raises ValueError for one that
        no object can have.
        """
        for one in filter(None, (namespace, name)):
            if not is_name(one):
                raise ValueError(f"{one!r} is no name of a {self.kind}")
        parts = ["/apis" if self.group else "/api", self.api_version]
        if namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        parts += [quote(part, safe="") for part in (name, subresource) if part]
        return "/".join(parts)


def is_name(text: str) -> bool:
    """Whether an object or a namespace can be called so."""
    return len(text) <= 253 and _NAME.fullmatch(text) is not None and ".." not in text


POINT_SERVICE = Kind(GROUP, VERSION, PLURAL, KIND)

SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")
SERVICE = Kind("", "v1", "services", "Service")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
JOB = Kind("batch", "v1", "jobs", "Job")
AUTOSCALER = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
DISRUPTION_BUDGET = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
GATEWAY = Kind("networking.istio.io", "v1", "gateways", "Gateway")
VIRTUAL_SERVICE = Kind("networking.istio.io", "v1", "virtualservices", "VirtualService")
HTTP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
DESTINATION_RULE = Kind("networking.istio.io", "v1", "destinationrules", "DestinationRule")
ENVOY_FILTER = Kind("networking.istio.io", "v1alpha3", "envoyfilters", "EnvoyFilter")
REQUEST_AUTHENTICATION = Kind("security.istio.io", "v1", "requestauthentications", "RequestAuthentication")
AUTHORIZATION_POLICY = Kind("security.istio.io", "v1", "authorizationpolicies", "AuthorizationPolicy")
PEER_AUTHENTICATION = Kind("security.istio.io", "v1", "peerauthentications", "PeerAuthentication")
SERVICE_MONITOR = Kind("monitoring.coreos.com", "v1", "servicemonitors", "ServiceMonitor")
PROMETHEUS_RULE = Kind("monitoring.coreos.com", "v1", "prometheusrules", "PrometheusRule")
GRAFANA_DASHBOARD = Kind("grafana.integreatly.org", "v1beta1", "grafanadashboards", "GrafanaDashboard")

PARENT = Kind("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
GATEWAY_CLASS = Kind("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass")
"""Gateway API's Gateway and its class, which are only read; a class has no namespace."""
NAMESPACE = Kind("", "v1", "namespaces", "Namespace")
POD = Kind("", "v1", "pods", "Pod")
SECRET = Kind("", "v1", "secrets", "Secret")
EVENT = Kind("events.k8s.io", "v1", "events", "Event")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")

OWN_NAMESPACE = (
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    JOB,
    DEPLOYMENT,
    SERVICE,
    DISRUPTION_BUDGET,
    AUTOSCALER,
    NETWORK_POLICY,
    PEER_AUTHENTICATION,
    AUTHORIZATION_POLICY,
    DESTINATION_RULE,
    VIRTUAL_SERVICE,
)
"""Kinds made in the PointService's namespace."""

GATEWAY_NAMESPACE = (ENVOY_FILTER, REQUEST_AUTHENTICATION, AUTHORIZATION_POLICY, GATEWAY)
"""Kinds made in the gateway's namespace."""

AT_GATEWAY = (ENVOY_FILTER, REQUEST_AUTHENTICATION, AUTHORIZATION_POLICY)
"""Those of them that belong to one PointService alone, and only a finalizer removes."""

WATCHING = (SERVICE_MONITOR, PROMETHEUS_RULE, GRAFANA_DASHBOARD)
"""Kinds that serve nobody."""

OPTIONAL = (*WATCHING, HTTP_ROUTE)
"""Kinds made in the PointService's namespace where the cluster knows them."""

ROUTES = (VIRTUAL_SERVICE, HTTP_ROUTE)
"""What leads from a gateway to the pods."""

MADE = tuple(dict.fromkeys((*OWN_NAMESPACE, *GATEWAY_NAMESPACE, *OPTIONAL)))
"""Every kind that the operator makes, once."""

_BY_NAME = {(kind.api_version, kind.kind): kind for kind in MADE}


def of(manifest: Mapping[str, Any]) -> Kind:
    """Return the kind of a manifest. Raises KeyError for one that the operator never makes."""
    return _BY_NAME[manifest["apiVersion"], manifest["kind"]]
