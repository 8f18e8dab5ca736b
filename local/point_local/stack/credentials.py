"""Secrets of the local stack, made at first start and kept in the cluster alone."""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import cast

from point_local.machine.cluster import WORKERS
from point_local.machine.pki import Authority
from point_local.programs import paths
from point_local.programs.command import kubectl
from point_local.stack.manifests import Manifest, apply_all

LOG_KEY = "points-log"
"""The Secret with the key of the members' names in the logs."""


def data_authority() -> Authority:
    """Signs the database's and the cache's certificates."""
    return Authority(
        "point-platform local data", paths.PKI / "data" / "ca.crt", paths.PKI / "data" / "ca.key"
    )


def edge_authority() -> Authority:
    """Signs what clients and the edge see: the edge's and the gateway's certificates."""
    return Authority(
        "point-platform local edge", paths.PKI / "edge" / "ca.crt", paths.PKI / "edge" / "ca.key"
    )


def secret(namespace: str, name: str, data: Mapping[str, str], kind: str = "Opaque") -> Manifest:
    """A Secret's manifest."""
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata, "data": encoded}


def ensure(application_namespace: str, gateway_namespace: str, hosts: Sequence[str]) -> None:
    """Make the secrets that are not there yet: passwords, certificates, and the copies that pods read."""
    there = _existing()
    made = passwords(there, application_namespace)
    made += [made for name, made in certificates(gateway_namespace, hosts).items() if name not in there]
    apply_all(made)


def passwords(there: Mapping[str, Mapping[str, str]], application_namespace: str) -> list[Manifest]:
    """The secrets with passwords, keys and authorities: what is `there` ("namespace/name") stays, the rest is drawn."""

    def password(name: str) -> str:
        return there.get(f"data/{name}", {}).get("password") or secrets.token_urlsafe(24)

    admin = {"username": "admin", "password": password("mysql-admin")}
    auth = {"password": password("valkey-auth")}
    application = there.get(f"{application_namespace}/points-db") or {
        "username": "points_app",
        "password": secrets.token_urlsafe(24),
    }
    log = there.get(f"{application_namespace}/{LOG_KEY}") or {"key": secrets.token_hex(32)}
    ca = {"ca.crt": data_authority().pem}
    return [
        secret("data", "mysql-root", {"password": password("mysql-root")}),
        secret(
            "data",
            "mysql-replication",
            {"username": "replication", "password": password("mysql-replication")},
        ),
        secret("data", "mysql-admin", admin),
        secret("data", "mysql-failover", {"username": "failover", "password": password("mysql-failover")}),
        secret("data", "valkey-auth", auth),
        secret(application_namespace, "points-db-master", admin),
        secret(application_namespace, "points-db", application),
        secret(application_namespace, "points-redis", auth),
        secret(application_namespace, "points-db-ca", ca),
        secret(application_namespace, "points-redis-ca", ca),
        secret(application_namespace, LOG_KEY, log),
    ]


def certificates(gateway_namespace: str, hosts: Sequence[str]) -> dict[str, Manifest]:
    """Newly signed certificates of the database, the cache and the gateway: secrets by "namespace/name"."""
    cert, key = edge_authority().issue(hosts[0], hosts)
    pair = {"tls.crt": cert, "tls.key": key}
    return {
        "data/mysql-tls": _tls(
            "mysql-tls", ["mysql-writer", "mysql-reader", "mysql-a", "mysql-b", "mysql-c"]
        ),
        "data/valkey-tls": _tls("valkey-tls", ["redis", "valkey-a", "valkey-c"]),
        f"{gateway_namespace}/points-tls": secret(gateway_namespace, "points-tls", pair, "kubernetes.io/tls"),
    }


def _tls(name: str, services: Sequence[str]) -> Manifest:
    names = [f"{s}.data{suffix}" for s in services for suffix in ("", ".svc", ".svc.cluster.local")]
    names += [node.address for node in WORKERS]  # the host comes by their machines' addresses
    cert, key = data_authority().issue(names[0], names)
    return secret("data", name, {"tls.crt": cert, "tls.key": key, "ca.crt": data_authority().pem})


def _existing() -> dict[str, dict[str, str]]:
    """The cluster's secrets by "namespace/name", their values decoded."""
    listed = json.loads(kubectl("get", "secret", "-A", "-o", "json"))
    items = cast("list[dict[str, dict[str, str]]]", listed["items"])
    return {
        f"{i['metadata']['namespace']}/{i['metadata']['name']}": {
            k: base64.b64decode(v).decode(errors="replace") for k, v in i.get("data", {}).items()
        }
        for i in items
    }
