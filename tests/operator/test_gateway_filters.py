"""The filters that the operator puts into the gateway, run in the real Envoy.

The chain is as Istio builds it: our guard first, then the token check (with what RequestAuthentication
becomes), then our limit right before the router. Behind it a server tells which headers it got.
"""

import json
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from joserfc import jwt
from joserfc.jwk import RSAKey
from point_operator import api
from point_operator.resources import gateway_guard, rate_limit, request_authentication
from point_operator.resources.surroundings import Surroundings

pytestmark = pytest.mark.integration

ENVOY = "type.googleapis.com/envoy.extensions.filters"
LIMIT = 50
KEY = RSAKey.generate_key(2048, parameters={"kid": "k"})


class Echo(BaseHTTPRequestHandler):
    """Answers with the request's header lines, as pairs."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # one packet an answer: two would wait 40 ms for each other

    def do_GET(self) -> None:
        """Answer."""
        body = json.dumps([[name.lower(), value] for name, value in self.headers.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_OPTIONS = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def point_service() -> api.PointService:
    """A PointService whose issuer's key we have."""
    keys = json.dumps({"keys": [KEY.as_dict(private=False)]})
    spec = {
        "image": "i",
        "database": {"host": "h", "credentialsSecret": "a", "migrationSecret": "b"},
        "cache": {"host": "c"},
        "gateway": {
            "hosts": ["points.localhost", "also.localhost"],
            "jwt": {"issuer": "https://issuer.localhost", "audiences": ["points"], "jwks": keys},
            "rateLimit": {"requestsPerSecond": LIMIT, "perMember": {"requestsPerSecond": 5}},
        },
    }
    return api.parse({"metadata": {"name": "points", "namespace": "points", "uid": "u"}, "spec": spec})


@pytest.fixture(scope="module")
def gateway(point_service: api.PointService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of an Envoy with our filters."""
    envoy = pytest.importorskip("envoy")
    binary = Path(envoy.__file__).parent / "_bin" / "envoy"
    upstream = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    upstream.daemon_threads = True
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    port, base_id = _free_port(), _free_port()
    directory = tmp_path_factory.mktemp("envoy")
    config = directory / "envoy.yaml"
    config.write_text(yaml.safe_dump(_config(point_service, port, upstream.server_port)))
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
        upstream.shutdown()
        upstream.server_close()


SPOOFS = [
    [("X-Member-Id", "victim")],
    [("x-member-id", "victim"), ("X-MEMBER-ID", "other")],
    [("X-Member-Role", "admin")],
    [("x_member_id", "victim"), ("X_Member_Role", "admin")],
    [("x-member_id", "victim"), ("x_member-role", "admin")],
    [("X-Member-Id", ""), ("X-Member-Role", "")],
]


@pytest.mark.parametrize("headers", SPOOFS, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_without_token_no_identity_header_survives(gateway: str, method: str, headers: Any) -> None:
    preflight = [("origin", "https://shop.example.com"), ("access-control-request-method", "POST")]
    more = preflight if method == "OPTIONS" else []
    assert _identity(gateway, method, [*headers, *more]) == []


@pytest.mark.parametrize("headers", SPOOFS, ids=str)
def test_a_token_says_who_the_member_is_whatever_else_is_sent(gateway: str, headers: Any) -> None:
    token = ("authorization", f"Bearer {_token(role='member')}")
    expected = [("x-member-id", "m-1"), ("x-member-role", "member")]
    assert _identity(gateway, "GET", [*headers, token]) == expected


@pytest.mark.parametrize("headers", SPOOFS, ids=str)
def test_a_token_without_role_leaves_no_role(gateway: str, headers: Any) -> None:
    token = ("authorization", f"Bearer {_token()}")
    assert _identity(gateway, "GET", [*headers, token]) == [("x-member-id", "m-1")]


def test_a_bad_token_is_refused(gateway: str) -> None:
    answer = httpx.get(gateway, headers={"authorization": f"Bearer {_token(iss='https://evil')}"})
    assert answer.status_code == 401


@pytest.mark.parametrize("host", ["points.localhost", "POINTS.localhost:443", "also.localhost"])
def test_no_more_than_the_limit_passes(gateway: str, host: str) -> None:
    seconds = 2.0
    with httpx.Client(base_url=gateway, headers={"host": host}) as client:
        _empty_the_bucket(client)
        answers: Counter[int] = Counter()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answers[client.get("/").status_code] += 1
    assert answers[429] > 0
    assert answers[200] == pytest.approx(LIMIT * seconds, rel=0.05)


def test_all_hosts_share_one_limit(gateway: str) -> None:
    with httpx.Client(base_url=gateway) as client:
        _empty_the_bucket(client)
        answers = [client.get("/", headers={"host": "also.localhost"}).status_code for _ in range(5)]
    assert 429 in answers


def test_other_hosts_have_no_limit(gateway: str) -> None:
    with httpx.Client(base_url=gateway, headers={"host": "other.localhost"}) as client:
        assert {client.get("/").status_code for _ in range(4 * LIMIT)} == {200}


def test_one_member_takes_no_more_than_its_share_and_nothing_from_others(gateway: str) -> None:
    greedy, modest = (f"Bearer {_token(sub=sub)}" for sub in ("greedy", "modest"))
    headers = {"host": "points.localhost", "authorization": greedy}
    with httpx.Client(base_url=gateway) as client:
        answers = Counter(client.get("/", headers=headers).status_code for _ in range(4 * LIMIT))
        assert client.get("/", headers=headers | {"authorization": modest}).status_code == 200
    assert answers[200] < LIMIT / 2
    assert answers[429] > 0


def test_a_refusal_says_when_to_come_back(gateway: str) -> None:
    with httpx.Client(base_url=gateway) as client:
        answer = _empty_the_bucket(client)
    assert (answer.headers["retry-after"], answer.headers["x-local-rate-limit"]) == ("1", "true")


def _empty_the_bucket(client: httpx.Client) -> httpx.Response:
    """Ask until refused; return the refusal."""
    for _ in range(20 * LIMIT):
        answer = client.get("/", headers={"host": "points.localhost"})
        if answer.status_code == 429:
            return answer
    pytest.fail("never refused")


def _identity(gateway: str, method: str, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the server behind the gateway sees of who is calling."""
    answer = httpx.request(method, gateway, headers=[("host", "other.localhost"), *headers])
    assert answer.status_code == 200, answer.text
    seen = [(name, value) for name, value in answer.json() if "member" in name]
    return sorted(seen)


def _token(**changes: Any) -> str:
    claims = {"iss": "https://issuer.localhost", "aud": "points", "sub": "m-1", "exp": time.time() + 60}
    return jwt.encode({"alg": "RS256", "kid": "k"}, claims | changes, KEY)


def _config(point_service: api.PointService, port: int, upstream: int) -> dict[str, Any]:
    guard = gateway_guard.build([point_service])
    limit = rate_limit.build(point_service, Surroundings())
    assert guard is not None
    assert limit is not None
    idle, limits = (patch["patch"]["value"] for patch in limit["spec"]["configPatches"])
    route = {"match": {"prefix": "/"}, "route": {"cluster": "echo"}}
    manager = {
        "@type": f"{ENVOY}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "gateway",
        "http_filters": [
            guard["spec"]["configPatches"][0]["patch"]["value"],
            _token_check(point_service),
            idle,
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{ENVOY}.http.router.v3.Router"},
            },
        ],
        "route_config": {
            "name": "https",
            "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}],
        }
        | limits,
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {
        "static_resources": {
            "listeners": [{"name": "gateway", "address": _address(port), "filter_chains": [chain]}],
            "clusters": [
                {
                    "name": "echo",
                    "type": "STATIC",
                    "load_assignment": {
                        "cluster_name": "echo",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
                    },
                }
            ],
        }
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


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


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
