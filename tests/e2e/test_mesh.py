"""A pod that fails: reads go elsewhere, writes are never sent twice, and the pod is left out."""

import json
import secrets
from collections.abc import Iterator

import pytest
from point_local.commands.demo import Client
from point_local.drill.observe import gateway_pods, proxy_admin, service_pods
from point_local.programs.command import kubectl, wait
from point_local.stack import application
from point_local.stack.manifests import apply_text

pytestmark = pytest.mark.e2e

# The pod's own proxy answers 503 for it, as a broken application would.
BROKEN = """
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: broken-pod, namespace: points}
spec:
  workloadSelector: {labels: {test/broken: "true"}}
  configPatches:
    - applyTo: HTTP_FILTER
      match:
        context: SIDECAR_INBOUND
        listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
      patch:
        operation: INSERT_FIRST
        value:
          name: broken
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
            abort: {http_status: 503, percentage: {numerator: 100, denominator: HUNDRED}}
"""


@pytest.fixture
def broken_pod() -> Iterator[str]:
    """One of the service's pods, answering 503 to every request."""
    wait("two pods serve", lambda: len(service_pods()) >= 2, seconds=90)
    pod = str(service_pods()[0]["metadata"]["name"])
    kubectl("label", "pod", pod, "-n", application.NAMESPACE, "test/broken=true")
    apply_text(BROKEN)
    wait(
        "the pod answers 503",
        lambda: '"name": "broken"' in proxy_admin(pod, "config_dump", application.NAMESPACE),
        seconds=30,
    )
    yield pod
    kubectl("delete", "envoyfilter", "broken-pod", "-n", application.NAMESPACE)
    kubectl("label", "pod", pod, "-n", application.NAMESPACE, "test/broken-")
    wait("nobody is left out", lambda: not _ejected(pod), seconds=120)


def test_a_failing_pod_is_left_out_and_reads_succeed_elsewhere(member: Client, broken_pod: str) -> None:
    statuses: list[int] = []

    def ejected() -> bool:
        statuses.extend(member.call("GET", "/v1/points").status_code for _ in range(10))
        return _ejected(broken_pod)

    wait("the failing pod is left out", ejected, seconds=60)
    assert set(statuses) == {200}


@pytest.mark.usefixtures("broken_pod")
def test_a_write_arrives_exactly_once(member: Client) -> None:
    failures = 0
    for _ in range(40):
        mark = f"write-{secrets.token_hex(8)}"
        answer = member.call(
            "POST", "/v1/points/earn", {"amount": 1}, role="service", headers={"User-Agent": mark}
        )
        if answer.status_code == 503:
            failures += 1
            wait("the write is in a log", lambda mark=mark: _arrivals(mark), seconds=15)
            assert _arrivals(mark) == 1
            break
    assert failures, "no write met the failing pod"


def test_a_refusal_for_overload_counts_against_no_pod() -> None:
    """What the gateway makes of the patch; tests/operator/resources/gateway/test_ejection.py shows what it does."""
    cluster = f"outbound|80||points.{application.NAMESPACE}.svc.cluster.local"
    for gateway in gateway_pods():
        dump = json.loads(proxy_admin(gateway, "config_dump?resource=dynamic_active_clusters"))
        (found,) = (one["cluster"] for one in dump["configs"] if one["cluster"]["name"] == cluster)
        (options,) = found["typed_extension_protocol_options"].values()
        assert "x-envoy-overloaded" in str(options["outlier_detection"]["error_matcher"])
        assert options["common_http_protocol_options"] == {"idle_timeout": "60s"}
        assert found["outlier_detection"]["consecutive_5xx"] == 5


def _ejected(pod: str) -> bool:
    """Whether some gateway pod leaves this pod out for its failures."""
    address = kubectl("get", "pod", pod, "-n", application.NAMESPACE, "-o", "jsonpath={.status.podIP}")
    flag = f"{address}:8080::health_flags::/failed_outlier_check"
    return any(flag in proxy_admin(g, "clusters") for g in gateway_pods())


def _arrivals(mark: str) -> int:
    """How often a request with this user agent came to the proxies of the service's pods."""
    count = 0
    for pod in service_pods():
        logs = kubectl(
            "logs",
            str(pod["metadata"]["name"]),
            "-n",
            application.NAMESPACE,
            "-c",
            "istio-proxy",
            "--tail=500",
        )
        lines = [json.loads(line) for line in logs.splitlines() if line.startswith("{")]
        count += sum(line.get("user_agent") == mark for line in lines)
    return count
