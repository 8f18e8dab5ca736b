"""Istio, and the binding that puts its gateway's pods behind the load balancer."""

from pathlib import Path
from typing import Any

import pulumi_kubernetes as k8s
import pulumi_tls as tls
import yaml

import pulumi
from point_infra.config import versions
from point_infra.config.settings import Settings
from point_infra.edge.load_balancer import Edge
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.image_cache import ImageCache
from point_infra.incluster.controllers import Controllers
from point_infra.incluster.helm import release
from point_infra.incluster.namespace import RESTRICTED, namespace

GATEWAY_NAMESPACE = "istio-ingress"
GATEWAY = "istio-ingressgateway"
TLS_SECRET = "points-tls"  # noqa: S105 - a name
_GATED = {"elbv2.k8s.aws/pod-readiness-gate-inject": "enabled"}
"""A new gateway pod is ready once the load balancer finds it so: neither a rollout nor a drain, which the disruption
budget slows down to one pod, can leave the target group empty."""
_SYSTEM = "istio-system"
ACCESS_LOG = "response.code >= 400 || response.code == 0 || request.id.startsWith('0')"
"""Which requests the proxies log (CEL): all that fail, and one of sixteen others, by the first digit of their UUID."""
_VALUES = Path(__file__).parent / "istio"
_YEAR_HOURS = 8760


class Mesh(pulumi.ComponentResource):
    """`ready` is the mesh: what wants a proxy comes after it."""

    def __init__(
        self,
        name: str,
        s: Settings,
        cluster: Cluster,
        images: ImageCache,
        edge: Edge,
        controllers: Controllers,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("point:index:Mesh", name, None, opts)
        self._kubernetes, self._hosts = cluster.provider, (s.domain_name, s.origin_name)
        self._hub = pulumi.Output.concat(images.source("docker.io"), "/istio")
        system = self._namespace(_SYSTEM, [*cluster.ready, controllers.load_balancer], {})
        base = release(
            "istio-base",
            versions.ISTIO_BASE,
            _SYSTEM,
            {},
            parent=self,
            provider=self._kubernetes,
            depends_on=[system],
        )
        # The nodes redirect traffic to the proxies, so that no pod of the mesh needs the right to; it needs that
        # right itself, and so it is where no namespace is restricted.
        cni = release(
            "istio-cni",
            versions.ISTIO_CNI,
            "kube-system",
            self._pulled("cni"),
            parent=self,
            provider=self._kubernetes,
            depends_on=[base],
        )
        istiod = release(
            "istiod",
            versions.ISTIOD,
            _SYSTEM,
            self._pulled("istiod"),
            parent=self,
            provider=self._kubernetes,
            depends_on=[cni],
        )
        k8s.apiextensions.CustomResource(
            f"{name}-access-log",
            api_version="telemetry.istio.io/v1",
            kind="Telemetry",
            metadata={"name": "access-log", "namespace": _SYSTEM},
            spec={"accessLogging": [{"filter": {"expression": ACCESS_LOG}}]},
            opts=pulumi.ResourceOptions(parent=self, provider=self._kubernetes, depends_on=[istiod]),
        )
        ingress = self._namespace(GATEWAY_NAMESPACE, [istiod], _GATED)
        certificate = self._certificate(name, ingress)
        # Without a token for the API server: it proves who it is to istiod with one of its own.
        account = k8s.core.v1.ServiceAccount(
            GATEWAY,
            metadata={"name": GATEWAY, "namespace": GATEWAY_NAMESPACE},
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, provider=self._kubernetes, depends_on=[ingress]),
        )
        gateway = release(
            GATEWAY,
            versions.ISTIO_GATEWAY,
            GATEWAY_NAMESPACE,
            values("gateway"),
            parent=self,
            provider=self._kubernetes,
            depends_on=[istiod, account, certificate],
        )
        # Goes before the controller when all is taken down: it alone deregisters the pods.
        k8s.apiextensions.CustomResource(
            f"{name}-gateway",
            api_version="elbv2.k8s.aws/v1beta1",
            kind="TargetGroupBinding",
            metadata={"name": GATEWAY, "namespace": GATEWAY_NAMESPACE},
            spec={
                "serviceRef": {"name": GATEWAY, "port": 443},
                "targetGroupARN": edge.target_group_arn,
                "targetType": "ip",
            },
            opts=pulumi.ResourceOptions(
                parent=self, provider=self._kubernetes, depends_on=[gateway, controllers.load_balancer]
            ),
        )
        self.ready: list[pulumi.Resource] = [istiod, gateway]
        self.register_outputs({})

    def _pulled(self, chart: str) -> dict[str, Any]:
        """Values of a chart whose pods, or whose proxies, have Istio's images."""
        own = values(chart)
        return {**own, "global": {**own["global"], "hub": self._hub}}

    def _namespace(
        self, name: str, after: list[pulumi.Resource], labels: dict[str, str]
    ) -> k8s.core.v1.Namespace:
        return namespace(
            name, parent=self, provider=self._kubernetes, after=after, labels={**RESTRICTED, **labels}
        )

    def _certificate(self, name: str, ingress: k8s.core.v1.Namespace) -> k8s.core.v1.Secret:
        """What the gateway shows to the load balancer, which encrypts to it but checks no name."""
        child = pulumi.ResourceOptions(parent=self)
        key = tls.PrivateKey(f"{name}-gateway", algorithm="ECDSA", ecdsa_curve="P256", opts=child)
        certificate = tls.SelfSignedCert(
            f"{name}-gateway",
            private_key_pem=key.private_key_pem,
            subject={"common_name": self._hosts[0]},
            dns_names=list(self._hosts),
            allowed_uses=["digital_signature", "server_auth"],
            validity_period_hours=10 * _YEAR_HOURS,
            early_renewal_hours=_YEAR_HOURS,
            opts=child,
        )
        return k8s.core.v1.Secret(
            TLS_SECRET,
            type="kubernetes.io/tls",
            metadata={"name": TLS_SECRET, "namespace": GATEWAY_NAMESPACE},
            string_data={"tls.crt": certificate.cert_pem, "tls.key": key.private_key_pem},
            opts=pulumi.ResourceOptions(parent=self, provider=self._kubernetes, depends_on=[ingress]),
        )


def values(chart: str) -> dict[str, Any]:
    """The base values of one of Istio's charts, which the local cluster uses too."""
    return yaml.load((_VALUES / f"{chart}.yaml").read_text(), yaml.CSafeLoader)
