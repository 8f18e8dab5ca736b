"""PointServices at a gateway that runs, without a cluster, and who calls them through it."""

import json
import ssl
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from harness import gateway_api, mesh
from point_local.alone import apiserver
from point_local.drill import attacks
from point_local.programs import paths
from point_operator.model import api, gateways, kinds
from point_operator.model.gateways import ListedGateway
from point_operator.resources import plan
from point_operator.resources.gateway.gateway import Sharer
from point_operator.resources.surroundings import Release, Surroundings
from point_service.contract.errors import PROBLEM_MEDIA_TYPE


def missing() -> str:
    """Which programs it needs and are not built; empty when all are."""
    programs = [*apiserver.missing_programs()]
    if not (paths.BIN / "pilot-discovery").exists():
        programs.append("pilot-discovery")
    return f"not built: {', '.join(programs)} (point-local tools)" if programs else ""


def tenant(
    name: str,
    host: str,
    issuer: Any,
    *,
    place: ListedGateway = gateways.DEFAULT,
    timeout: int = 5,
    attempts: int = 0,
    jwt: Mapping[str, Any] | None = None,
    **gateway: Any,
) -> api.PointService:
    """A PointService that believes an issuer, at a gateway of the operator's list.

    `jwt` are other fields of gateway.jwt, `timeout` is seconds, `attempts` are repeats of a read.
    """
    where = {"parentRef": {"name": place.parent, "namespace": place.namespace}} if place.parent else {}
    keys = json.dumps({"keys": [issuer.key.as_dict(private=False)]})
    believed = {"issuer": issuer.claims()["iss"], "audiences": ["points"], "jwks": keys} | dict(jwt or {})
    spec = {
        "image": "i",
        "database": {"host": "h", "credentialsSecret": "a", "migrationSecret": "b"},
        "cache": {"host": "c"},
        "gateway": {"hosts": [host], "jwt": believed} | where | gateway,
        "mesh": {"timeoutSeconds": timeout, "retries": {"attempts": attempts}},
    }
    return api.parse({"metadata": {"name": name, "namespace": "points", "uid": "u"}, "spec": spec}, [place])


@contextmanager
def opened(
    tenants: Sequence[api.PointService],
    backends: Mapping[str, int],
    proxy: Mapping[str, Any] = mesh.TRUSTING,
    place: ListedGateway = gateways.DEFAULT,
) -> Generator[mesh.Door]:
    """Run a gateway that tenants share; `backends` are ports on loopback by the names of their Services."""
    surroundings = Surroundings(listeners=(gateway_api.SECURE,))
    made = [
        one
        for tenant in tenants
        for one in plan.build(tenant, surroundings, Release(tenant.spec.image)).everything
    ]
    sharers = [
        Sharer(
            one.namespace,
            one.name,
            one.spec.gateway.hosts,
            one.credential_name,
            member_claim=one.spec.gateway.jwt.member_claim,
        )
        for one in tenants
    ]
    shared = [plan.build_shared(kind, place, sharers) for kind in (kinds.ENVOY_FILTER, kinds.GATEWAY)]
    # Of two ways to say whom a policy is for, Istio may be told to know one only at gateways of Gateway API.
    settings = {"ENABLE_SELECTOR_BASED_K8S_GATEWAY_POLICY": "false"}
    everything = [*made, *(one for one in shared if one)]
    with (
        apiserver.start([apiserver.istio_crds(), *gateway_api.crds()]) as server,
        mesh.gateway(server, everything, backends, proxy, place, **settings) as running,
    ):
        yield running


class Answer:
    """One answer, read to its end."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {
            name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
        }

    def problem(self) -> dict[str, Any]:
        """Its problem document."""
        assert self.headers["content-type"] == PROBLEM_MEDIA_TYPE
        return json.loads(self.body)


class Client:
    """Sends requests to `host` byte for byte, as curl would."""

    def __init__(self, door: mesh.Door, host: str) -> None:
        self._door = door
        self._host = host
        self._context = ssl.create_default_context(cafile=str(door.authority))

    def call(
        self, target: str, *headers: attacks.Header, method: str = "GET", host: str = "", body: bytes = b""
    ) -> Answer:
        """Send one request, to another host if one is named; return its answer."""
        sent = [("Host", host or self._host), *headers, ("Connection", "close")]
        raw = attacks.request(method, target, sent, body)
        answered = attacks.send(
            self._door.address, self._context, self._host, raw, seconds=10, enough=attacks.whole
        )
        return Answer(answered)


def bearer(token: str, scheme: str = "Bearer") -> attacks.Header:
    """The header that carries a token."""
    return "Authorization", f"{scheme} {token}"
