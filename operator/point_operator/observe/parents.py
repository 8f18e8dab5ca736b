"""The Gateway API Gateway that a PointService is reached by: its HTTPS listeners, and whether it takes the route."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from point_operator.kube.apply import Identity
from point_operator.kube.cluster import Cluster, Object
from point_operator.model import kinds
from point_operator.model.api import PointService
from point_operator.model.gateways import ParentRef
from point_operator.observe.fleet import Refusal

CONTROLLER = "istio.io/gateway-controller"
"""Who looks after Istio's Gateways. At another one's nothing of ours would check a token."""
BUILT_IN = "istio"
"""Class that Istio takes for its own also where nobody has made it."""
PATIENCE_SECONDS = 10.0
"""How long a new route may go without a word of Istio's before that is a problem."""


class Parent(msgspec.Struct, frozen=True):
    """What is seen of a Gateway."""

    listeners: tuple[str, ...] = ()
    """Its HTTPS listeners that are meant, by name."""
    problem: Refusal | None = None
    """Why a route there would serve nobody."""


async def look(cluster: Cluster, point_service: PointService) -> Parent:
    """Look at the Gateway that is meant; at a classic gateway there is none to look at."""
    wanted = point_service.spec.gateway.parent_ref
    if wanted is None or point_service.no_gateway:
        return Parent()
    kind = kinds.PARENT
    live = await cluster.get(kind, wanted.namespace, wanted.name)
    if live is not None:
        name = live["spec"]["gatewayClassName"]
        made = await cluster.get(kinds.GATEWAY_CLASS, "", name)
        said = {"spec": {"controllerName": CONTROLLER if name == BUILT_IN else "nobody"}}
        controller = (made or said)["spec"]["controllerName"]
        if controller == CONTROLLER:
            return read(live, wanted)
        why = f"is of class {name}, which {controller} looks after and not {CONTROLLER}: it would check no token"
        return Parent(problem=Refusal("GatewayForeign", f"Gateway {_called(wanted)} {why}"))
    if await cluster.serves(kinds.HTTP_ROUTE):
        return Parent(problem=Refusal("GatewayAbsent", f"There is no Gateway {_called(wanted)}"))
    what = f"{kinds.HTTP_ROUTE.plural}.{kinds.HTTP_ROUTE.api_version}"
    return Parent(
        problem=Refusal("NotInstalled", f"The cluster does not know {what}, the kinds of Gateway API")
    )


def read(live: Mapping[str, Any], wanted: ParentRef) -> Parent:
    """Read a Gateway.

    A listener without TLS is never meant: tokens would cross the network for anybody to read.
    """
    listeners = {one["name"]: one for one in live["spec"].get("listeners") or []}
    if wanted.section_name and wanted.section_name not in listeners:
        known = ", ".join(listeners) or "none"
        return _without(wanted, f"has no listener {wanted.section_name} (it has {known})")
    meant = [wanted.section_name] if wanted.section_name else list(listeners)
    secure = tuple(name for name in meant if listeners[name].get("protocol") == "HTTPS")
    if not secure:
        which = f"listener {wanted.section_name} is" if wanted.section_name else "listeners are"
        return _without(wanted, f"takes no HTTPS: its {which} of another protocol")
    told = {one["name"]: one.get("conditions") or [] for one in live.get("status", {}).get("listeners") or []}
    broken = {name: _failed(told.get(name, []), "Programmed", "ResolvedRefs") for name in secure}
    if all(broken.values()):
        return Parent(secure, _listener(wanted, "; ".join(f"{name}: {why}" for name, why in broken.items())))
    return Parent(secure)


def is_routed(point_service: PointService, children: Mapping[Identity, Object]) -> bool:
    """Whether a gateway has a route to it, perhaps one of the other kind, from before."""
    namespace, name = point_service.key
    if (kinds.VIRTUAL_SERVICE.kind, namespace, name) in children:
        return True
    route = children.get((kinds.HTTP_ROUTE.kind, namespace, name))
    return route is not None and any(not _failed(one, "Accepted") for one in _told(route) if one)


def route_problem(
    point_service: PointService, children: Mapping[Identity, Object], now: str
) -> Refusal | None:
    """Return why the Gateway does not send requests by the route as it is, or None. `now` is an RFC 3339 time."""
    wanted = point_service.spec.gateway.parent_ref
    route = children.get((kinds.HTTP_ROUTE.kind, *point_service.key))
    if wanted is None or route is None:
        return None
    told = _told(route)
    if not told:
        made, moment = (
            datetime.datetime.fromisoformat(one) for one in (route["metadata"]["creationTimestamp"], now)
        )
        if (moment - made).total_seconds() < PATIENCE_SECONDS:
            return None
        why = "no controller has said anything of it; does Istio look after this Gateway's class?"
        return _unaccepted(wanted, why)
    failed = [_failed(one, "Accepted", "ResolvedRefs") for one in told]
    return _unaccepted(wanted, "; ".join(dict.fromkeys(failed))) if all(failed) else None


def _told(route: Mapping[str, Any]) -> list[Sequence[Mapping[str, Any]]]:
    """Return what Istio says of each of a route's parents; all of a PointService's are listeners of one Gateway."""
    parents = route.get("status", {}).get("parents") or []
    return [one.get("conditions") or [] for one in parents if one["controllerName"] == CONTROLLER]


def _failed(conditions: Sequence[Mapping[str, Any]], *types: str) -> str:
    """Return what those that are False say, empty when none is."""
    return "; ".join(
        f"{one['reason']}: {one.get('message', '')}".rstrip(": ")
        for one in conditions
        if one["type"] in types and one["status"] == "False"
    )


def _called(wanted: ParentRef) -> str:
    return f"{wanted.namespace}/{wanted.name} (gateway.parentRef)"


def _without(wanted: ParentRef, why: str) -> Parent:
    return Parent(problem=Refusal("ListenerAbsent", f"Gateway {_called(wanted)} {why}"))


def _listener(wanted: ParentRef, why: str) -> Refusal:
    return Refusal("ListenerAbsent", f"Gateway {_called(wanted)} does not listen: {why}")


def _unaccepted(wanted: ParentRef, why: str) -> Refusal:
    return Refusal("RouteNotAccepted", f"Gateway {_called(wanted)} does not take the HTTPRoute: {why}")
