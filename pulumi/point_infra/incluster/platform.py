"""What the point service needs in the cluster: its secrets, the operator, and the PointService when wanted."""

from pathlib import Path

import pulumi_kubernetes as k8s
import pulumi_random as random

import pulumi
from point_infra.config.settings import Settings
from point_infra.data.cache import Cache
from point_infra.data.database import Database
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.network import Network
from point_infra.foundation.registry import Registry
from point_infra.incluster import manifest, network_policies, point_service
from point_infra.incluster.controllers import Controllers
from point_infra.incluster.manifest import ROOT, Object
from point_infra.incluster.mesh import Mesh
from point_infra.incluster.monitoring import Monitoring
from point_infra.incluster.namespace import namespace
from point_infra.incluster.point_service import (
    CACHE_SECRET,
    DATABASE_SECRET,
    LOG_SECRET,
    MASTER_SECRET,
    NAMESPACE,
    RDS_CA_SECRET,
)

_STORE = "aws"
_SECRETS_API = "external-secrets.io/v1"
_PREVIEWERS = Path(__file__).parent / "previewers"


class Platform(pulumi.ComponentResource):
    """Comes last of all: operator and PointService need every kind that is installed before."""

    def __init__(
        self,
        name: str,
        s: Settings,
        network: Network,
        cluster: Cluster,
        registry: Registry,
        opts: pulumi.ResourceOptions,
        *,
        database: Database,
        cache: Cache,
        controllers: Controllers,
        mesh: Mesh,
        monitoring: Monitoring,
    ) -> None:
        super().__init__("point:index:Platform", name, None, opts)
        self._s, self._kubernetes = s, cluster.provider
        self._after: list[pulumi.Resource] = [*mesh.ready, monitoring.ready]
        own = namespace(NAMESPACE, parent=self, provider=self._kubernetes, after=self._after)
        network_policies.declare(s, network, cluster, parent=self, after=own)
        secrets = self._secrets(name, own, database, cache, controllers)
        image = registry.urls["point-operator"].apply(lambda url: f"{url}@{s.operator_image_digest}")
        service = pulumi.Output.all(
            registry.urls["point-service"], database.endpoint, database.reader_endpoint, cache.endpoint
        ).apply(lambda a: point_service.manifest(s, a[0], a[1], a[2], a[3]))
        self.point_service_yaml = service.apply(point_service.text)
        operator = manifest.declare(
            "operator",
            ROOT / "operator" / "deploy",
            lambda d: network_policies.with_way_to_keys(with_image(d, image), network_policies.jwks_port(s)),
            parent=self,
            provider=self._kubernetes,
            depends_on=self._after,
        )
        # Alerts, dashboard and monitors of operator and gateway: their kinds came with `monitoring`.
        manifest.declare(
            "operator",
            ROOT / "operator" / "deploy" / "monitoring",
            parent=self,
            provider=self._kubernetes,
            depends_on=operator,
        )
        if s.viewer_role_arns:
            manifest.declare(
                "viewers", _PREVIEWERS, parent=self, provider=self._kubernetes, depends_on=cluster.ready
            )
        if s.create_point_service:
            self._custom(
                f"{name}-points",
                "pointservice.io/v1alpha1",
                "PointService",
                {"name": point_service.NAME, "namespace": NAMESPACE},
                service.apply(lambda m: m["spec"]),
                [*secrets, *operator],
            )
        self.register_outputs({})

    def _secrets(
        self, name: str, own: pulumi.Resource, database: Database, cache: Cache, controllers: Controllers
    ) -> list[pulumi.Resource]:
        """Passwords are kept in Secrets Manager and mirrored, so that a rotation arrives by itself."""
        store = self._custom(
            f"{name}-store",
            _SECRETS_API,
            "ClusterSecretStore",
            {"name": _STORE},
            {
                "provider": {"aws": {"service": "SecretsManager", "region": self._s.region}},
                "conditions": [{"namespaces": [NAMESPACE]}],
            },
            [controllers.external_secrets],
        )
        # The key of the members' names in the logs is the cluster's alone: who may read both finds a member's lines.
        key = random.RandomPassword(
            f"{name}-log", length=64, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        made = [
            k8s.core.v1.Secret(
                secret,
                metadata={"name": secret, "namespace": NAMESPACE},
                string_data=values,
                opts=pulumi.ResourceOptions(parent=self, provider=self._kubernetes, depends_on=[own]),
            )
            for secret, values in (
                (RDS_CA_SECRET, {"ca.crt": self._s.database_authorities}),
                (LOG_SECRET, {"key": key.result}),
            )
        ]
        mirrored = [
            self._custom(
                f"{name}-{secret}",
                _SECRETS_API,
                "ExternalSecret",
                {"name": secret, "namespace": NAMESPACE},
                {
                    "refreshInterval": "5m",
                    "secretStoreRef": {"kind": "ClusterSecretStore", "name": _STORE},
                    "target": {"name": secret},
                    "dataFrom": [{"extract": {"key": arn}}],
                },
                [store, own],
            )
            for secret, arn in (
                (DATABASE_SECRET, database.user_secret_arn),
                (MASTER_SECRET, database.master_secret_arn),
                (CACHE_SECRET, cache.token_secret_arn),
            )
        ]
        return [*made, *mirrored]

    def _custom(
        self,
        name: str,
        api_version: str,
        kind: str,
        metadata: dict[str, str],
        spec: pulumi.Input[Object],
        after: list[pulumi.Resource],
    ) -> pulumi.Resource:
        return k8s.apiextensions.CustomResource(
            name,
            api_version=api_version,
            kind=kind,
            metadata=metadata,
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, provider=self._kubernetes, depends_on=after),
        )


def with_image(document: Object, image: pulumi.Input[str]) -> Object:
    """The operator's Deployment with the image of this stack's registry; anything else as it is."""
    if document["kind"] != "Deployment":
        return document
    pod = document["spec"]["template"]["spec"]
    containers = [{**c, "image": image} for c in pod["containers"]]
    template = {**document["spec"]["template"], "spec": {**pod, "containers": containers}}
    return {**document, "spec": {**document["spec"], "template": template}}
