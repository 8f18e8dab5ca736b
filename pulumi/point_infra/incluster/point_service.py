"""The PointService that fits this stack: ready to apply, every address and secret filled in."""

from dataclasses import dataclass
from typing import Any

import yaml

from point_infra.data import database
from point_infra.incluster import mesh

NAMESPACE = "points"
NAME = "points"
DATABASE_SECRET, MASTER_SECRET, CACHE_SECRET = "points-db", "points-db-master", "points-redis"
RDS_CA_SECRET = "points-db-ca"  # noqa: S105


@dataclass(frozen=True)
class Addresses:
    """What is only known once the stack is there."""

    image: str
    database_host: str
    reader_host: str
    cache_host: str


@dataclass(frozen=True)
class Rules:
    """What config says about tokens and callers."""

    hosts: tuple[str, ...]
    issuer: str
    jwks_uri: str
    audiences: tuple[str, ...]
    cors_origins: tuple[str, ...]


def manifest(addresses: Addresses, rules: Rules) -> dict[str, Any]:
    """The object; figures of the reference architecture that are the CRD's defaults are said again, to be seen."""
    return {
        "apiVersion": "pointservice.io/v1alpha1",
        "kind": "PointService",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "image": addresses.image,
            "database": {
                "host": addresses.database_host,
                "readerHost": addresses.reader_host,
                "port": 3306,
                "name": database.NAME,
                "credentialsSecret": DATABASE_SECRET,
                "migrationSecret": MASTER_SECRET,
                "tls": {"caSecret": RDS_CA_SECRET},
            },
            "cache": {
                "host": addresses.cache_host,
                "port": 6379,
                "clusterMode": True,
                "authSecret": CACHE_SECRET,
                "tls": {"enabled": True},
            },
            "gateway": {
                "hosts": list(rules.hosts),
                "namespace": mesh.GATEWAY_NAMESPACE,
                "selector": {"istio": "ingressgateway"},
                "serviceAccount": mesh.GATEWAY,
                "tls": {"credentialName": mesh.TLS_SECRET},
                "jwt": {
                    "issuer": rules.issuer,
                    "audiences": list(rules.audiences),
                    "jwksUri": rules.jwks_uri,
                },
                "rateLimit": {"requestsPerSecond": 1000},
                **({"cors": {"allowOrigins": list(rules.cors_origins)}} if rules.cors_origins else {}),
            },
            "autoscaling": {"minReplicas": 2, "maxReplicas": 10, "targetCPUUtilizationPercentage": 70},
        },
    }


def text(manifest_: dict[str, Any]) -> str:
    """As YAML, for `kubectl apply -f -`."""
    return yaml.safe_dump(manifest_, sort_keys=False)
