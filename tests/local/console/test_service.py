"""The PointService as the operator tells of it."""

from typing import Any

import pytest
from point_local.console import service

RESOURCE: dict[str, Any] = {
    "metadata": {"namespace": "points", "name": "points", "generation": 6},
    "status": {
        "image": "point-service:0.1.0",
        "replicas": 2,
        "readyReplicas": 1,
        "observedGeneration": 5,
        "conditions": [
            {
                "type": "Ready",
                "status": "False",
                "reason": "PodsNotReady",
                "message": "1 of 2 pods ready",
                "lastTransitionTime": "2026-11-28T02:10:08Z",
            }
        ],
    },
}


def _event(reason: str, at: str, name: str = "points", **more: Any) -> dict[str, Any]:
    about = {"kind": "PointService", "name": name}
    told = {"type": "Normal", "message": "so it is", "lastTimestamp": at}
    return {"involvedObject": about, "reason": reason} | told | more


def test_status_and_conditions_are_told_with_what_is_not_taken_up() -> None:
    told = service.service(RESOURCE, [])
    assert (told.name, told.ready, told.replicas) == ("points/points", 1, 2)
    assert (told.generation, told.observed) == (6, 5)
    (ready,) = told.conditions
    assert (ready.type, ready.status, ready.reason, ready.since) == (
        "Ready",
        "False",
        "PodsNotReady",
        1795831808,
    )


def test_events_come_newest_first_and_are_its_own() -> None:
    events = [
        _event("Available", "2026-11-28T02:10:08Z", count=3),
        _event("RollingOut", "2026-11-28T02:20:08Z"),
        _event("Available", "2026-11-28T02:30:08Z", name="another"),
    ]
    told = service.service(RESOURCE, events).events
    assert [(e.reason, e.times) for e in told] == [("RollingOut", 1), ("Available", 3)]


def test_a_pointservice_that_nobody_has_looked_at_yet_is_shown() -> None:
    told = service.service({"metadata": RESOURCE["metadata"]}, [])
    assert (told.ready, told.observed, list(told.conditions)) == (0, 0, [])


@pytest.mark.parametrize(
    ("field", "value", "body"),
    [
        ("image", "points:2", '{"spec":{"image":"points:2"}}'),
        (
            "gateway.rateLimit.requestsPerSecond",
            5,
            '{"spec":{"gateway":{"rateLimit":{"requestsPerSecond":5}}}}',
        ),
        ("gateway.rateLimit", None, '{"spec":{"gateway":{"rateLimit":null}}}'),
    ],
)
def test_a_field_is_set_by_a_patch_of_it_alone(field: str, value: str | int | None, body: str) -> None:
    words = service.command(service.Patch(field=field, value=value))
    assert words == ["patch", "pts", "points", "-n", "points", "--type=merge", "-p", body]
