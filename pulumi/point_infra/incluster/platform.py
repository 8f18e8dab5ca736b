"""What the point service needs in the cluster: its secrets, the operator, and the PointService when wanted."""

from dataclasses import dataclass

import pulumi_kubernetes as k8s

import pulumi
from point_infra.data import database
from point_infra.incluster import manifest, point_service
from point_infra.incluster.manifest import ROOT, Object
from point_infra.incluster.point_service import (
    CACHE_SECRET,
    DATABASE_SECRET,
    MASTER_SECRET,
    NAMESPACE,
    RDS_CA_SECRET,
)

_STORE = "aws"
_SECRETS_API = "external-secrets.io/v1"


@dataclass(frozen=True)
class PlatformArgs:
    """What is installed, and after what."""

    provider: k8s.Provider
    region: str
    operator_image: pulumi.Output[str]
    user_secret_arn: pulumi.Output[str]
    master_secret_arn: pulumi.Output[str]
    token_secret_arn: pulumi.Output[str]
    point_service: pulumi.Output[Object] | None
    external_secrets: pulumi.Resource
    after: list[pulumi.Resource]


class Platform(pulumi.ComponentResource):
    """Comes last of all: operator and PointService need every kind that is installed before."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("point:index:Platform", name, None, opts)
        self._args = args
        secrets = self._secrets(name)
        operator = manifest.declare(
            ROOT / "operator" / "deploy",
            lambda d: with_image(d, args.operator_image),
            parent=self,
            provider=args.provider,
            depends_on=args.after,
        )
        if args.point_service is not None:
            self._custom(
                f"{name}-points",
                "pointservice.io/v1alpha1",
                "PointService",
                {"name": point_service.NAME, "namespace": NAMESPACE},
                args.point_service.apply(lambda m: m["spec"]),
                [*secrets, *operator],
            )
        self.register_outputs({})

    def _secrets(self, name: str) -> list[pulumi.Resource]:
        """Kept in Secrets Manager, mirrored into the service's namespace, so that a rotation arrives by itself."""
        a = self._args
        namespace = k8s.core.v1.Namespace(
            NAMESPACE,
            metadata={"name": NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
            opts=pulumi.ResourceOptions(parent=self, provider=a.provider, depends_on=a.after),
        )
        store = self._custom(
            f"{name}-store",
            _SECRETS_API,
            "ClusterSecretStore",
            {"name": _STORE},
            {
                "provider": {"aws": {"service": "SecretsManager", "region": a.region}},
                "conditions": [{"namespaces": [NAMESPACE]}],
            },
            [a.external_secrets],
        )
        authorities = k8s.core.v1.Secret(
            RDS_CA_SECRET,
            metadata={"name": RDS_CA_SECRET, "namespace": NAMESPACE},
            string_data={"ca.crt": database.authorities(a.region)},
            opts=pulumi.ResourceOptions(parent=self, provider=a.provider, depends_on=[namespace]),
        )
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
                [store, namespace],
            )
            for secret, arn in (
                (DATABASE_SECRET, a.user_secret_arn),
                (MASTER_SECRET, a.master_secret_arn),
                (CACHE_SECRET, a.token_secret_arn),
            )
        ]
        return [authorities, *mirrored]

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
            opts=pulumi.ResourceOptions(parent=self, provider=self._args.provider, depends_on=after),
        )


def with_image(document: Object, image: pulumi.Input[str]) -> Object:
    """The operator's Deployment with the image of this stack's registry; anything else as it is."""
    if document["kind"] != "Deployment":
        return document
    pod = document["spec"]["template"]["spec"]
    containers = [{**c, "image": image} for c in pod["containers"]]
    template = {**document["spec"]["template"], "spec": {**pod, "containers": containers}}
    return {**document, "spec": {**document["spec"], "template": template}}
