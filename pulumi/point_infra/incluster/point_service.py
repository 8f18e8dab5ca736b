"""The PointService that fits this stack: ready to apply, every address and secret filled in."""

from typing import Any

import yaml

from point_infra.config.settings import Settings
from point_infra.data import database
from point_infra.incluster import mesh
from point_infra.observability import database_limits

NAMESPACE = "points"
NAME = "points"
DATABASE_SECRET, MASTER_SECRET, CACHE_SECRET = "points-db", "points-db-master", "points-redis"
RDS_CA_SECRET = "points-db-ca"  # noqa: S105
LOG_SECRET = "points-log"  # noqa: S105


MAX_REPLICAS = 10
_POOL = 20
"""What two cores keep busy: 10 connections each."""


def pool_size(s: Settings) -> int:
    """Connections of one pod's pool, so that all pods at their most leave a fifth of what the class takes.

    A pod has two pools and one connection more; with one instance, or after a failover, all go to the same server.
    """
    limits = database_limits.of(s.database_instance_class, s.database_max_capacity)
    each = 0.8 * limits.connections / MAX_REPLICAS
    return max(1, min(_POOL, int(each - 1) // 2))


def manifest(
    s: Settings, repository: str, database_host: str, reader_host: str, cache_host: str
) -> dict[str, Any]:
    """The object; figures of the reference architecture that are the CRD's defaults are said again, to be seen."""
    return {
        "apiVersion": "pointservice.io/v1alpha1",
        "kind": "PointService",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "image": f"{repository}@{s.service_image_digest}",
            "database": {
                "host": database_host,
                "readerHost": reader_host,
                "port": 3306,
                "name": database.NAME,
                "credentialsSecret": DATABASE_SECRET,
                "migrationSecret": MASTER_SECRET,
                "tls": {"caSecret": RDS_CA_SECRET},
                "poolSize": pool_size(s),
            },
            "cache": {
                "host": cache_host,
                "port": 6379,
                "clusterMode": True,
                "authSecret": CACHE_SECRET,
                "tls": {"enabled": True},
            },
            "logKeySecret": LOG_SECRET,
            "gateway": {
                "hosts": [s.domain_name, s.origin_name],
                "namespace": mesh.GATEWAY_NAMESPACE,
                "selector": {"istio": "ingressgateway"},
                "serviceAccount": mesh.GATEWAY,
                "tls": {"credentialName": mesh.TLS_SECRET},
                "jwt": {
                    "issuer": s.jwt_issuer,
                    "audiences": list(s.jwt_audiences),
                    "jwksUri": s.jwks_uri,
                    "audienceClaim": s.audience_claim,
                    "memberClaim": s.member_claim,
                    "roleClaim": s.role_claim,
                },
                "rateLimit": {"requestsPerSecond": 1000},
                **({"cors": {"allowOrigins": list(s.cors_origins)}} if s.cors_origins else {}),
            },
            "autoscaling": {
                "minReplicas": 2,
                "maxReplicas": MAX_REPLICAS,
                "targetCPUUtilizationPercentage": 70,
            },
        },
    }


def text(manifest_: dict[str, Any]) -> str:
    """As YAML, for `kubectl apply -f -`."""
    return yaml.safe_dump(manifest_, sort_keys=False)
