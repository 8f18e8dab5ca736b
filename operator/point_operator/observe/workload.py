"""How the migration, the rollout and the pods are doing, read from their objects."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from point_operator.model import names

Object = Mapping[str, Any]

PROXY = "istio-proxy"
SHOWN = 3
"""How many pods' troubles a message tells at most."""


class Migration(msgspec.Struct, frozen=True):
    """The migration of the wanted image: Pending, Running, Succeeded or Failed, and why it failed or can't start."""

    state: str
    message: str = ""
    failed_at: str = ""
    """RFC 3339 time of the failure."""
    waits: bool = False
    """Whether there is a Job and none of its pods has started."""

    @property
    def runs(self) -> bool:
        """Whether a pod has started and the Job has not ended. One whose image can't be had is active for ever."""
        return self.state == "Running" and not self.waits


class Counts(msgspec.Struct, frozen=True):
    """Requests that the pods of a canary have answered or given up, and how many of them failed (5xx, or none)."""

    requests: int = 0
    errors: int = 0

    @property
    def percent(self) -> float:
        """Failed ones in a hundred."""
        return 100 * self.errors / self.requests if self.requests else 0.0


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """The Deployment's state in the words that matter here."""

    exists: bool = False
    available: bool = False
    complete: bool = False
    renewed: bool = False
    """No pod is left of an older template; fewer than wanted may serve."""
    stuck: bool = False
    wanted: int = 0
    replicas: int = 0
    ready: int = 0
    serving: int = 0
    """Pods that have been ready for long enough to count."""
    updated: int = 0
    image: str = ""


def migration(job: Object | None, pods: Iterable[Object]) -> Migration:
    """Read a migration Job; `pods` are those of the PointService's namespace that belong to it."""
    if job is None:
        return Migration("Pending")
    status = job.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    if _is_true(conditions.get("Complete")):
        return Migration("Succeeded")
    failed = conditions.get("Failed")
    ours = [pod for pod in pods if job["metadata"]["name"] in _owners(pod)]
    if failed is not None and _is_true(failed):
        words = [failed.get("message", ""), *_last_words(ours)]
        return Migration("Failed", ": ".join(word for word in words if word), failed["lastTransitionTime"])
    started = any(status.get(count) for count in ("ready", "failed", "succeeded")) or any(map(_started, ours))
    waits_for = "" if started else "; ".join(filter(None, map(_trouble, ours)))
    return Migration("Running" if status.get("active") else "Pending", waits_for, waits=not started)


def rollout(deployment: Object | None, fewest: int = 1) -> Rollout:
    """Read a Deployment. It is available while `fewest` pods serve, or all when fewer are wanted.

    Its own condition Available is not asked: it turns false whenever the autoscaler asks for more pods.
    """
    if deployment is None:
        return Rollout()
    status = deployment.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    wanted = deployment["spec"].get("replicas", 1)
    replicas, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    serving = status.get("availableReplicas", 0)
    progressing = conditions.get("Progressing") or {}
    return Rollout(
        exists=True,
        available=serving >= max(1, min(fewest, wanted)),
        complete=current and wanted == replicas == updated == serving,
        renewed=current and replicas == updated,
        stuck=current and progressing.get("reason") == "ProgressDeadlineExceeded",
        wanted=wanted,
        replicas=replicas,
        ready=status.get("readyReplicas", 0),
        serving=serving,
        updated=updated,
        image=next(
            (
                one["image"]
                for one in deployment["spec"]["template"]["spec"]["containers"]
                if one["name"] == names.APPLICATION
            ),
            "",
        ),
    )


def is_down(deployment: Object | None) -> bool:
    """Whether a Deployment has no pod that can be used, and is not just about to have its first."""
    if deployment is None or deployment.get("status", {}).get("availableReplicas", 0):
        return False
    conditions = deployment.get("status", {}).get("conditions") or []
    reason = next((one.get("reason") for one in conditions if one["type"] == "Progressing"), None)
    return reason in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")


def of_component(pods: Iterable[Object], *components: str) -> list[Object]:
    """Return the pods of some components: not those on their way out, nor what an eviction has left of one."""
    return [
        pod
        for pod in pods
        if pod["metadata"].get("labels", {}).get(names.COMPONENT) in components
        and not pod["metadata"].get("deletionTimestamp")
        and pod.get("status", {}).get("phase") != "Failed"
    ]


def without_sidecar(pods: Iterable[Object]) -> list[str]:
    """Return the names of serving pods that have no proxy: they would believe any X-Member-Id."""
    return [
        pod["metadata"]["name"]
        for pod in of_component(pods, names.SERVICE, names.CANARY)
        if not any(
            one["name"] == PROXY
            for one in (*pod["spec"].get("initContainers", ()), *pod["spec"].get("containers", ()))
        )
    ]


def restarts(pods: Iterable[Object], component: str) -> int:
    """Return how often the application containers of a component have ended and were started again."""
    return sum(
        one.get("restartCount", 0)
        for pod in of_component(pods, component)
        for one in pod.get("status", {}).get("containerStatuses") or ()
        if one["name"] == names.APPLICATION
    )


def troubles(pods: Iterable[Object], component: str = names.SERVICE) -> list[str]:
    """Return why pods of a component are not ready, one sentence a pod, at most `SHOWN`."""
    found: list[str] = []
    for pod in of_component(pods, component):
        reason = _trouble(pod)
        if reason:
            found.append(f"{pod['metadata']['name']}: {reason}")
    return found[:SHOWN]


def _trouble(pod: Object) -> str:
    status = pod.get("status", {})
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = one.get("state", {}).get("waiting")
        if waiting and waiting.get("reason") not in ("PodInitializing", "ContainerCreating"):
            return f"{one['name']} {waiting['reason']} {waiting.get('message', '')}".strip()
        ended = one.get("lastState", {}).get("terminated")
        if ended and not one.get("ready"):  # between two ends it runs for a moment, and waits for nothing
            return (
                f"{one['name']} was started again, {one['restartCount']} times so far, last after "
                f"{ended.get('reason', 'Error')} (exit status {ended.get('exitCode')}) {ended.get('message', '')}"
            ).strip()
    for one in status.get("conditions") or []:
        if one["type"] == "PodScheduled" and one["status"] == "False":
            return f"not scheduled: {one.get('message', '')}".strip()
    return ""


def _last_words(pods: Sequence[Object]) -> list[str]:
    newest = sorted(pods, key=lambda pod: pod["metadata"].get("creationTimestamp") or "")[-1:]
    return [
        ended["message"].strip().splitlines()[-1]
        for pod in newest
        for one in pod.get("status", {}).get("containerStatuses") or ()
        if (ended := one.get("state", {}).get("terminated")) and (ended.get("message") or "").strip()
    ]


def _started(pod: Object) -> bool:
    """Whether a container of a pod runs or has run."""
    states = [
        set(one.get("state", {})) | set(one.get("lastState", {}))
        for one in pod.get("status", {}).get("containerStatuses") or ()
    ]
    return any(state - {"waiting"} for state in states)


def _owners(pod: Object) -> list[str]:
    return [owner["name"] for owner in pod["metadata"].get("ownerReferences") or []]


def _is_true(condition: Object | None) -> bool:
    return condition is not None and condition["status"] == "True"
