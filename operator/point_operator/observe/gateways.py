"""The pods of each gateway: the rate limit of a service is divided among them, and nobody is reached without."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from point_operator.kube.cluster import Cluster
from point_operator.model import kinds, names
from point_operator.model.api import Gateway
from point_operator.model.gateways import ListedGateway
from point_operator.observe.fleet import Fleet, Key, Refusal

log = logging.getLogger(__name__)

INTERVAL = 3.0
"""Seconds between two looks at the gateways' pods: one small list for each gateway that is in use."""


class GatewayPods(msgspec.Struct, frozen=True):
    """The pods that a gateway's selector finds."""

    all: int = 0
    ready: int = 0
    accounts: tuple[str, ...] = ()
    """The service accounts of the ready ones."""


class Gateways:
    """The pods of every gateway in use, followed by polling: a list can't stall as a watch can."""

    def __init__(self, cluster: Cluster, fleet: Fleet) -> None:
        self._cluster = cluster
        self._fleet = fleet
        self._pods: dict[str, GatewayPods] = {}

    async def pods(self, namespace: str, selector: Mapping[str, str]) -> GatewayPods:
        """Return the pods of a gateway. Raises what the API raises when they can't be listed."""
        identity = names.gateway_id(namespace, selector)
        if identity not in self._pods:
            self._pods[identity] = await look(self._cluster, namespace, selector)
        return self._pods[identity]

    async def follow(self, changed: Callable[[Key], None]) -> None:
        """Look again and again; tell the PointServices of a gateway whose pods have changed."""
        while True:
            await asyncio.sleep(INTERVAL)
            listed = {names.gateway_id(one.namespace, one.selector): one for one in self._fleet.listed}
            gateways = {identity: one for identity, one in listed.items() if self._fleet.at_gateway(identity)}
            self._pods = {identity: pods for identity, pods in self._pods.items() if identity in gateways}
            await asyncio.gather(*(self._look(*gateway, changed) for gateway in gateways.items()))

    async def _look(self, identity: str, gateway: ListedGateway, changed: Callable[[Key], None]) -> None:
        """Look at one gateway; what is wrong with it is told by the looks at its PointServices."""
        before = self._pods.get(identity)
        try:
            self._pods[identity] = await look(self._cluster, gateway.namespace, gateway.selector)
        except (DynamicApiError, OSError, TimeoutError) as error:
            log.warning("can't list the pods of a gateway in %s: %s", gateway.namespace, type(error).__name__)
            self._pods.pop(identity, None)
        if before is not None and before != self._pods.get(identity):
            for one in self._fleet.at_gateway(identity):
                changed(one.key)


async def look(cluster: Cluster, namespace: str, selector: Mapping[str, str]) -> GatewayPods:
    """Return the pods of a gateway. Raises what the API raises when they can't be listed."""
    found = await cluster.list(kinds.POD, namespace, _text(selector))
    ready = [pod for pod in found if is_ready(pod)]
    accounts = {pod["spec"].get("serviceAccountName") or "default" for pod in ready}
    return GatewayPods(len(found), len(ready), tuple(sorted(accounts)))


def problem(gateway: Gateway | ListedGateway, pods: GatewayPods) -> Refusal | None:
    """Return why no request, or only some, reaches the service through a gateway."""
    where = f"namespace {gateway.namespace} with the labels {_text(gateway.selector)} (gateway.selector)"
    if not pods.all:
        return Refusal("GatewayAbsent", f"There is no pod in {where}, so nobody can reach the service")
    if not pods.ready:
        return Refusal("GatewayAbsent", f"None of the {pods.all} pods in {where} is ready")
    if others := sorted(set(pods.accounts) - {gateway.service_account}):
        return Refusal(
            "GatewayIdentity",
            f"Pods in {where} run as service account {', '.join(others)} and not as {gateway.service_account} "
            "(gateway.serviceAccount): the service refuses what they send",
        )
    return None


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is ready and not on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _text(selector: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
