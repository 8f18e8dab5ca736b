"""Every refusal of the gateway can be read: what istiod makes of our manifests, run in the real Envoy.

Four PointServices share the gateway: one as usual, one that lets a member through once a second, one with nobody
behind it, and a neighbour of another issuer, without CORS.
"""

import json
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from harness import browser, gateway, gateway_api, mesh
from harness.gateway import Answer, Client, bearer, tenant
from point_local.alone.ports import free_port
from point_local.drill import attacks
from point_operator.model import gateways, names
from point_service.contract import errors

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

HOST, STRICT, NEIGHBOUR = "points.localhost", "strict.localhost", "neighbour.localhost"
DOWN, NOBODYS = "down.localhost", "nobody.localhost"
ORIGIN = "https://shop.example.com"
TIMEOUT = 1
EXPOSED = "idempotency-replayed,ratelimit,ratelimit-policy,retry-after,www-authenticate,x-request-id"
"""What a page may read besides status and body."""


class Service(BaseHTTPRequestHandler):
    """Behind the gateway: answers with what it got; when the address says so never, or not the first time."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "flaky" in self.path and self.path not in self.server.failed:  # type: ignore[attr-defined]
            self.server.failed.add(self.path)  # type: ignore[attr-defined]
            self.close_connection = True
            return
        if "slow" in self.path:
            self.close_connection = True
            self.server.stopping.wait(2 * TIMEOUT)  # type: ignore[attr-defined]
            return
        missing = "missing" in self.path
        body = json.dumps({"seen": [[name.lower(), value] for name, value in self.headers.items()]}).encode()
        self.send_response(404 if missing else 200)
        self.send_header("Content-Type", "text/plain" if missing else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Say nothing."""


@pytest.fixture(scope="module")
def backend() -> Iterator[int]:
    """The port of a service behind the gateway."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.stopping, server.failed = Event(), set()  # type: ignore[attr-defined]
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.stopping.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def other_issuer(issuer: Any) -> Any:
    """The neighbour's issuer."""
    return type(issuer)("https://neighbour-issuer.localhost")


PLACES = {"istio": gateways.DEFAULT, "gateway-api": gateway_api.PLACE}
"""A gateway of Istio's own kinds and one of Gateway API: the same requests, the same answers."""


@pytest.fixture(scope="module", params=PLACES)
def door(backend: int, issuer: Any, other_issuer: Any, request: pytest.FixtureRequest) -> Iterator[mesh.Door]:
    """The gateway."""
    if reason := gateway.missing():
        pytest.skip(reason)
    place = PLACES[request.param]
    cors = {"allowOrigins": [ORIGIN]}
    once = {"perMember": {"requestsPerSecond": 1, "burst": 1}}
    tenants = [
        tenant("points", HOST, issuer, place=place, timeout=TIMEOUT, cors=cors),
        tenant("strict", STRICT, issuer, place=place, timeout=TIMEOUT, cors=cors, rateLimit=once),
        tenant("down", DOWN, issuer, place=place, timeout=TIMEOUT, cors=cors),
        tenant("neighbour", NEIGHBOUR, other_issuer, place=place, timeout=TIMEOUT, attempts=1),
    ]
    hosts = [names.service_host(one) for one in tenants]
    backends = dict(zip(hosts, (backend, backend, free_port(), backend), strict=True))
    with gateway.opened(tenants, backends, place=place) as running:
        yield running


@pytest.fixture
def client(door: mesh.Door) -> Client:
    """A client of the gateway."""
    return Client(door, HOST)


PAGE = ("Origin", ORIGIN)
REFUSED: Mapping[str, tuple[int, str]] = {
    "a bad token": (401, "invalid-token"),
    "an expired token": (401, "invalid-token"),
    "no token": (403, "no-token"),
    "a token for somebody else": (403, "no-token"),
    "an address that is not there": (403, "forbidden"),
    "a service that is not there": (503, "unavailable"),
    "a service that takes too long": (504, "unavailable"),
}


@pytest.fixture
def refused(client: Client, issuer: Any, request: pytest.FixtureRequest) -> Answer:
    """The answer to a request of a page of the shop that the gateway refuses."""
    good = bearer(issuer.token())
    target, headers, host = {
        "a bad token": ("/v1/points", [bearer("garbage")], HOST),
        "an expired token": ("/v1/points", [bearer(issuer.token(exp=1))], HOST),
        "no token": ("/v1/points", [], HOST),
        "a token for somebody else": ("/v1/points", [bearer(issuer.token(aud="other"))], HOST),
        "an address that is not there": ("/metrics", [good], HOST),
        "a service that is not there": ("/v1/points", [good], DOWN),
        "a service that takes too long": ("/v1/slow", [good], HOST),
    }[request.param]
    return client.call(target, PAGE, *headers, host=host)


@pytest.mark.parametrize(
    ("refused", "status", "code"), [(name, *told) for name, told in REFUSED.items()], indirect=["refused"]
)
def test_a_refusal_is_a_problem_document(refused: Answer, status: int, code: str) -> None:
    problem = refused.problem()
    assert (refused.status, problem["status"]) == (status, status)
    assert problem["type"] == errors.TYPE_PREFIX + code
    assert problem["title"]
    assert problem["detail"]
    assert problem["request_id"]
    assert refused.headers["x-request-id"] == problem["request_id"]
    assert ("retry-after" in refused.headers) == (status >= 500)


@pytest.mark.parametrize("refused", REFUSED, indirect=True)
def test_a_page_of_the_shop_may_read_a_refusal(refused: Answer) -> None:
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    assert refused.headers["access-control-expose-headers"] == EXPOSED


@pytest.mark.parametrize("origin", ["https://evil.example.com", f"{ORIGIN}.evil.example.com", "null"])
def test_a_page_of_another_site_may_not(client: Client, origin: str) -> None:
    answer = client.call("/v1/points", ("Origin", origin))
    assert answer.status == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_page_may_not_read_what_a_neighbour_refuses(client: Client) -> None:
    answer = client.call("/v1/points", PAGE, host=NEIGHBOUR)
    assert answer.problem()["status"] == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("target", ["/", "/v1/points", "/healthz"])
def test_a_host_that_is_nobodys_is_refused_so_that_it_can_be_read(client: Client, target: str) -> None:
    answer = client.call(target, PAGE, host=NOBODYS)
    assert answer.problem()["type"] == errors.TYPE_PREFIX + "no-token"
    assert "access-control-allow-origin" not in answer.headers


def test_over_the_limit_says_which_and_when_to_come_back(client: Client, issuer: Any) -> None:
    token = bearer(issuer.token())
    answers = (client.call("/v1/points", PAGE, token, host=STRICT) for _ in range(20))
    answer = next(one for one in answers if one.status != 200)
    problem = answer.problem()
    assert (answer.status, problem["type"]) == (429, errors.TYPE_PREFIX + "too-many-requests")
    assert (answer.headers["retry-after"], answer.headers["ratelimit"]) == ("1", '"member";r=0;t=1')
    assert answer.headers["ratelimit-policy"] == '"member";q=1;w=1'
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_what_can_not_be_read_is_told_so(client: Client) -> None:
    answer = client.call("/v1/points", ("Content-Length", "-1"), method="POST")
    assert answer.status == 400
    assert answer.problem()["type"] == errors.TYPE_PREFIX + "invalid-request"


def test_what_was_not_answered_is_repeated_when_it_was_a_read(client: Client, other_issuer: Any) -> None:
    token, place = bearer(other_issuer.token()), f"/v1/flaky/{uuid.uuid4()}"
    assert client.call(place, token, host=NEIGHBOUR).status == 200
    answer = client.call(f"{place}/write", token, host=NEIGHBOUR, method="POST")
    assert answer.problem()["type"] == errors.TYPE_PREFIX + "unavailable"


def test_what_was_not_answered_is_not_repeated_when_the_spec_says_so(client: Client, issuer: Any) -> None:
    assert client.call(f"/v1/flaky/{uuid.uuid4()}", bearer(issuer.token())).status == 503


@pytest.mark.parametrize("door", ["gateway-api"], indirect=True)
def test_a_listener_without_tls_serves_nobody(door: mesh.Door, issuer: Any) -> None:
    headers = {"Host": HOST, "Authorization": f"Bearer {issuer.token()}"}
    for path in ("/v1/points", "/healthz"):
        answer = httpx.get(f"http://127.0.0.1:{door.plain}{path}", headers=headers)
        assert answer.status_code in (403, 404)


def test_what_the_service_answers_is_left_as_it_is(client: Client, issuer: Any) -> None:
    answer = client.call("/v1/missing", PAGE, bearer(issuer.token()))
    assert (answer.status, answer.headers["content-type"]) == (404, "text/plain")
    assert b"seen" in answer.body


@pytest.mark.parametrize("target", ["/v1/points/use", "/healthz", "/nothing"])
def test_a_preflight_allows_what_clients_of_the_api_and_of_tracing_send(client: Client, target: str) -> None:
    asks = ("Access-Control-Request-Method", "POST"), ("X-Member-Id", attacks.VICTIM)
    answer = client.call(target, PAGE, *asks, method="OPTIONS")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    allowed = set(answer.headers["access-control-allow-headers"].split(","))
    assert {"authorization", "content-type", "idempotency-key"} <= allowed
    assert {"traceparent", "tracestate", "baggage"} <= allowed
    assert answer.headers["access-control-allow-methods"] == "GET,HEAD,POST"


@pytest.mark.parametrize("headers", attacks.PREFLIGHTS.values(), ids=attacks.PREFLIGHTS)
@pytest.mark.parametrize("target", ["/v1/points/use", "/healthz", "/metrics"])
def test_what_is_no_preflight_of_the_shop_is_refused(
    client: Client, headers: list[attacks.Header], target: str
) -> None:
    answer = client.call(target, *headers, method="OPTIONS")
    assert answer.status == 403
    assert "access-control-allow-methods" not in answer.headers


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR", "bearer  "])
def test_the_word_before_a_token_may_be_in_any_case(client: Client, issuer: Any, scheme: str) -> None:
    answer = client.call("/v1/points", bearer(issuer.token(), scheme))
    assert answer.status == 200
    seen = json.loads(answer.body)["seen"]
    assert ["x-member-id", "m-1"] in seen
    assert "authorization" not in dict(seen)


@pytest.mark.parametrize("scheme", ["Basic", "Token", "xbearer", "bearerx"])
def test_another_word_before_a_token_opens_nothing(client: Client, issuer: Any, scheme: str) -> None:
    assert client.call("/v1/points", bearer(issuer.token(), scheme)).status == 403


def test_a_token_of_any_length_is_taken(client: Client, issuer: Any) -> None:
    assert client.call("/v1/points", bearer(issuer.token(groups=["g" * 100] * 90))).status == 200


@pytest.mark.parametrize("target", ["/healthz", "/v1/points"])
def test_head_is_taken_where_get_is(client: Client, issuer: Any, target: str) -> None:
    headers = [] if target == "/healthz" else [bearer(issuer.token())]
    answer = client.call(target, *headers, method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
def test_an_identity_header_alone_opens_nothing(client: Client, headers: list[attacks.Header]) -> None:
    answer = client.call("/v1/points", *headers)
    assert answer.problem()["type"] == errors.TYPE_PREFIX + "no-token"


@pytest.mark.parametrize("wrong", attacks.FORGERIES)
def test_a_forged_token_opens_nothing(client: Client, issuer: Any, wrong: str) -> None:
    answer = client.call("/v1/points", PAGE, bearer(attacks.FORGERIES[wrong](issuer)))
    assert answer.status in (401, 403)
    assert answer.problem()["status"] == answer.status
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_a_neighbours_token_opens_nothing(client: Client, other_issuer: Any) -> None:
    answer = client.call("/v1/points", bearer(other_issuer.token()))
    assert answer.problem()["type"] == errors.TYPE_PREFIX + "forbidden"


@pytest.mark.parametrize("target", attacks.SNEAKS)
def test_a_detour_opens_nothing(client: Client, target: str) -> None:
    answer = client.call(target, ("X-Member-Id", attacks.VICTIM))
    assert answer.status in (200, 307, 400, 403, 404)
    assert attacks.VICTIM.encode() not in answer.body


def test_a_page_of_the_shop_reads_every_refusal_in_a_browser(
    door: mesh.Door, issuer: Any, tmp_path: Path
) -> None:
    good = {"authorization": f"bearer {issuer.token()}", "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
    use = {"content-type": "application/json", "idempotency-key": "k", "baggage": "shop=1"}

    def ask(host: str, path: str, headers: Mapping[str, str], **more: Any) -> browser.Asked:
        return browser.Asked(url=f"https://{host}{path}", headers=headers, **more)

    taken = [ask(HOST, "/v1/points", good), ask(HOST, "/v1/points/use", good | use, method="POST", body="{}")]
    asked = [
        ask(HOST, "/v1/points", {"authorization": "Bearer garbage"}),
        ask(HOST, "/v1/points", {}),
        ask(HOST, "/nothing", good),
        ask(DOWN, "/v1/points", good),
        ask(HOST, "/v1/slow", good),
        *[ask(STRICT, "/v1/points", good)] * 20,
    ]
    hosts: Mapping[str, tuple[str, int]] = dict.fromkeys((HOST, STRICT, DOWN), door.address)
    seen = browser.read("shop.example.com", [*taken, *asked], tmp_path, hosts)
    assert [one.status for one in seen[:2]] == [200, 200]
    assert [one.problem() for one in seen[2:7]] == [
        (401, "invalid-token"),
        (403, "no-token"),
        (403, "forbidden"),
        (503, "unavailable"),
        (504, "unavailable"),
    ]
    over = next(one for one in seen[7:] if one.status != 200)
    assert over.problem() == (429, "too-many-requests")
    assert (over.headers["retry-after"], over.headers["ratelimit-policy"]) == ("1", '"member";q=1;w=1')


def test_a_page_of_another_site_reads_nothing_in_a_browser(
    door: mesh.Door, issuer: Any, tmp_path: Path
) -> None:
    asked = [
        browser.Asked(url=f"https://{HOST}/v1/points"),
        browser.Asked(url=f"https://{HOST}/v1/points", headers={"authorization": f"Bearer {issuer.token()}"}),
    ]
    seen = browser.read("evil.example.com", asked, tmp_path, {HOST: door.address})
    assert [one.status for one in seen] == [0, 0]
