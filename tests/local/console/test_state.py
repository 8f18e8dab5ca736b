"""What the page is told of pods, zones and roles, from what the cluster says."""

from typing import Any

import pytest
from point_local.console import state
from point_local.failover.roles import Copy


def _pod(namespace: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name, **more.get("metadata", {})},
        "spec": {"nodeName": "az-a"} | more.get("spec", {}),
        "status": {
            "phase": "Running",
            "startTime": "2026-11-28T02:10:08Z",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"restartCount": 1}, {"restartCount": 2}],
        }
        | more.get("status", {}),
    }


COMPONENT = "app.kubernetes.io/component"
SERVICE = {"labels": {COMPONENT: "service"}}


def test_pods_come_by_tier_with_zone_age_and_role() -> None:
    found = [
        _pod("data", "mysql-a-0"),
        _pod("data", "valkey-a-0"),
        _pod("points", "points-5f-x", metadata=SERVICE),
        _pod("points", "points-rate-limit-x", metadata={"labels": {COMPONENT: "rate-limit"}}),
        _pod("points", "points-migrate-2", metadata={"labels": {COMPONENT: "migration"}}),
        _pod("points", "points-canary-x", metadata={"labels": {COMPONENT: "canary"}}),
        _pod("istio-ingress", "istio-ingressgateway-1-a"),
        _pod("kube-system", "etcd-cp"),
        _pod("points", "points-migrate-1", status={"phase": "Succeeded"}),
    ]
    made = state.pods(found, {"mysql-a-0": "writer"})
    assert [p.tier for p in made] == [
        *("gateway", "service", "service", "migration", "limit", "cache", "database")
    ]
    last = made[-1]
    assert (last.node, last.ready, last.restarts, last.role) == ("az-a", True, 3, "writer")
    assert last.since == 1795831808


def test_a_pod_that_leaves_or_has_no_place_is_said_so() -> None:
    leaving = _pod("points", "b", metadata={**SERVICE, "deletionTimestamp": "2026-11-28T02:10:08Z"})
    waiting = _pod("points", "c", metadata=SERVICE, status={"phase": "Pending", "conditions": []})
    waiting["spec"] = {}
    one, other = state.pods([leaving, waiting], {})
    assert (one.ready, one.phase) == (False, "Terminating")
    assert (other.ready, other.phase, other.node) == (False, "Pending", None)


def test_a_pod_in_a_dark_zone_is_dark_whatever_kubernetes_says() -> None:
    dark, lit = state.pods(
        [
            _pod("points", "b", metadata=SERVICE),
            _pod("points", "c", metadata=SERVICE, spec={"nodeName": "az-b"}),
        ],
        {},
        ["az-a"],
    )
    assert (dark.ready, dark.phase) == (False, "Dark")
    assert (lit.ready, lit.phase) == (True, "Running")


def test_a_zone_is_dark_before_kubernetes_notices() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    nodes = [{"metadata": {"name": f"az-{z}"}, "status": ready} for z in "abc"]
    zones = state.zones(nodes, {"az-a": False, "az-b": True, "az-c": True})
    assert [(z.node, z.name, z.runs, z.ready) for z in zones] == [
        ("az-a", "ap-northeast-2a", False, True),
        ("az-b", "ap-northeast-2b", True, True),
        ("az-c", "ap-northeast-2c", True, True),
    ]


def _copy(source: str | None, *, writable: bool = False) -> Copy:
    return Copy(executed={}, received={}, writable=writable, source=source, receiving=source is not None)


@pytest.mark.parametrize(
    ("copies", "said"),
    [
        ((_copy(None, writable=True), _copy("a"), _copy("a")), ("writer", "copy", "reader")),
        ((_copy(None, writable=True), _copy("a"), None), ("writer, reader", "copy", "silent")),
        ((None, _copy("a"), _copy("a")), ("writer, silent", "copy", "reader")),
        ((_copy(None), _copy(None), _copy("a")), ("writer, read-only", "copy, follows nobody", "reader")),
    ],
)
def test_who_writes_and_who_reads(copies: tuple[Copy | None, ...], said: tuple[str, ...]) -> None:
    found = state.database_roles("a", dict(zip("abc", copies, strict=True)))
    assert found == {f"mysql-{z}-0": what for z, what in zip("abc", said, strict=True)}


def test_primary_and_replica() -> None:
    answers = {"a": ["master", 5, []], "c": ["slave", "10.244.2.3", 6379, "connected", 5]}
    assert state.cache_roles(answers) == {"valkey-a-0": "primary", "valkey-c-0": "replica"}
    assert state.cache_roles({"a": None}) == {"valkey-a-0": "silent"}


def test_the_lease_says_who_leads() -> None:
    assert state.leader({"spec": {"holderIdentity": "point-operator-1-x"}}) == {
        "point-operator-1-x": "leader"
    }
    assert state.leader({}) == {}
