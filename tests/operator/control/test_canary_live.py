"""A new image gets a share of the requests; it takes over when that goes well, and goes when it does not."""

import itertools
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

import pytest
from point_operator.model import kinds, names

pytestmark = pytest.mark.integration

NEW = "docker.io/library/point-service:0.2.0"
CANARY = "points-canary"
TERMS = {"strategy": "Canary", "canary": {"weight": 20, "bakeSeconds": 5, "maxErrorPercent": 5}}
_addresses = itertools.count(21)


class _Server(ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


class Proxy:
    """What a pod's proxy tells of its requests, at the port at which it does."""

    def __init__(self) -> None:
        self.address = f"127.0.0.{next(_addresses)}"
        self.counts: tuple[int, int] = (0, 0)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = proxy.text().encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's names
                """Say nothing."""

        # No HTTPServer: that would ask the machine's resolver for the address's name.
        self.server = _Server((self.address, 15020), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def text(self) -> str:
        """As Istio writes it."""
        requests, errors = self.counts
        prefix = 'http_conn_manager_prefix="inbound_0.0.0.0_8080"'
        return (
            f'envoy_http_downstream_rq{{response_code_class="5xx",{prefix}}} {errors}\n'
            f"envoy_http_downstream_rq_completed{{{prefix}}} {requests}\n"
        )

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """The proxy of the canary's pod."""
    made = Proxy()
    yield made
    made.close()


@pytest.fixture
def start(tenant: Any, proxy: Proxy) -> Callable[[], None]:
    """How to bring a canary to where it gets requests."""

    def start() -> None:
        tenant.ready(rollout=TERMS)
        tenant.spec(image=NEW)
        tenant.migrated()
        tenant.kube.wait("the canary's pods", lambda: tenant.get(kinds.DEPLOYMENT, CANARY))
        assert _weights(tenant) == [(tenant.namespace, "points", None)]
        _pod(tenant, proxy.address)
        tenant.rolled_out(2, name=CANARY)

    return start


def test_a_good_image_takes_over_after_its_time(tenant: Any, proxy: Proxy, start: Callable[[], None]) -> None:
    proxy.counts = (1000, 7)
    start()
    assert tenant.get(kinds.SERVICE, CANARY)["spec"]["selector"][names.COMPONENT] == "canary"
    assert tenant.get(kinds.DESTINATION_RULE, CANARY) is not None
    split = [(tenant.namespace, "points", 80), (tenant.namespace, CANARY, 20)]
    tenant.kube.wait("its share", lambda: _weights(tenant) == split)
    assert _image(tenant).endswith(":0.1.0")
    assert _image(tenant, CANARY) == NEW
    assert tenant.wait_reason("Progressing", "Canary")["status"] == "True"
    tenant.kube.wait("the promotion", lambda: _image(tenant) == NEW)
    assert _weights(tenant) == split
    tenant.rolled_out()
    tenant.kube.wait("all requests to the service", lambda: len(_weights(tenant)) == 1)
    _wait_until_gone(tenant)
    tenant.wait_reason("Progressing", "Complete")
    status = tenant.get(kinds.POINT_SERVICE)["status"]
    assert status["image"] == NEW
    record = {key: status["canary"].get(key) for key in ("image", "state", "requests", "errors")}
    assert record == {"image": NEW, "state": "Succeeded", "requests": 1000, "errors": 7}


def test_a_bad_image_goes_at_once_and_is_not_tried_again(
    tenant: Any, proxy: Proxy, start: Callable[[], None], operator: Any
) -> None:
    proxy.counts = (120, 37)
    start()
    degraded = tenant.wait_reason("Degraded", "CanaryFailed")
    assert "37 of 120 requests failed (30.8 percent, at most 5 allowed)" in degraded["message"]
    assert NEW in degraded["message"]
    assert tenant.condition("Ready")["status"] == "True"
    assert tenant.condition("Progressing")["reason"] == "CanaryFailed"
    assert _weights(tenant) == [(tenant.namespace, "points", None)]
    assert _image(tenant).endswith(":0.1.0")
    _wait_until_gone(tenant)
    _look_again(tenant, operator)
    assert tenant.get(kinds.DEPLOYMENT, CANARY) is None
    assert tenant.get(kinds.POINT_SERVICE)["status"]["image"].endswith(":0.1.0")
    tenant.spec(image="docker.io/library/point-service:0.3.0")
    tenant.migrated()
    tenant.kube.wait("another canary", lambda: _image(tenant, CANARY).endswith(":0.3.0"))


def test_a_drained_node_fails_no_canary(tenant: Any, proxy: Proxy, start: Callable[[], None]) -> None:
    proxy.counts = (10, 0)
    start()
    tenant.kube.wait("its share", lambda: len(_weights(tenant)) == 2)
    tenant.kube.wait("its requests", lambda: _record(tenant).get("requests") == 10)
    tenant.kube.client.delete(f"{kinds.POD.path(tenant.namespace, 'canary')}?gracePeriodSeconds=0")
    tenant.rolled_out(2, available=0, name=CANARY)
    tenant.kube.wait("its share to be taken back", lambda: len(_weights(tenant)) == 1)
    assert _record(tenant)["state"] == "Running"
    proxy.counts = (7, 0)
    _pod(tenant, proxy.address, name="moved")
    tenant.rolled_out(2, name=CANARY)
    tenant.kube.wait("the promotion", lambda: _record(tenant)["state"] == "Promoting")
    assert _record(tenant)["requests"] == 17


def test_pods_that_do_not_start_end_the_canary_and_name_their_trouble(tenant: Any) -> None:
    tenant.ready(rollout=TERMS)
    tenant.spec(image=NEW)
    tenant.migrated()
    tenant.kube.wait("the canary's pods", lambda: tenant.get(kinds.DEPLOYMENT, CANARY))
    waiting = {"reason": "CrashLoopBackOff", "message": "back-off"}
    _pod(tenant, "127.0.0.20", waiting=waiting)
    tenant.rolled_out(2, available=0, stuck=True, name=CANARY)
    degraded = tenant.wait_reason("Degraded", "CanaryFailed")
    assert "no pod became ready in time. canary: app CrashLoopBackOff back-off" in degraded["message"]
    assert tenant.condition("Ready")["status"] == "True"


def test_what_runs_is_repaired_and_changed_during_a_canary(
    tenant: Any, proxy: Proxy, start: Callable[[], None]
) -> None:
    proxy.counts = (10, 0)
    start()
    tenant.wait_reason("Progressing", "Canary")
    tenant.spec(logLevel="DEBUG")
    for name in ("points", CANARY):
        tenant.kube.wait("the log level", lambda n=name: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT, n)))
    assert _image(tenant).endswith(":0.1.0")
    tenant.kube.delete(kinds.DEPLOYMENT, tenant.namespace, "points")
    tenant.kube.wait("the old image back", lambda: _image(tenant).endswith(":0.1.0"))


def test_a_restarted_operator_goes_on_with_a_canary(
    tenant: Any, proxy: Proxy, start: Callable[[], None], operator: Any
) -> None:
    start()
    tenant.kube.wait("its share", lambda: len(_weights(tenant)) == 2)
    since = tenant.get(kinds.POINT_SERVICE)["status"]["canary"]["since"]
    operator.stop()
    proxy.counts = (50, 50)
    operator.start()
    tenant.wait_reason("Degraded", "CanaryFailed")
    assert tenant.get(kinds.POINT_SERVICE)["status"]["canary"]["since"] >= since
    assert len(_weights(tenant)) == 1


def _record(tenant: Any) -> dict[str, Any]:
    return tenant.get(kinds.POINT_SERVICE)["status"]["canary"]


def _pod(tenant: Any, address: str, waiting: dict[str, str] | None = None, name: str = "canary") -> None:
    """Make the canary's pod, as a kubelet would tell of it."""
    template = tenant.get(kinds.DEPLOYMENT, CANARY)["spec"]["template"]
    labels = template["metadata"]["labels"]
    sidecar = {"name": "istio-proxy", "image": "proxy"}
    spec = template["spec"] | {"containers": [*template["spec"]["containers"], sidecar]}
    metadata = {"name": name, "namespace": tenant.namespace, "labels": labels}
    tenant.kube.create(kinds.POD, {"metadata": metadata, "spec": spec})
    state = {"waiting": waiting} if waiting else {"running": {}}
    container = {
        "name": "app", "image": NEW, "imageID": "", "ready": not waiting, "restartCount": 0, "state": state
    }  # fmt: skip
    status = {"podIP": address, "podIPs": [{"ip": address}], "containerStatuses": [container]}
    tenant.kube.patch(kinds.POD, tenant.namespace, name, {"status": status}, "status")


def _weights(tenant: Any) -> list[tuple[str, str, int | None]]:
    """Where the API's requests go: namespace, Service and weight. The health check stays where it is."""
    routes = {one["name"]: one["route"] for one in tenant.get(kinds.VIRTUAL_SERVICE)["spec"]["http"]}
    assert routes["read"] == routes["write"]
    assert len(routes["health"]) == 1
    hosts = [one["destination"]["host"].split(".") for one in routes["read"]]
    weights = [one.get("weight") for one in routes["read"]]
    return [(host[1], host[0], weight) for host, weight in zip(hosts, weights, strict=True)]


def _image(tenant: Any, name: str = "points") -> str:
    found = tenant.get(kinds.DEPLOYMENT, name)
    return found["spec"]["template"]["spec"]["containers"][0]["image"] if found else ""


def _wait_until_gone(tenant: Any) -> None:
    for kind in (kinds.DEPLOYMENT, kinds.SERVICE, kinds.DESTINATION_RULE):
        tenant.kube.wait(f"no {kind.kind} of the canary", lambda k=kind: tenant.get(k, CANARY) is None)


def _look_again(tenant: Any, operator: Any) -> None:
    looks = operator.metric("point_operator_reconciles_total")
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"annotations": {"note": "look again"}}})
    tenant.kube.wait("another look", lambda: operator.metric("point_operator_reconciles_total") > looks)
