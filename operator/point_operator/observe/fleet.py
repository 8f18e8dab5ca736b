"""Every PointService of the cluster, and who stands in whose way at a shared gateway."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from point_operator.model import api, names
from point_operator.model.api import PointService

Key = tuple[str, str]
"""Namespace and name of a PointService."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a PointService gets nothing at its gateway: a reason for machines and a message for people."""

    reason: str
    message: str


class Fleet:
    """The PointServices as last seen, and the refusals that follow from them."""

    def __init__(self, allowed_namespaces: Iterable[str]) -> None:
        self.allowed_namespaces = tuple(sorted(set(allowed_namespaces) - {"istio-system"}))
        self._members: dict[Key, PointService] = {}
        self._refusals: dict[Key, Refusal] | None = None

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[PointService]:
        return iter(self._members.values())

    def replace(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Take a whole list from the API: what is not in it is gone."""
        self._members = {}
        for body in bodies:
            self.see(body)
        self._refusals = None

    def see(self, body: Mapping[str, Any]) -> bool:
        """Take note of one PointService; return whether anything changed that another one may depend on."""
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        try:
            point_service = api.parse(body)
        except api.InvalidSpecError:
            return self.forget(key)
        before = self._members.get(key)
        self._members[key] = point_service
        if before == point_service:
            return False
        self._refusals = None
        return True

    def forget(self, key: Key) -> bool:
        """Take note that a PointService is gone; return whether it was known."""
        self._refusals = None
        return self._members.pop(key, None) is not None

    def refusal(self, point_service: PointService) -> Refusal | None:
        """Return why this PointService is refused, or None."""
        return self._all_refusals().get(point_service.key)

    def refused(self) -> list[Key]:
        """Return every PointService that is refused; a change of another one may free it."""
        return list(self._all_refusals())

    def sharers(self, namespace: str, selector: Mapping[str, str]) -> list[PointService]:
        """Return the PointServices that one gateway serves, oldest first; not the refused and the leaving."""
        identity, refusals = names.gateway_id(namespace, selector), self._all_refusals()
        found = [
            one
            for one in self
            if not one.deleting and one.key not in refusals and _gateway_of(one) == identity
        ]
        return sorted(found, key=_age)

    def at_gateway(self, identity: str) -> list[PointService]:
        """Return the PointServices at the gateway with this `names.gateway_id`, in no order."""
        return [one for one in self if _gateway_of(one) == identity]

    def _all_refusals(self) -> dict[Key, Refusal]:
        if self._refusals is None:
            self._refusals = refusals(self, self.allowed_namespaces)
        return self._refusals


def refusals(point_services: Iterable[PointService], allowed: tuple[str, ...]) -> dict[Key, Refusal]:
    """Return who is refused and why. Who came first keeps what two of them want.

    A PointService that is being deleted still holds its hosts and issuer until it is gone.
    """
    hosts: dict[tuple[str, str], PointService] = {}
    issuers: dict[tuple[str, str], PointService] = {}
    refused: dict[Key, Refusal] = {}
    for one in sorted(point_services, key=_age):
        gateway = one.spec.gateway
        if gateway.namespace not in allowed:
            refused[one.key] = _not_allowed(gateway.namespace, allowed)
            continue
        identity = _gateway_of(one)
        holder = next((hosts[identity, host] for host in gateway.hosts if (identity, host) in hosts), None)
        if holder is not None:
            refused[one.key] = _host_conflict(one, holder)
            continue
        holder = issuers.get((identity, gateway.jwt.issuer))
        if holder is not None and not _same_issuer(one, holder):
            refused[one.key] = _issuer_conflict(one, holder)
            continue
        hosts.update({(identity, host): one for host in gateway.hosts})
        issuers.setdefault((identity, gateway.jwt.issuer), one)
    return refused


def _age(point_service: PointService) -> tuple[str, str, str]:
    return point_service.created, point_service.namespace, point_service.name


def _gateway_of(point_service: PointService) -> str:
    return names.gateway_id(point_service.spec.gateway.namespace, point_service.spec.gateway.selector)


def _same_issuer(one: PointService, other: PointService) -> bool:
    """Whether two agree on an issuer's keys and claims.

    A gateway checks a token against every rule of its issuer, whoever made it: with other keys one
    PointService could forge the other's tokens, with other claims it could change who the member is.
    """
    first, second = one.spec.gateway.jwt, other.spec.gateway.jwt
    return (first.jwks, first.jwks_uri, first.member_claim, first.role_claim) == (
        second.jwks,
        second.jwks_uri,
        second.member_claim,
        second.role_claim,
    )


def _not_allowed(namespace: str, allowed: tuple[str, ...]) -> Refusal:
    return Refusal(
        "GatewayNamespaceNotAllowed",
        f"gateway.namespace {namespace} is not on the operator's list ({', '.join(allowed) or 'empty'}); "
        "its administrator sets POINT_OPERATOR_GATEWAY_NAMESPACES",
    )


def _host_conflict(one: PointService, holder: PointService) -> Refusal:
    shared = sorted(set(one.spec.gateway.hosts) & set(holder.spec.gateway.hosts))
    return Refusal(
        "HostConflict",
        f"PointService {'/'.join(holder.key)} already has {', '.join(shared)} "
        "at this gateway; choose another host or remove it there",
    )


def _issuer_conflict(one: PointService, holder: PointService) -> Refusal:
    return Refusal(
        "IssuerConflict",
        f"PointService {'/'.join(holder.key)} uses issuer {one.spec.gateway.jwt.issuer} at this gateway "
        "with other keys or claims; both must give the same jwks or jwksUri, memberClaim "
        "and roleClaim, since the gateway checks a token against all of them",
    )
