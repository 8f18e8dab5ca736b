"""What is written to a PointService's status. Pure: what was seen and what came of it in, status out."""

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec

from point_operator.control import conditions, served
from point_operator.control.conditions import Condition, Outcome
from point_operator.model import names
from point_operator.model.api import PointService
from point_operator.model.claims import recorded
from point_operator.observe.fleet import Refusal
from point_operator.observe.look import Seen
from point_operator.resources.gateway import rate_limit
from point_operator.resources.pods import migration

Status = dict[str, Any]

LONGEST_MESSAGE = 2000
"""Characters; a container may have said more in its last words."""


def compute(
    point_service: PointService, seen: Seen, outcome: Outcome, before: Mapping[str, Any], now: str
) -> tuple[Status, list[Condition]]:
    """Return the new status and the conditions whose reason or state has changed, for Events.

    `before` is the status as it was, `now` an RFC 3339 time. A status equal to `before` needs no write.
    """
    old = _by_type(before)
    newest, ready = point_service.generation, old.get("Ready", {})
    was_ready = (ready.get("status"), ready.get("observedGeneration")) == ("True", newest)
    lasted = _lasted(old.get("Degraded"), now)
    followed = conditions.follow(point_service, seen, outcome, lasted, was_ready=was_ready)
    is_newest = conditions.at_work(point_service, seen, outcome)
    generation = newest if is_newest else _served(old.get("Ready"), newest)
    written, news = _written(followed, old, newest, generation, now)
    return _describe(point_service, seen, outcome, before) | {"conditions": written}, news


def untold(
    body: Mapping[str, Any], followed: Mapping[str, Condition], now: str
) -> tuple[Status, list[Condition]]:
    """Return the status of a PointService of which nothing new is known but these conditions."""
    before: Status = body.get("status") or {}
    generation = body["metadata"].get("generation", 0)
    written, news = _written(followed, _by_type(before), generation, generation, now)
    return before | {"observedGeneration": generation, "conditions": written}, news


def failed(
    body: Mapping[str, Any], point_service: PointService, seen: Seen | None, cause: Refusal, now: str
) -> tuple[Status, list[Condition]]:
    """Return the status of one about which a look failed for an unexpected `cause`, after it was `seen` or not."""
    before: Status = body.get("status") or {}
    if seen is None:
        return untold(body, conditions.unseen(cause), now)
    outcome = Outcome(running=seen.running, routed=seen.routed, refusal=cause, claims=seen.claims)
    after, news = compute(point_service, seen, outcome, before, now)
    return (after | {"canary": before["canary"]} if "canary" in before else after), news


def _describe(point_service: PointService, seen: Seen, outcome: Outcome, before: Mapping[str, Any]) -> Status:
    spec, rollout = point_service.spec, outcome.running
    status: Status = {
        "observedGeneration": point_service.generation,
        "url": f"https://{spec.gateway.hosts[0]}",
        "replicas": rollout.replicas,
        "readyReplicas": rollout.ready,
        "selector": ",".join(f"{key}={value}" for key, value in names.pod_labels(point_service).items()),
        "migration": {
            "job": migration.name(point_service, seen.surroundings.login),
            "image": spec.image,
            "state": seen.migration.state,
        },
    }
    if seen.migration.message:
        status["migration"]["message"] = seen.migration.message
    image = rollout.image if rollout.complete else before.get("image", "")
    if image:
        status["image"] = image
    if known := served.after(point_service, seen, rollout, before):
        status["served"] = known
    if outcome.canary is not None:
        status["canary"] = msgspec.to_builtins(outcome.canary)
    if outcome.claims:
        status["claims"] = recorded(outcome.claims)
    limit = spec.gateway.rate_limit
    if limit.enabled:
        sharers = rate_limit.sharers(point_service, seen.surroundings)
        status["rateLimit"] = {
            "scope": rate_limit.scope(point_service, seen.surroundings),
            "gatewayPods": seen.gateway.ready,
            "requestsPerSecondPerPod": rate_limit.per_pod(limit.requests_per_second, sharers),
        }
    return status


def _by_type(status: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {one["type"]: one for one in status.get("conditions") or []}


def _lasted(degraded: Mapping[str, Any] | None, now: str) -> float:
    """Seconds for which it has been Degraded."""
    if degraded is None or degraded["status"] != "True":
        return 0.0
    since, until = (datetime.datetime.fromisoformat(text) for text in (degraded["lastTransitionTime"], now))
    return (until - since).total_seconds()


def _served(ready: Mapping[str, Any] | None, newest: int) -> int:
    """The generation that serves while the newest is not at work; one before it where nobody has kept it."""
    served = ready.get("observedGeneration") if ready is not None and ready["status"] == "True" else None
    return newest - 1 if served is None else served


def _written(
    followed: Mapping[str, Condition],
    old: Mapping[str, Mapping[str, Any]],
    newest: int,
    served: int,
    now: str,
) -> tuple[list[dict[str, Any]], list[Condition]]:
    """Return the conditions as status has them, and those that are news.

    Ready=True carries the generation that serves, so that `kubectl wait` waits for the newest one.
    """
    written: list[dict[str, Any]] = []
    news: list[Condition] = []
    for kind, one in followed.items():
        was = old.get(kind, {})
        written.append(
            {
                "type": kind,
                "status": one.status,
                "reason": one.reason,
                "message": one.message[:LONGEST_MESSAGE],
                "lastTransitionTime": was["lastTransitionTime"] if was.get("status") == one.status else now,
                "observedGeneration": served if (kind, one.status) == ("Ready", "True") else newest,
            }
        )
        told = kind == "Ready" or (kind in ("Progressing", "Degraded") and one.status == "True")
        if told and (was.get("status"), was.get("reason")) != (one.status, one.reason):
            news.append(one)
    return written, news
