"""The filters that the operator puts into the gateway, run in the real Envoy.

The chain is as Istio builds it: our guard first, then the token check (with what RequestAuthentication
becomes), then our limit right before the router. Behind it a server tells which headers it got.
"""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from joserfc.jwk import RSAKey
from point_local.alone.ports import free_port
from point_local.drill import attacks
from point_operator.model import api, gateways
from point_operator.resources.gateway import gateway_guard, rate_limit, request_authentication
from point_operator.resources.surroundings import Surroundings

ENVOY = "type.googleapis.com/envoy.extensions.filters"
LIMIT = 50
EJECTING = {
    "outlier_detection": {
        "consecutive_5xx": 5,
        "enforcing_consecutive_5xx": 100,
        "max_ejection_percent": 100,
        "base_ejection_time": "600s",
    },
    "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
}
"""What Istio makes of the DestinationRule, but for the only pod and for good."""


class Issuer:
    """Who gives out tokens. `key` is secret; the gateway knows its public half."""

    def __init__(self, name: str = "https://issuer.localhost") -> None:
        self.name = name
        self.key = RSAKey.generate_key(2048, parameters={"kid": "k"})

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a good token, with changes; None leaves one out."""
        expires = int(time.time()) + 60
        claims = {"iss": self.name, "aud": "points", "sub": "m-1", "exp": expires}
        return {name: value for name, value in (claims | changes).items() if value is not None}

    def token(self, **changes: Any) -> str:
        """A well signed token."""
        return attacks.good(self, **changes)


class Echo(BaseHTTPRequestHandler):
    """Answers with the request's header lines, as pairs."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet an answer: two would wait 40 ms for each other
    seen: ClassVar[list[str]] = []
    """What all requests that came in call themselves."""

    def do_GET(self) -> None:
        """Answer, or hang up if that is asked for."""
        self.seen.append(self.headers.get("x-name", ""))
        if "x-hang-up" in self.headers:
            self.close_connection = True
            return
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(int(self.headers.get("x-answer", 200)))
        if "x-refuse" in self.headers:
            self.send_header("x-envoy-overloaded", "true")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_OPTIONS = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="package")
def issuer() -> Issuer:
    """The issuer that the gateway believes."""
    return Issuer()


@pytest.fixture(scope="package")
def limit() -> int:
    """Requests per second that the gateway lets through."""
    return LIMIT


@pytest.fixture(scope="package")
def point_service(issuer: Issuer) -> api.PointService:
    """A PointService whose issuer's key we have."""
    keys = json.dumps({"keys": [issuer.key.as_dict(private=False)]})
    spec = {
        "image": "i",
        "database": {"host": "h", "credentialsSecret": "a", "migrationSecret": "b"},
        "cache": {"host": "c"},
        "gateway": {
            "hosts": ["points.localhost", "also.localhost"],
            "jwt": {
                "issuer": "https://issuer.localhost",
                "audiences": ["points"],
                "jwks": keys,
                "clientClaim": "azp",
            },
            "rateLimit": {"requestsPerSecond": LIMIT, "perMember": {"requestsPerSecond": 5}},
        },
    }
    return api.parse({"metadata": {"name": "points", "namespace": "points", "uid": "u"}, "spec": spec})


@pytest.fixture(scope="package")
def upstream() -> Iterator[int]:
    """The port of a server behind the gateway."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def seen() -> list[str]:
    """What the requests call themselves that the server behind the gateway had, in the order in which they came."""
    Echo.seen.clear()
    return Echo.seen


Run = Callable[..., AbstractContextManager[str]]


@pytest.fixture(scope="package")
def run_gateway(upstream: int, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """How to run one gateway pod: an Envoy with our filters; the block gets its base URL.

    `limits` is the EnvoyFilter of the rate limit, `others` the ports of gRPC clusters by their names, `retries` Envoy's
    retry policy of the only route; `dead` adds a pod at whose port nobody listens.
    """

    @contextmanager
    def run(
        point_service: api.PointService,
        limits: dict[str, Any],
        others: dict[str, int] | None = None,
        *,
        retries: dict[str, Any] | None = None,
        dead: bool = False,
    ) -> Generator[str]:
        envoy = pytest.importorskip("envoy")
        binary = Path(envoy.__file__).parent / "_bin" / "envoy"
        port, base_id = free_port(), free_port()
        directory = tmp_path_factory.mktemp("envoy")
        config = directory / "envoy.yaml"
        pods = [upstream, free_port()] if dead else [upstream]
        parts = _config(point_service, limits, port, pods, others or {}, retries or {})
        config.write_text(yaml.safe_dump(parts))
        with (directory / "envoy.log").open("wb") as log:
            process = subprocess.Popen(
                [str(binary), "-c", str(config), "--base-id", str(base_id), "--concurrency", "1"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            _wait_for(port, process, directory / "envoy.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)

    return run


@pytest.fixture(scope="package")
def gateway(point_service: api.PointService, run_gateway: Run) -> Iterator[str]:
    """The base URL of the only gateway pod."""
    limits = rate_limit.build(point_service, Surroundings())
    assert limits is not None
    with run_gateway(point_service, limits) as url:
        yield url


def _config(
    point_service: api.PointService,
    limits: dict[str, Any],
    port: int,
    pods: list[int],
    others: dict[str, int],
    retries: dict[str, Any],
) -> dict[str, Any]:
    guard = gateway_guard.build(gateways.DEFAULT)
    replies, *first = (patch["patch"]["value"] for patch in guard["spec"]["configPatches"])
    clustered = [one for one in limits["spec"]["configPatches"] if one["applyTo"] == "CLUSTER"]
    *limiters, in_routes = (
        one["patch"]["value"] for one in limits["spec"]["configPatches"] if one not in clustered
    )
    route = {"match": {"prefix": "/"}, "route": {"cluster": "echo", "retry_policy": retries}}
    manager = {
        "@type": f"{ENVOY}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "local_reply_config": replies["typed_config"]["local_reply_config"],
        "http_filters": [
            *reversed(first),
            _token_check(point_service),
            *limiters,
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{ENVOY}.http.router.v3.Router"},
            },
        ],
        "route_config": {
            "name": "https",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        }
        | in_routes,
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    clusters = [_cluster("echo", *pods)]
    if clustered:
        clusters[0] |= EJECTING | clustered[0]["patch"]["value"]
    clusters += [_cluster(name, to) | {"http2_protocol_options": {}} for name, to in others.items()]
    return {
        "static_resources": {
            "listeners": [{"name": "gateway", "address": _address(port), "filter_chains": [chain]}],
            "clusters": clusters,
        }
    }


def _cluster(name: str, *ports: int) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(port)}} for port in ports]}],
        },
    }


def _token_check(point_service: api.PointService) -> dict[str, Any]:
    """What Istio makes of the RequestAuthentication."""
    rule = request_authentication.build(point_service)["spec"]["jwtRules"][0]
    provider = {
        "issuer": rule["issuer"],
        "audiences": rule["audiences"],
        "local_jwks": {"inline_string": rule["jwks"]},
        "from_headers": [{"name": "Authorization", "value_prefix": "Bearer "}],
        "forward": rule["forwardOriginalToken"],
        "claim_to_headers": [
            {"header_name": one["header"], "claim_name": one["claim"]} for one in rule["outputClaimToHeaders"]
        ],
    }
    either = {"requires_any": {"requirements": [{"provider_name": "one"}, {"allow_missing": {}}]}}
    return {
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": f"{ENVOY}.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"one": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": either}],
            "bypass_cors_preflight": True,
        },
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _wait_for(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.05)
