"""Prometheus, Grafana and Kiali in the cluster; its alerts go where CloudWatch's alarms go."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pulumi_kubernetes as k8s
import pulumi_random as random

import pulumi
from point_infra.config import versions
from point_infra.config.settings import Settings
from point_infra.foundation.cluster import Cluster
from point_infra.foundation.iam import allow, pod_role, policy
from point_infra.foundation.image_cache import ImageCache
from point_infra.foundation.keys import Keys
from point_infra.incluster import manifest
from point_infra.incluster.helm import release
from point_infra.incluster.mesh import Mesh
from point_infra.incluster.namespace import namespace
from point_infra.observability.cloudwatch import Observability

NAMESPACE = "monitoring"
_GRAFANA_ADMIN = "grafana-admin"
_ALERTMANAGER = "alertmanager"
_ISTIO_MONITORS = Path(__file__).parent / "istio" / "monitors"


class Monitoring(pulumi.ComponentResource):
    """`ready` is the Prometheus stack, whose kinds others use."""

    def __init__(
        self,
        name: str,
        s: Settings,
        cluster: Cluster,
        images: ImageCache,
        keys: Keys,
        observability: Observability,
        mesh: Mesh,
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("point:index:Monitoring", name, None, opts)
        self._cluster, self._after = cluster, mesh.ready
        self._volumes(name)
        admin = self._grafana_admin(name)
        publisher = self._publisher(name, observability.topic_arn, keys.key_arn)
        self.ready = release(
            "kube-prometheus-stack",
            versions.KUBE_PROMETHEUS_STACK,
            NAMESPACE,
            prometheus_values(observability.topic_arn, s.region, 2 if s.production else 1, images.source),
            parent=self,
            provider=self._cluster.provider,
            depends_on=[*mesh.ready, admin, publisher],
        )
        manifest.declare(
            "istio", _ISTIO_MONITORS, parent=self, provider=cluster.provider, depends_on=[self.ready]
        )
        release(
            "kiali",
            versions.KIALI,
            "istio-system",
            kiali_values(images.source),
            parent=self,
            provider=self._cluster.provider,
            depends_on=[self.ready],
        )
        self.register_outputs({})

    def _volumes(self, name: str) -> None:
        k8s.storage.v1.StorageClass(
            f"{name}-gp3",
            metadata={"name": "gp3"},
            provisioner="ebs.csi.aws.com",
            parameters={"type": "gp3", "encrypted": "true"},
            volume_binding_mode="WaitForFirstConsumer",  # the volume is made in the zone of its pod
            opts=pulumi.ResourceOptions(parent=self, provider=self._cluster.provider, depends_on=self._after),
        )

    def _publisher(
        self, name: str, topic_arn: pulumi.Input[str], key_arn: pulumi.Input[str]
    ) -> pulumi.Resource:
        """Alertmanager may publish to the one topic, which is encrypted."""
        rights = pulumi.Output.all(topic_arn, key_arn).apply(lambda a: _publish(a[0], a[1]))
        child = pulumi.ResourceOptions(parent=self)
        role = pod_role(f"{name}-alertmanager", {"publish": rights}, [], child)
        return self._cluster.grant(NAMESPACE, _ALERTMANAGER, role)

    def _grafana_admin(self, name: str) -> k8s.core.v1.Secret:
        """A password of this stack's own: the chart's is the same everywhere."""
        own = namespace(
            NAMESPACE,
            parent=self,
            provider=self._cluster.provider,
            after=self._after,
            labels={},  # the node exporter looks at its node
        )
        password = random.RandomPassword(
            f"{name}-grafana", length=32, special=False, opts=pulumi.ResourceOptions(parent=self)
        )
        return k8s.core.v1.Secret(
            _GRAFANA_ADMIN,
            metadata={"name": _GRAFANA_ADMIN, "namespace": NAMESPACE},
            string_data={"admin-user": "admin", "admin-password": password.result},
            opts=pulumi.ResourceOptions(parent=self, provider=self._cluster.provider, depends_on=[own]),
        )


def _publish(topic_arn: str, key_arn: str) -> str:
    return policy(allow("sns:Publish", topic_arn), allow(["kms:Decrypt", "kms:GenerateDataKey"], key_arn))


Source: TypeAlias = Callable[[str], pulumi.Input[str]]
"""Where the images of a public registry are pulled from."""


def prometheus_values(
    topic_arn: pulumi.Input[str], region: str, replicas: int, source: Source
) -> dict[str, object]:
    """Scrape every ServiceMonitor and PodMonitor, keep 15 days, take every dashboard with the label.

    Two of each see alike, and one of them sees the loss of the other's zone.
    """
    apart = {
        "replicas": replicas,
        "podAntiAffinity": "soft",
        "podAntiAffinityTopologyKey": "topology.kubernetes.io/zone",
    }
    quay, kubernetes = ({"image": {"registry": source(host)}} for host in ("quay.io", "registry.k8s.io"))
    hub, git = ({"image": {"registry": source(host)}} for host in ("docker.io", "ghcr.io"))
    return {
        "prometheus": {
            "service": {"sessionAffinity": "ClientIP"},  # they don't scrape at the same moment
            "prometheusSpec": {
                **apart,
                **quay,
                "retention": "15d",
                "serviceMonitorSelectorNilUsesHelmValues": False,
                "podMonitorSelectorNilUsesHelmValues": False,
                "ruleSelectorNilUsesHelmValues": False,
                # With the release its volumes go, too: nothing stays behind that costs.
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Retain"},
                "storageSpec": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "storageClassName": "gp3",
                            "accessModes": ["ReadWriteOnce"],
                            "resources": {"requests": {"storage": "30Gi"}},
                        }
                    }
                },
                "resources": {"requests": {"cpu": "200m", "memory": "768Mi"}},
            },
        },
        "grafana": {
            **hub,
            "admin": {"existingSecret": _GRAFANA_ADMIN},
            "sidecar": {
                **quay,
                "dashboards": {"enabled": True, "label": "grafana_dashboard", "searchNamespace": "ALL"},
            },
            "resources": {"requests": {"cpu": "50m", "memory": "160Mi"}},
        },
        "alertmanager": {
            "serviceAccount": {"name": _ALERTMANAGER},
            "config": {
                "route": {
                    "receiver": "sns",
                    "group_by": ["namespace", "alertname"],
                    # Always firing, to show that alerts are made, and one that only hushes others.
                    "routes": [{"receiver": "null", "matchers": ['alertname =~ "Watchdog|InfoInhibitor"']}],
                },
                "receivers": [
                    {"name": "null"},
                    {"name": "sns", "sns_configs": [{"topic_arn": topic_arn, "sigv4": {"region": region}}]},
                ],
            },
            "alertmanagerSpec": {
                **apart,
                **quay,
                "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}},
            },
        },
        "kube-state-metrics": {**kubernetes, "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}},
        "prometheus-node-exporter": {**quay, "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}}},
        "prometheusOperator": {
            **quay,
            "prometheusConfigReloader": quay,
            "admissionWebhooks": {"patch": git},
            "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}},
        },
        # EKS runs these itself and shows no metrics of them, or binds them to the node alone: nothing to scrape, and
        # their alerts would fire for ever.
        "kubeProxy": {"enabled": False},
        "kubeControllerManager": {"enabled": False},
        "kubeScheduler": {"enabled": False},
        "kubeEtcd": {"enabled": False},
    }


def kiali_values(source: Source) -> dict[str, object]:
    """A token of the cluster signs in; metrics come from the stack's Prometheus."""
    service = f"http://kube-prometheus-stack-prometheus.{NAMESPACE}:9090"
    return {
        "auth": {"strategy": "token"},
        "external_services": {
            "prometheus": {"url": service},
            "grafana": {"internal_url": f"http://kube-prometheus-stack-grafana.{NAMESPACE}"},
        },
        "deployment": {
            "image_name": pulumi.Output.concat(source("quay.io"), "/kiali/kiali"),
            # Whole, since it takes the place of the chart's own, which has no seccompProfile (kiali/helm-charts, 2.29)
            # and would be refused in a restricted namespace.
            "security_context": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}},
        },
    }
