"""Everything that must exist for a PointService, in the order in which it is applied."""

from collections.abc import Sequence

import msgspec

from point_operator.model import kinds, names
from point_operator.model.api import PointService
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
from point_operator.resources.surroundings import Surroundings
from point_operator.resources.watching import alerts, dashboard, service_monitor

Manifest = metadata.Manifest


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Manifests by stage. Policies come before what they protect, the migration before the pods."""

    policies: tuple[Manifest, ...]
    """What guards: applied before there is a route or a pod."""
    foundation: tuple[Manifest, ...]
    """What pods need, the migration last."""
    workload: tuple[Manifest, ...]
    """The pods; only once the migration is through."""
    routes: tuple[Manifest, ...]
    """What opens the gateway."""

    @property
    def everything(self) -> tuple[Manifest, ...]:
        """All manifests in order."""
        return self.policies + self.foundation + self.workload + self.routes


def build(point_service: PointService, surroundings: Surroundings) -> Plan:
    """Return what belongs to one PointService alone."""
    return Plan(
        policies=_present(
            request_authentication.build(point_service),
            authorization_policy.build_gateway(point_service),
            authorization_policy.build_workload(point_service),
            peer_authentication.build(point_service),
            rate_limit.build(point_service, surroundings),
        ),
        foundation=_present(
            service_account.build(point_service),
            service.build(point_service),
            destination_rule.build(point_service),
            service.build(point_service, names.CANARY) if surroundings.trial else None,
            destination_rule.build(point_service, names.CANARY) if surroundings.trial else None,
            *rate_limit_service.build(point_service, surroundings),
            migration.build(point_service),
        ),
        workload=_present(
            deployment.build(point_service, surroundings),
            deployment.build_canary(point_service, surroundings),
            autoscaler.build(point_service),
            disruption_budget.build(point_service),
        ),
        routes=_present(
            virtual_service.build(point_service, surroundings),
            dashboard.build(point_service),
            dashboard.build_for_operator(point_service, surroundings),
            alerts.build(point_service, surroundings),
            service_monitor.build(point_service, surroundings),
        ),
    )


def build_shared(sharers: Sequence[PointService], kind: kinds.Kind) -> Manifest | None:
    """Return one gateway's guard (EnvoyFilter) or listener (Gateway) for its PointServices, oldest first."""
    builders = {kinds.ENVOY_FILTER: gateway_guard.build, kinds.GATEWAY: gateway.build}
    manifest = builders[kind](sharers)
    return _hashed(manifest) if manifest is not None else None


def _present(*manifests: Manifest | None) -> tuple[Manifest, ...]:
    return tuple(_hashed(manifest) for manifest in manifests if manifest is not None)


def _hashed(manifest: Manifest) -> Manifest:
    """Add the annotation by which a field shows that it is no longer wanted."""
    annotations = manifest["metadata"].get("annotations", {})
    described = annotations | {names.HASH: names.digest(manifest)[:16]}
    return manifest | {"metadata": manifest["metadata"] | {"annotations": described}}
