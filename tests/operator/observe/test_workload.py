"""What Jobs, Deployments and pods say about themselves."""

from typing import Any

import pytest
from point_operator.observe import workload

SERVES = {"app.kubernetes.io/component": "service"}


def _pod(name: str = "p", *, containers: list[str] | None = None, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": SERVES},
        "spec": {"containers": [{"name": one} for one in containers or ["app"]]},
        "status": status,
    }


def test_a_job_without_condition_runs_or_waits() -> None:
    assert workload.migration(None, []).state == "Pending"
    assert workload.migration({"metadata": {"name": "j"}, "status": {}}, []).state == "Pending"
    assert workload.migration({"metadata": {"name": "j"}, "status": {"active": 1}}, []).state == "Running"


@pytest.mark.parametrize(
    ("status", "states", "waits"),
    [
        ({}, [], True),
        ({"active": 1}, [], True),
        ({"active": 1}, [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}], True),
        ({"active": 1}, [{"state": {"running": {}}}], False),
        ({"active": 1}, [{"state": {"terminated": {}}}], False),
        ({"active": 1}, [{"state": {"waiting": {}}, "lastState": {"terminated": {}}}], False),
        ({"active": 1, "ready": 1}, [], False),
        ({"active": 1, "failed": 1}, [{"state": {"waiting": {}}}], False),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, [], False),
    ],
)
def test_a_job_waits_until_a_pod_of_it_has_started(
    status: dict[str, Any], states: list[Any], waits: bool
) -> None:
    owner = {"ownerReferences": [{"name": "j"}]}
    containers = [{"name": "migrate"} | state for state in states]
    pods = [{"metadata": {"name": "p"} | owner, "status": {"containerStatuses": [one]}} for one in containers]
    assert workload.migration({"metadata": {"name": "j"}, "status": status}, pods).waits == waits
    assert not workload.migration(None, []).waits


@pytest.mark.parametrize(
    ("status", "state", "runs"),
    [
        ({"active": 1}, {"running": {}}, True),
        ({"active": 1}, {"waiting": {"reason": "ImagePullBackOff"}}, False),
        ({"active": 1, "failed": 1}, {"waiting": {"reason": "ContainerCreating"}}, True),
        ({}, {"waiting": {}}, False),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, {"terminated": {}}, False),
    ],
)
def test_a_job_runs_from_the_first_start_of_a_pod_to_its_end(
    status: dict[str, Any], state: dict[str, Any], runs: bool
) -> None:
    pod = {
        "metadata": {"name": "p", "ownerReferences": [{"name": "j"}]},
        "status": {"containerStatuses": [{"name": "migrate", "state": state}]},
    }
    assert workload.migration({"metadata": {"name": "j"}, "status": status}, [pod]).runs == runs


def test_a_job_that_can_t_start_tells_why() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pod = {
        "metadata": {"name": "p", "ownerReferences": [{"name": "j"}]},
        "status": {"containerStatuses": [{"name": "migrate", "state": waiting}]},
    }
    job = {"metadata": {"name": "j"}, "status": {"active": 1}}
    assert workload.migration(job, [pod]).message == "migrate ImagePullBackOff no such image"


def test_a_failed_job_tells_its_pods_last_words() -> None:
    failed = {"type": "Failed", "status": "True", "message": "limit reached", "lastTransitionTime": "t"}
    job = {"metadata": {"name": "j"}, "status": {"conditions": [failed]}}
    pod = {
        "metadata": {"name": "p", "ownerReferences": [{"name": "j"}]},
        "status": {"containerStatuses": [{"state": {"terminated": {"message": "first\nno such table\n"}}}]},
    }
    migration = workload.migration(job, [pod])
    assert (migration.state, migration.message) == ("Failed", "limit reached: no such table")


def test_a_rollout_is_complete_when_every_pod_is_new_and_available() -> None:
    deployment: dict[str, Any] = {
        "metadata": {"generation": 2},
        "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "app", "image": "i"}]}}},
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    }
    assert workload.rollout(deployment).complete
    deployment["status"]["observedGeneration"] = 1
    assert not workload.rollout(deployment).complete


def test_asking_for_more_pods_takes_nothing_away_from_those_that_serve() -> None:
    deployment: dict[str, Any] = {
        "metadata": {"generation": 2},
        "spec": {"replicas": 4, "template": {"spec": {"containers": [{"name": "app", "image": "i"}]}}},
        "status": {
            "observedGeneration": 2,
            "replicas": 4,
            "updatedReplicas": 4,
            "availableReplicas": 2,
            "conditions": [{"type": "Available", "status": "False"}],
        },
    }
    assert workload.rollout(deployment, fewest=2).available
    assert not workload.rollout(deployment, fewest=3).available
    assert workload.rollout(deployment | {"spec": deployment["spec"] | {"replicas": 2}}, fewest=3).available


def test_a_proxy_counts_also_as_native_sidecar() -> None:
    native = _pod("native")
    native["spec"]["initContainers"] = [{"name": "istio-proxy", "restartPolicy": "Always"}]
    pods = [_pod("bare"), _pod("classic", containers=["app", "istio-proxy"]), native]
    assert workload.without_sidecar(pods) == ["bare"]


def test_troubles_name_pod_and_reason() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    pulling = _pod("a", containerStatuses=[{"name": "app", "state": waiting}])
    creating = _pod(
        "b", containerStatuses=[{"name": "app", "state": {"waiting": {"reason": "ContainerCreating"}}}]
    )
    homeless = _pod("c", conditions=[{"type": "PodScheduled", "status": "False", "message": "no room"}])
    assert workload.troubles([pulling, creating, homeless]) == [
        "a: app ImagePullBackOff no such image",
        "c: not scheduled: no room",
    ]


def test_a_container_that_was_started_again_says_what_ended_it() -> None:
    """Between two ends it runs for a moment and waits for nothing."""
    ended = {"terminated": {"reason": "Error", "exitCode": 1, "message": "out of order"}}
    again = {"name": "app", "restartCount": 2, "state": {"running": {}}, "lastState": ended}
    troubled = [_pod("a", containerStatuses=[again]), _pod("b", containerStatuses=[again | {"ready": True}])]
    assert workload.troubles(troubled) == [
        "a: app was started again, 2 times so far, last after Error (exit status 1) out of order"
    ]


def test_a_pod_on_its_way_out_is_nobodys_trouble() -> None:
    leaving = _pod("a")
    leaving["metadata"]["deletionTimestamp"] = "t"
    assert workload.of_component([leaving], "service") == []
    assert workload.of_component([_pod("evicted", phase="Failed")], "service") == []
