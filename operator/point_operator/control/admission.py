"""What `kubectl apply` is checked against: the API server can't ask who has a host, but it reads a ConfigMap.

The ValidatingAdmissionPolicy of the chart (`templates/admission.yaml`) looks lines up in it, so that a person hears
at once what otherwise a condition tells a moment later. Nothing rests on it: the fleet decides.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable

from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.kube.cluster import Cluster
from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.model.claims import Claim
from point_operator.observe.fleet import Fleet

log = logging.getLogger(__name__)

NAME = "pointservice-claims"


class Admission:
    """Keeps the ConfigMap as the fleet's claims are."""

    def __init__(self, cluster: Cluster, fleet: Fleet, namespace: str, *, hosts_listed: bool) -> None:
        self._cluster = cluster
        self._fleet = fleet
        self._namespace = namespace
        self._hosts_listed = hosts_listed
        self._told: dict[str, str] = {}
        self._lock = asyncio.Lock()

    async def tell(self) -> None:
        """Write the ConfigMap if what it says has changed."""
        async with self._lock:  # so that nothing older is written after something newer
            try:
                await self._tell(data(self._fleet) | {"hostsListed": str(self._hosts_listed).lower()})
            except (DynamicApiError, OSError, TimeoutError) as error:
                log.warning("can't write ConfigMap %s: %s", NAME, type(error).__name__)

    async def _tell(self, said: dict[str, str]) -> None:
        if not self._told:
            live = await self._cluster.get(kinds.CONFIG_MAP, self._namespace, NAME)
            self._told = live.get("data") or {} if live is not None else {}
        if said == self._told:
            return
        metadata = {
            "name": NAME,
            "namespace": self._namespace,
            "labels": {names.MANAGED_BY: names.FIELD_MANAGER},
        }
        config_map = kinds.CONFIG_MAP
        await self._cluster.apply(
            {
                "apiVersion": config_map.api_version,
                "kind": config_map.kind,
                "metadata": metadata,
                "data": said,
            }
        )
        self._told = said


def data(fleet: Fleet) -> dict[str, str]:
    """Return what is told: texts of lines, each line between line feeds, so that a whole one can be looked for.

    `<gateway> host <host> <namespace>/<name>` for each host, `<gateway> issuer <issuer> <jwksUri> <claims>` for each
    issuer (`-` for keys given inline, which can't be compared there), and `<gateway> sole <issuer> <namespace>/<name>`
    for who is the only one to use it and may change its keys. `parents` tells which gateway is which Gateway of Gateway
    API: `<namespace>/<name> <gateway>`.
    """
    called = {names.gateway_key(one.namespace, one.selector): one.name for one in fleet.listed}
    lines: set[str] = set()
    users: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for one in fleet:
        owner = "/".join(one.key)
        for claim in fleet.claims(one.key):
            gateway = called.get(claim.gateway)
            if gateway is None:
                continue
            lines.update(f"{gateway} host {host} {owner}" for host in claim.hosts)
            users[gateway, claim.issuer].add(owner)
            if _is_as_wanted(one, claim):
                jwt = one.spec.gateway.jwt
                client = f",{jwt.client_claim}" if jwt.client_claim else ""
                checked_by = f"{jwt.jwks_uri or '-'} {jwt.member_claim} {jwt.role_claim}{client}"
                lines.add(f"{gateway} issuer {claim.issuer} {checked_by}")
    lines.update(
        f"{gateway} sole {issuer} {next(iter(of))}" for (gateway, issuer), of in users.items() if len(of) == 1
    )
    return {
        "default": fleet.listed[0].name if fleet.listed else "",
        "gateways": _lines(one.name for one in fleet.listed),
        "parents": _lines(f"{one.namespace}/{one.parent} {one.name}" for one in fleet.listed if one.parent),
        "claims": _lines(
            line for line in lines if len(line.split()) in (4, 6)
        ),  # no name with a space makes a line
    }


def _is_as_wanted(point_service: PointService, claim: Claim) -> bool:
    return claim.issuer == point_service.spec.gateway.jwt.issuer and claim.keys == Fleet.keys(point_service)


def _lines(texts: Iterable[str]) -> str:
    return "\n" + "".join(f"{text}\n" for text in sorted(texts))
