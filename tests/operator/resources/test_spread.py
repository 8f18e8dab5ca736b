"""Where the scheduler puts the service's pods: a real one, on nodes that are only said to be there."""

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from point_local.programs import paths
from point_operator.model import api, kinds
from point_operator.model.kinds import NAMESPACE, Kind
from point_operator.resources.gateway import rate_limit_service
from point_operator.resources.pods import deployment
from point_operator.resources.surroundings import Surroundings

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

    def make(*, zoned: bool = True, **cores: int) -> None:
        for zone, number in cores.items():
            name = f"node-{zone}"
            labels = {"kubernetes.io/hostname": name} | ({WHERE: zone} if zoned else {})
            kube.create(NODE, {"metadata": {"name": name, "labels": labels}})
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


Build = Callable[[api.PointService], dict[str, Any]]


def _service(point_service: api.PointService) -> dict[str, Any]:
    return deployment.build(point_service, point_service.spec.image, "")


def _rate_limit_service(point_service: api.PointService) -> dict[str, Any]:
    made = rate_limit_service.build(point_service, Surroundings(rate_limit_image="i"))
    return next(one for one in made if one["kind"] == kinds.DEPLOYMENT.kind)


def _zones(
    kube: Any, spec: dict[str, Any], namespace: str, number: int, build: Build = _service
) -> list[str]:
    """Start pods one after the other; return the zones of the nodes that they are put on, "" for none."""
    kube.create(NAMESPACE, {"metadata": {"name": namespace}})
    body = {"metadata": {"name": "points", "namespace": namespace, "uid": "u"}, "spec": spec}
    template = build(api.parse(body))["spec"]["template"]
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


def test_the_second_of_two_pods_waits_for_a_node_of_its_own(
    kube: Any, nodes: Any, spec: dict[str, Any]
) -> None:
    nodes(a=8, b=0, c=0)
    two = spec | {"autoscaling": {"minReplicas": 2, "maxReplicas": 2}}
    assert _zones(kube, two, "spread-two", 2) == ["a", ""]


def test_two_pods_start_where_nodes_are_in_no_zone(kube: Any, nodes: Any, spec: dict[str, Any]) -> None:
    nodes(zoned=False, a=8, b=8)
    two = spec | {"autoscaling": {"minReplicas": 2, "maxReplicas": 2}}
    assert sorted(_zones(kube, two, "spread-unzoned", 2)) == ["a", "b"]


def test_of_more_than_two_pods_none_waits_for_a_zone(kube: Any, nodes: Any, spec: dict[str, Any]) -> None:
    nodes(a=8, b=0, c=0)
    assert _zones(kube, spec, "spread-one-zone", 3) == ["a", "a", "a"]


@pytest.mark.parametrize(
    ("zoned", "cores", "apart"),
    [(True, {"a": 64, "b": 2, "c": 1}, 2), (False, {"a": 8, "b": 8}, 2), (False, {"a": 8}, 1)],
    ids=["zones", "nodes", "node"],
)
def test_the_rate_limit_service_starts_where_nodes_are_in_no_zone(
    kube: Any, nodes: Any, spec: dict[str, Any], cores: dict[str, int], apart: int, *, zoned: bool
) -> None:
    nodes(zoned=zoned, **cores)
    limited = spec | {"gateway": spec["gateway"] | {"rateLimit": {"scope": "Global"}}}
    namespace = f"spread-limit-{apart}-{str(zoned).lower()}"
    found = _zones(kube, limited, namespace, rate_limit_service.REPLICAS, _rate_limit_service)
    assert "" not in found
    assert len(set(found)) == apart
