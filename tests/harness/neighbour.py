"""A second PointService at the gateway of the running stack."""

import copy
import json
import ssl
import time
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from point_local.programs.command import kubectl, wait
from point_local.stack import application, data, edge, issuer
from point_local.stack.manifests import apply_all


class Neighbour:
    """A second PointService at the same gateway: another host, issuer, limit and database."""

    name = "neighbour"
    host = "neighbour.localhost"
    issuer = "https://neighbour-issuer.localhost"
    limit = 30
    resource = ("pts", name, "-n", application.NAMESPACE)

    def __init__(self) -> None:
        self._key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True)

    @property
    def jwks(self) -> str:
        """Its public keys."""
        return json.dumps(KeySet([self._key]).as_dict(private=False))

    def token(self, member: str, **changes: str) -> str:
        """A token of the second issuer; `changes` replace claims."""
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": [issuer.AUDIENCE], "sub": member, "iat": now, "exp": now + 600}
        claims |= changes
        return jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key)

    def apply(self) -> float:
        """Apply it and wait until it is Ready; return how many seconds that took."""
        resource = copy.deepcopy(application.example())
        resource["metadata"] = {"name": self.name, "namespace": application.NAMESPACE}
        spec: Any = resource["spec"]
        spec["database"]["name"] = "points_neighbour"
        spec["gateway"]["hosts"] = [self.host]
        spec["gateway"]["rateLimit"] = {"requestsPerSecond": self.limit}
        spec["gateway"]["jwt"] |= {"issuer": self.issuer, "jwks": self.jwks}
        spec["autoscaling"] = {"minReplicas": 1, "maxReplicas": 2}
        began = time.monotonic()
        apply_all([resource])
        kubectl("wait", "--for=condition=Ready", *self.resource, "--timeout=240s")
        return time.monotonic() - began

    def remove(self) -> None:
        """Take it away with its database."""
        kubectl("delete", *self.resource, "--ignore-not-found", "--timeout=60s")
        writer = kubectl("get", "configmap", "mysql-roles", "-n", "data", "-o", "jsonpath={.data.writer}")
        data.execute(writer, "DROP DATABASE IF EXISTS points_neighbour")

    def wait_served(self) -> None:
        """Return once it is answered for by every gateway pod: the edge asks them in turn."""
        token = self.token("m-0")
        wait(
            "the neighbour is served",
            lambda: all(get_status(self.host, token) == 200 for _ in range(6)),
            seconds=60,
        )


def get_status(host: str, token: str) -> int:
    """The status of a read at a host, asked through the edge's own name."""
    headers = {"Host": host, "Authorization": f"Bearer {token}"}
    return httpx.get(f"{url()}/v1/points", headers=headers, verify=context()).status_code


def url() -> str:
    """Where the edge is."""
    return edge.url(application.hosts()[0])


def context() -> ssl.SSLContext:
    """Trusts the edge."""
    return ssl.create_default_context(cafile=str(edge.ca()))
