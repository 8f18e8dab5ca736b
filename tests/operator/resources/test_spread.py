"""Where the scheduler puts the service's pods: a real one, on nodes that are only said to be there."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from point_local.programs import paths
from point_operator.model import api, kinds
from point_operator.model.kinds import NAMESPACE, Kind
from point_operator.resources.pods import deployment

pytestmark = pytest.mark.integration

NODE = Kind("", "v1", "nodes", "Node")
ZONES = ("a", "b", "c")
WHERE = "topology.kubernetes.io/zone"


@pytest.fixture
def nodes(kube: Any, server: Any) -> Iterator[Any]:
    """How to make a node in each zone with so many cores; a scheduler runs."""
    program = paths.BIN / "kube-scheduler"
    if not program.exists():
        pytest.skip("not built: kube-scheduler (point-local tools)")
    log = (server.directory / "scheduler.log").open("wb")
    command = [str(program), f"--kubeconfig={server.kubeconfig}", "--leader-elect=false", "--secure-port=0"]
    scheduler = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def make(**cores: int) -> None:
        for zone, number in cores.items():
            name = f"node-{zone}"
            kube.create(
                NODE, {"metadata": {"name": name, "labels": {WHERE: zone, "kubernetes.io/hostname": name}}}
            )
            kube.patch(NODE, "", name, {"spec": {"taints": None}})  # no controller sees that it is ready
            room = {"cpu": str(number), "memory": "64Gi", "pods": "110"}
            ready = {"type": "Ready", "status": "True", "reason": "Test", "message": ""}
            kube.patch(
                NODE,
                "",
                name,
                {"status": {"allocatable": room, "capacity": room, "conditions": [ready]}},
                "status",
            )

    yield make
    scheduler.terminate()
    scheduler.wait(10)
    log.close()
    for zone in ZONES:
        kube.client.delete(NODE.path("", f"node-{zone}"))


def _zones(kube: Any, spec: dict[str, Any], namespace: str, number: int) -> list[str]:
    """Start pods of the service one after the other; return the zones that they are put into, "" for none."""
    kube.create(NAMESPACE, {"metadata": {"name": namespace}})
    point_service = api.parse(
        {"metadata": {"name": "points", "namespace": namespace, "uid": "u"}, "spec": spec}
    )
    template = deployment.build(point_service, spec["image"], "")["spec"]["template"]
    labels = template["metadata"]["labels"] | {"pod-template-hash": "one"}
    found: list[str] = []
    for place in range(number):
        metadata = {"name": f"pod-{place}", "namespace": namespace, "labels": labels}
        kube.create(kinds.POD, {"metadata": metadata, "spec": template["spec"]})

        def settled(name: str = f"pod-{place}") -> dict[str, Any] | None:
            pod = kube.get(kinds.POD, namespace, name)
            return pod if pod["spec"].get("nodeName") or pod["status"].get("conditions") else None

        pod = kube.wait("a decision", settled, 30)
        found.append(pod["spec"].get("nodeName", "").removeprefix("node-"))
    return found


def test_the_first_pods_are_in_zones_of_their_own(kube: Any, nodes: Any, spec: dict[str, Any]) -> None:
    nodes(a=64, b=2, c=1)  # however much more room one of them has
    assert len(set(_zones(kube, spec, "spread-evenly", 3))) == 3


def test_a_zone_that_is_full_stops_nothing(kube: Any, nodes: Any, spec: dict[str, Any]) -> None:
    nodes(a=8, b=8, c=0)
    zones = _zones(kube, spec, "spread-full", 10)
    assert (zones.count("a"), zones.count("b")) == (5, 5)
    assert set(zones[:2]) == {"a", "b"}


def test_the_second_of_two_pods_waits_for_a_zone_of_its_own(
    kube: Any, nodes: Any, spec: dict[str, Any]
) -> None:
    nodes(a=8, b=0, c=0)
    two = spec | {"autoscaling": {"minReplicas": 2, "maxReplicas": 2}}
    assert _zones(kube, two, "spread-two", 2) == ["a", ""]


def test_of_more_than_two_pods_none_waits_for_a_zone(kube: Any, nodes: Any, spec: dict[str, Any]) -> None:
    nodes(a=8, b=0, c=0)
    assert _zones(kube, spec, "spread-one-zone", 3) == ["a", "a", "a"]
