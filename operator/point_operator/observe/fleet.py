"""Every PointService of the cluster, what each was admitted to, and who stands in whose way at a shared gateway."""

from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from point_operator.model import api, claims, names
from point_operator.model.api import PointService
from point_operator.model.claims import Claim
from point_operator.model.gateways import ListedGateway

Key = tuple[str, str]
"""Namespace and name of a PointService."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a PointService does not get what it wants: a reason for machines and a message for people."""

    reason: str
    message: str


class Fleet:
    """The PointServices as last seen, and what this process has admitted each of them to.

    Whoever is admitted first keeps a host or an issuer until it no longer wants it, is gone, or the administrator
    takes the gateway or the host away. Claims are granted here, without a pause between looking and granting, and
    recorded in the PointService's status before anything is made for them, so that the next process knows them too.
    """

    def __init__(self, listed: Sequence[ListedGateway], *, hosts_listed: bool = False) -> None:
        self.listed = tuple(listed)
        self.gateway_namespaces = tuple(sorted({one.namespace for one in listed}))
        self._hosts_listed = hosts_listed
        self._keys = {
            names.gateway_id(one.namespace, one.selector): names.gateway_key(one.namespace, one.selector)
            for one in listed
        }
        self._members: dict[Key, PointService] = {}
        self._claims: dict[Key, tuple[Claim, ...]] = {}
        self._refused: set[Key] = set()
        self._host_patterns: dict[str, tuple[str, ...] | None] = {}
        """By namespace: which hosts its PointServices may have; None for any."""
        self._invalid_certificates: set[tuple[str, str]] = set()
        """Namespace and name of certificates that a gateway can't present."""

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[PointService]:
        return iter(self._members.values())

    def read(self, body: Mapping[str, Any]) -> PointService:
        """Read a PointService, its gateway being one of the listed. Raises InvalidSpecError."""
        return api.parse(body, self.listed)

    async def refresh(self, listing: Awaitable[Sequence[Mapping[str, Any]]]) -> tuple[set[Key], set[Key]]:
        """Take a whole list from the API: what is not in it is gone. Of the unknown the older one comes first.

        Return whom the list has, and about whom it told anything new. What was heard of while it was awaited is newer
        than the list and stays as it is. Raises what `listing` raises.
        """
        before = dict(self._members)
        bodies = sorted(await listing, key=lambda body: body["metadata"].get("creationTimestamp") or "")
        found = {_key(body): body for body in bodies}
        for key in before.keys() - found.keys():
            if self._members.get(key) == before[key]:
                self.forget(key)
        for key, body in found.items():
            if self._members.get(key) == before.get(key):
                self.see(body)
        for one in sorted(self, key=_age):
            if one.key not in before:
                self.admit(one, now=one.created)
        news = {key for key in before.keys() | self._members if before.get(key) != self._members.get(key)}
        return set(found), news

    def see(self, body: Mapping[str, Any]) -> bool:
        """Take note of one PointService; return whether anything changed that another one may depend on.

        One that can't be read keeps what it has.
        """
        try:
            point_service = self.read(body)
        except api.InvalidSpecError:
            return False
        key, before = point_service.key, self._members.get(_key(body))
        if before is not None and before.uid != point_service.uid:
            self.forget(key)
        self._members[key] = point_service
        if key not in self._claims:
            self._claims[key] = tuple(
                claim for claim in point_service.claims if self._conflict(point_service, claim) is None
            )
        return before != point_service

    def forget(self, key: Key) -> bool:
        """Take note that a PointService is gone; return whether it was known."""
        self._claims.pop(key, None)
        self._refused.discard(key)
        return self._members.pop(key, None) is not None

    def allow_hosts(self, namespace: str, annotations: Mapping[str, str]) -> None:
        """Take note of which hosts the PointServices of a namespace may have, as its annotations say."""
        text = annotations.get(names.HOSTS)
        listed = None if text is None else tuple(part.strip() for part in text.split(",") if part.strip())
        self._host_patterns[namespace] = () if listed is None and self._hosts_listed else listed

    def note_certificate(self, namespace: str, name: str, *, valid: bool) -> None:
        """Take note of whether a gateway can present a certificate."""
        if valid:
            self._invalid_certificates.discard((namespace, name))
        else:
            self._invalid_certificates.add((namespace, name))

    def is_valid_certificate(self, namespace: str, name: str) -> bool:
        """Whether a gateway can present a certificate, as far as anybody has looked."""
        return (namespace, name) not in self._invalid_certificates

    def admit(self, point_service: PointService, *, now: str) -> Refusal | None:
        """Grant a PointService what it wants, or return why not.

        What it was granted before stays granted beside it, until `settle` or `withdraw` says that nothing is made
        of that any more; only what the administrator does not allow is taken away at once. Of more than a status can
        record the oldest stays, by which it may still serve, and the newest.
        """
        key = point_service.key
        refusal = self._objection(point_service)
        if refusal is not None:
            self._claims[key] = ()
        else:
            wanted = self._wanted(point_service, now)
            refusal = self._conflict(point_service, wanted)
            if refusal is None:
                held = [claim for claim in self.claims(key) if _matter(claim) != _matter(wanted)]
                self._claims[key] = _most((wanted, *held))
        if refusal is None:
            self._refused.discard(key)
        else:
            self._refused.add(key)
        return refusal

    def settle(self, key: Key) -> None:
        """Take note that everything is made for the newest claim, and nothing for older ones any more."""
        self._claims[key] = self.claims(key)[:1]

    def claims(self, key: Key) -> tuple[Claim, ...]:
        """Return what a PointService was admitted to, the newest first."""
        return self._claims.get(key, ())

    def refused(self) -> list[Key]:
        """Return every PointService that is refused; a change of another one may free it."""
        return list(self._refused)

    def sharers(self, namespace: str, selector: Mapping[str, str]) -> list[tuple[PointService, Claim]]:
        """Return who was admitted to a gateway and is not leaving, with each of its claims, the first one first."""
        gateway = names.gateway_key(namespace, selector)
        found = [
            (one, claim)
            for one in self
            if not one.deleting
            for claim in self.claims(one.key)
            if claim.gateway == gateway
        ]
        return sorted(found, key=lambda pair: (pair[1].since, _age(pair[0])))

    def gateways_of(self, key: Key) -> list[ListedGateway]:
        """Return the listed gateways that a PointService was admitted to."""
        places = {claim.gateway for claim in self.claims(key)}
        return [one for one in self.listed if names.gateway_key(one.namespace, one.selector) in places]

    def at_gateway(self, identity: str) -> list[PointService]:
        """Return the PointServices admitted to the gateway with this `names.gateway_id`, in no order."""
        gateway = self._keys.get(identity)
        return [one for one in self if any(claim.gateway == gateway for claim in self.claims(one.key))]

    @staticmethod
    def keys(point_service: PointService) -> str:
        """Digest of what the tokens are checked by and of the claims that say who the member is."""
        jwt = point_service.spec.gateway.jwt
        client = [jwt.client_claim] if jwt.client_claim else []  # without one as before there was one
        return names.digest([jwt.jwks, jwt.jwks_uri, jwt.member_claim, jwt.role_claim, *client])[:16]

    def _wanted(self, point_service: PointService, now: str) -> Claim:
        gateway, jwt = point_service.spec.gateway, point_service.spec.gateway.jwt
        place = names.gateway_key(gateway.namespace, gateway.selector)
        held = next((claim for claim in self.claims(point_service.key) if claim.gateway == place), None)
        credential = point_service.credential_name
        if held is not None and not self.is_valid_certificate(gateway.namespace, credential):
            credential = held.credential_name
        return Claim(
            gateway=place,
            hosts=gateway.hosts,
            issuer=jwt.issuer,
            keys=self.keys(point_service),
            credential_name=credential,
            since=held.since if held is not None else now,
        )

    def _objection(self, point_service: PointService) -> Refusal | None:
        """What the cluster's administrator does not allow."""
        if point_service.no_gateway:
            return Refusal(
                "GatewayNotListed", f"{point_service.no_gateway}; its administrator keeps that list"
            )
        patterns = self._host_patterns.get(point_service.namespace)
        if patterns is None:
            return None
        hosts = [one for one in point_service.spec.gateway.hosts if not _is_allowed(one, patterns)]
        if not hosts:
            return None
        return Refusal(
            "HostNotAllowed",
            f"{', '.join(hosts)}: namespace {point_service.namespace} may have {', '.join(patterns) or 'no host'}; "
            f"the cluster's administrator says so by its annotation {names.HOSTS}",
        )

    def _conflict(self, point_service: PointService, wanted: Claim) -> Refusal | None:
        """Whether somebody else was admitted to what one wants.

        A gateway checks a token against every rule of its issuer, whoever made it: with other keys one PointService
        could forge the other's tokens, with other claims it could change who the member is. One that is being
        deleted still holds what it has until it is gone.
        """
        for key, every in self._claims.items():
            if key == point_service.key:
                continue
            for held in every:
                if held.gateway != wanted.gateway:
                    continue
                if taken := sorted(set(held.hosts) & set(wanted.hosts)):
                    return _host_conflict(key, taken)
                if held.issuer == wanted.issuer and held.keys != wanted.keys:
                    return _issuer_conflict(key, held.issuer)
        return None


def _key(body: Mapping[str, Any]) -> Key:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _age(point_service: PointService) -> tuple[str, str, str]:
    return point_service.created, point_service.namespace, point_service.name


def _matter(claim: Claim) -> tuple[object, ...]:
    """What of a claim keeps others away."""
    return claim.gateway, frozenset(claim.hosts), claim.issuer, claim.keys


def _most(held: tuple[Claim, ...]) -> tuple[Claim, ...]:
    return held if len(held) <= claims.MOST else (*held[: claims.MOST - 1], held[-1])


def _is_allowed(host: str, patterns: Iterable[str]) -> bool:
    return any(
        pattern in ("*", host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))
        for pattern in patterns
    )


def _host_conflict(holder: Key, hosts: Sequence[str]) -> Refusal:
    return Refusal(
        "HostConflict",
        f"PointService {'/'.join(holder)} already has {', '.join(hosts)} "
        "at this gateway; choose another host or remove it there",
    )


def _issuer_conflict(holder: Key, issuer: str) -> Refusal:
    return Refusal(
        "IssuerConflict",
        f"PointService {'/'.join(holder)} uses issuer {issuer} at this gateway "
        "with other keys or claims; both must give the same jwks or jwksUri, memberClaim, "
        "roleClaim and clientClaim, since the gateway checks a token against all of them",
    )
