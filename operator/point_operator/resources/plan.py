"""Everything that must exist for a PointService, in the order in which it is applied."""

import itertools
from collections.abc import Sequence

import msgspec

from point_operator.model import kinds, names
from point_operator.model.api import PointService
from point_operator.model.gateways import ListedGateway
from point_operator.resources import metadata
from point_operator.resources.gateway import (
    gateway,
    gateway_guard,
    rate_limit,
    rate_limit_service,
    request_authentication,
)
from point_operator.resources.mesh import (
    authorization_policy,
    destination_rule,
    http_route,
    network_policy,
    peer_authentication,
    virtual_service,
)
from point_operator.resources.pods import (
    autoscaler,
    deployment,
    disruption_budget,
    migration,
    service,
    service_account,
)
from point_operator.resources.surroundings import Release, Surroundings
from point_operator.resources.watching import alerts, dashboard, service_monitor

Manifest = metadata.Manifest


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Manifests by stage, in the order in which they are applied: what protects comes before what it protects."""

    policies: tuple[Manifest, ...]
    """What guards: there before a route or a pod is."""
    foundation: tuple[Manifest, ...]
    """What the migration and the pods need."""
    migration: tuple[Manifest, ...]
    """The schema migration of the wanted image."""
    pods: tuple[Manifest, ...]
    """What serves; of a new image only once its migration is through."""
    scaling: tuple[Manifest, ...]
    """How many of them there are."""
    route: tuple[Manifest, ...]
    """What opens the gateway."""
    watching: tuple[Manifest, ...]
    """What is shown and what wakes somebody: last, since nobody is served by it."""

    everything: tuple[Manifest, ...]
    """All of them in order, also of a stage that has to wait: a child that is not among them is removed."""


def build(point_service: PointService, surroundings: Surroundings, release: Release) -> Plan:
    """Return what belongs to one PointService alone."""
    canary = (service, destination_rule) if release.canary else ()
    return _plan(
        policies=_present(
            request_authentication.build(point_service),
            authorization_policy.build_gateway(point_service),
            authorization_policy.build_workload(point_service),
            peer_authentication.build(point_service),
            network_policy.build(point_service),
            rate_limit.build(
                point_service,
                surroundings,
                [*http_route.patches(point_service), *destination_rule.patches(point_service)],
            ),
        ),
        foundation=_present(
            service_account.build(point_service),
            service.build(point_service),
            destination_rule.build(point_service),
            *(one.build(point_service, names.CANARY) for one in canary),
            *rate_limit_service.build(point_service, surroundings),
        ),
        migration=_present(migration.build(point_service, surroundings.login)),
        pods=build_pods(point_service, surroundings, release),
        scaling=_present(
            autoscaler.build(point_service),
            disruption_budget.build(point_service),
        ),
        route=_present(
            virtual_service.build(point_service, release.weight),
            http_route.build(point_service, surroundings, release.weight),
        ),
        watching=_present(
            dashboard.build(point_service),
            dashboard.build_for_operator(point_service, surroundings),
            alerts.build(point_service, surroundings),
            service_monitor.build(point_service, surroundings),
        ),
    )


def build_pods(
    point_service: PointService, surroundings: Surroundings, release: Release
) -> tuple[Manifest, ...]:
    """Return what serves."""
    return _present(
        deployment.build(point_service, release.image, surroundings.config_hash),
        deployment.build_canary(point_service, release.canary, surroundings.config_hash),
    )


def build_shared(
    kind: kinds.Kind, place: ListedGateway, sharers: Sequence[gateway.Sharer]
) -> Manifest | None:
    """Return one gateway's guard (EnvoyFilter) or listener (Gateway), or None when nobody shares it.

    Whoever has a listener of Gateway API brings no certificate.
    """
    guarded = kind == kinds.ENVOY_FILTER
    sharing = [one for one in sharers if guarded or one.credential_name]
    if not sharing:
        return None
    return _hashed((gateway_guard if guarded else gateway).build(place, sharing))


def _plan(**stages: tuple[Manifest, ...]) -> Plan:
    return Plan(everything=tuple(itertools.chain(*stages.values())), **stages)


def _present(*manifests: Manifest | None) -> tuple[Manifest, ...]:
    return tuple(_hashed(manifest) for manifest in manifests if manifest is not None)


def _hashed(manifest: Manifest) -> Manifest:
    """Add the annotation by which a field shows that it is no longer wanted."""
    annotations = manifest["metadata"].get("annotations", {})
    described = annotations | {names.HASH: names.digest(manifest)[:16]}
    return manifest | {"metadata": manifest["metadata"] | {"annotations": described}}
