"""What the page shows, from what the cluster says. Pure."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from point_local.drill import observe
from point_local.drill.observe import Object
from point_local.failover import roles
from point_local.failover.roles import Copy
from point_local.machine.cluster import WORKERS
from point_local.stack.istio import GATEWAY_NAMESPACE

TIERS = {
    GATEWAY_NAMESPACE: "gateway",
    "points": "service",
    "data": "database",
    "point-system": "operator",
    "istio-system": "istiod",
    "monitoring": "prometheus",
}
"""What the pods of a namespace are, where nothing else says more."""


class Pod(msgspec.Struct, frozen=True, kw_only=True):
    """One pod. `since` is when it was started, in seconds since 1970."""

    name: str
    workload: str
    tier: str
    node: str | None
    """None while it has none."""
    ready: bool
    phase: str
    since: float | None
    restarts: int
    role: str = ""


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """One zone's machine."""

    node: str
    name: str
    runs: bool
    """Whether its processes do, and its network is up."""
    ready: bool
    """Whether Kubernetes says so, which takes it 40 s to notice."""


def zones(nodes: Sequence[Object], running: Mapping[str, bool]) -> list[Zone]:
    """The zones from the cluster's nodes, and whose machine runs."""
    ready = {n["metadata"]["name"]: observe.ready(n) for n in nodes}
    return [
        Zone(node=w.name, name=str(w.zone), runs=running.get(w.name, False), ready=ready.get(w.name, False))
        for w in WORKERS
    ]


def pods(found: Sequence[Object], said: Mapping[str, str], dark: Collection[str] = ()) -> list[Pod]:
    """The stack's pods that have not ended, by tier and name; `said` is the role of a pod by its name.

    Those on a machine that is `dark` are said to be so, though Kubernetes has yet to notice.
    """
    made = [_pod(p, said, dark) for p in found if p["metadata"]["namespace"] in TIERS and not _ended(p)]
    order = list(dict.fromkeys(["gateway", "service", "migration", "limit", "cache", *TIERS.values()]))
    return sorted(made, key=lambda p: (order.index(p.tier), p.name))


def _ended(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")


def _pod(pod: Object, said: Mapping[str, str], dark: Collection[str]) -> Pod:
    metadata, status = pod["metadata"], pod["status"]
    leaves, lit = "deletionTimestamp" in metadata, pod["spec"].get("nodeName") not in dark
    return Pod(
        name=metadata["name"],
        workload=observe.workload(pod),
        tier=_tier(pod),
        node=pod["spec"].get("nodeName"),
        ready=observe.ready(pod) and not leaves and lit,
        phase=("Terminating" if leaves else status.get("phase", "?")) if lit else "Dark",
        since=moment(status.get("startTime")),
        restarts=sum(c.get("restartCount", 0) for c in status.get("containerStatuses", [])),
        role=said.get(metadata["name"], ""),
    )


def _tier(pod: Object) -> str:
    metadata = pod["metadata"]
    tier = TIERS[metadata["namespace"]]
    if tier == "database" and metadata["name"].startswith("valkey-"):
        return "cache"
    if tier == "service":
        component = metadata.get("labels", {}).get("app.kubernetes.io/component")
        return {"rate-limit": "limit", "migration": "migration"}.get(str(component), tier)
    return tier


def database_roles(writer: str, copies: Mapping[str, Copy | None]) -> dict[str, str]:
    """Who writes and who reads, by pod; whoever does not answer, or follows nobody, is said to."""
    reads = roles.reader(writer, copies)
    return {f"mysql-{zone}-0": _copy_role(zone, copy, writer, reads) for zone, copy in copies.items()}


def _copy_role(zone: str, copy: Copy | None, writer: str, reads: str) -> str:
    if copy is None:
        return "writer, silent" if zone == writer else "silent"
    if zone == writer:
        what = "writer, reader" if reads == writer else "writer"
        return what if copy.writable else f"{what}, read-only"
    what = "reader" if zone == reads else "copy"
    return what if copy.source and copy.receiving else f"{what}, follows nobody"


def cache_roles(answers: Mapping[str, Sequence[object] | None]) -> dict[str, str]:
    """Primary and replica, by pod, from each cache's answer to ROLE; None is one that does not answer."""
    names = {"master": "primary", "slave": "replica"}
    return {
        f"valkey-{zone}-0": "silent" if answer is None else names.get(str(answer[0]), str(answer[0]))
        for zone, answer in answers.items()
    }


def leader(lease: Object) -> dict[str, str]:
    """The pod that a Lease says leads."""
    holder = lease.get("spec", {}).get("holderIdentity")
    return {str(holder).partition("_")[0]: "leader"} if holder else {}


def moment(text: str | None) -> float | None:
    """Seconds since 1970 of a time as Kubernetes writes it."""
    return datetime.fromisoformat(text).timestamp() if text else None
