"""The Gateway API Gateway that a PointService is reached by: its HTTPS listeners, and whether it takes the route."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from point_operator.kube import drift
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
MOST_LISTENERS = 32
"""Parents that Gateway API lets a route name."""
PATIENCE_SECONDS = 10.0
"""How long a route may go after a change without a word of Istio's before that is a problem."""


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
    found = await find(cluster, wanted)
    if isinstance(found, Refusal):
        return Parent(problem=found)
    return read(found, wanted, point_service.spec.gateway.hosts)


async def find(cluster: Cluster, wanted: ParentRef) -> Object | Refusal:
    """Return a Gateway that Istio looks after, or why there is none."""
    live = await cluster.get(kinds.PARENT, wanted.namespace, wanted.name)
    if live is not None:
        name = live["spec"]["gatewayClassName"]
        made = await cluster.get(kinds.GATEWAY_CLASS, "", name)
        said = {"spec": {"controllerName": CONTROLLER if name == BUILT_IN else "nobody"}}
        controller = (made or said)["spec"]["controllerName"]
        if controller == CONTROLLER:
            return live
        why = f"is of class {name}, which {controller} looks after and not {CONTROLLER}: it would check no token"
        return Refusal("GatewayForeign", f"Gateway {_called(wanted)} {why}")
    if await cluster.serves(kinds.HTTP_ROUTE):
        return Refusal("GatewayAbsent", f"There is no Gateway {_called(wanted)}")
    what = f"{kinds.HTTP_ROUTE.plural}.{kinds.HTTP_ROUTE.api_version}"
    return Refusal("NotInstalled", f"The cluster does not know {what}, the kinds of Gateway API")


def read(live: Mapping[str, Any], wanted: ParentRef, hosts: Sequence[str]) -> Parent:
    """Read a Gateway that a route of `hosts` is meant for.

    A listener without TLS is never meant: tokens would cross the network for anybody to read. Of the others each that
    one of the hosts fits is, unless the spec names one.
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
    if not wanted.section_name:
        secure = tuple(
            name for name in secure if any(fits(listeners[name].get("hostname") or "", one) for one in hosts)
        )
        if not secure:
            return _without(wanted, f"has no HTTPS listener whose hostname fits {', '.join(hosts)}")
    if len(secure) > MOST_LISTENERS:
        left = ", ".join(secure[MOST_LISTENERS:])
        why = (
            f"a route may name {MOST_LISTENERS} listeners, so these don't serve it: {left}; give sectionName"
        )
        return Parent(secure[:MOST_LISTENERS], _listener(wanted, why))
    told = {
        one["name"]: _current(live, one.get("conditions") or [])
        for one in live.get("status", {}).get("listeners") or []
    }
    broken = {name: _failed(told.get(name, []), "Programmed", "ResolvedRefs") for name in secure}
    if all(broken.values()):
        return Parent(secure, _listener(wanted, "; ".join(f"{name}: {why}" for name, why in broken.items())))
    return Parent(secure)


def fits(listener: str, host: str) -> bool:
    """Whether a listener's hostname is one for a host, itself no wildcard: empty for any, `*.` for a label or more."""
    return listener in ("", host) or (listener.startswith("*.") and host.endswith(listener[1:]))


def is_routed(point_service: PointService, children: Mapping[Identity, Object]) -> bool:
    """Whether a gateway has a route to it, perhaps one of the other kind, or as it was before its last change."""
    namespace, name = point_service.key
    if (kinds.VIRTUAL_SERVICE.kind, namespace, name) in children:
        return True
    route = children.get((kinds.HTTP_ROUTE.kind, namespace, name))
    told = _told(route, point_service) if route is not None else []
    return any(not _failed(one, "Accepted") for one in told)


def is_told(point_service: PointService, children: Mapping[Identity, Object]) -> bool:
    """Whether Istio has looked at the route as it is; of a VirtualService it tells nothing."""
    route = children.get((kinds.HTTP_ROUTE.kind, *point_service.key))
    if route is None or point_service.spec.gateway.parent_ref is None:
        return True
    return any(_current(route, one) for one in _told(route, point_service))


def route_problem(
    point_service: PointService, children: Mapping[Identity, Object], now: str
) -> Refusal | None:
    """Return why the Gateway does not send requests by the route as it is, or None. `now` is an RFC 3339 time.

    Of what Istio has not looked at since the last change nothing is known; it is given a moment from then on.
    """
    wanted = point_service.spec.gateway.parent_ref
    route = children.get((kinds.HTTP_ROUTE.kind, *point_service.key))
    if wanted is None or route is None:
        return None
    told = [said for one in _told(route, point_service) if (said := _current(route, one))]
    if not told:
        changed = (drift.our_entry(route) or {}).get("time") or route["metadata"]["creationTimestamp"]
        since, moment = (datetime.datetime.fromisoformat(one) for one in (changed, now))
        if (moment - since).total_seconds() < PATIENCE_SECONDS:
            return None
        why = "no controller has said anything of it as it is; does Istio look after this Gateway's class?"
        return _unaccepted(wanted, why)
    failed = [_failed(one, "Accepted", "ResolvedRefs") for one in told]
    return _unaccepted(wanted, "; ".join(dict.fromkeys(failed))) if all(failed) else None


def _told(route: Mapping[str, Any], point_service: PointService) -> list[Sequence[Mapping[str, Any]]]:
    """Return what Istio says, of whichever generation, of each listener that the route names at the Gateway that is
    meant: of those that it named once something may be left."""
    wanted = point_service.spec.gateway.parent_ref
    namespace = route["metadata"]["namespace"]
    named = {_place(one, namespace) for one in route["spec"].get("parentRefs") or []}
    return [
        one["conditions"]
        for one in route.get("status", {}).get("parents") or []
        if one["controllerName"] == CONTROLLER and one.get("conditions")
        if (place := _place(one["parentRef"], namespace)) in named
        and wanted is not None
        and place[:2] == (wanted.namespace, wanted.name)
    ]


def _place(reference: Mapping[str, Any], namespace: str) -> tuple[str, str, str]:
    """Namespace and name of a Gateway, and one of its listeners, as an object of `namespace` names them."""
    return reference.get("namespace") or namespace, reference["name"], reference.get("sectionName") or ""


def _current(live: Mapping[str, Any], conditions: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those conditions that tell of an object as it is."""
    newest = live["metadata"]["generation"]
    return [one for one in conditions if one.get("observedGeneration") == newest]


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
