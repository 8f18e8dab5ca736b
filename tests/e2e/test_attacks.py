"""Nobody gets in as somebody else: the table of attacks, at the edge, at the gateway itself, and inside."""

import json
import secrets
import ssl
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml
from joserfc.jwk import RSAKey
from point_local.commands.demo import Client
from point_local.drill import attacks, variants
from point_local.drill.attacks import VICTIM, Header, good, request
from point_local.drill.observe import gateway_address, get, service_pods
from point_local.programs.command import kubectl, wait
from point_local.stack import application, edge, issuer
from point_local.stack.istio import GATEWAY_NAMESPACE
from point_local.stack.manifests import apply_text

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

HOST = application.hosts()[0]
ATTACKER = "m-mallory"
DOORS = {"edge": lambda: ("127.0.0.1", edge.HTTPS_PORT), "gateway": gateway_address}
"""The load balancer's stand-in tidies paths and headers up; behind it the gateway has to hold by itself."""


class Ours:
    """The issuer of the running stack."""

    key: RSAKey = issuer.key()

    def claims(self, **changes: object) -> dict[str, object]:
        """Claims of the attacker's good token, with changes; None leaves one out."""
        return {
            name: value for name, value in (issuer.payload(ATTACKER) | changes).items() if value is not None
        }


@pytest.fixture(scope="module", autouse=True)
def victim() -> None:
    """A member who has points."""
    with Client(VICTIM) as client:
        earned = client.call("POST", "/v1/points/earn", {"amount": 1000}, role="service")
        assert earned.status_code == 201


@pytest.fixture(scope="module", params=DOORS)
def door(request: pytest.FixtureRequest) -> tuple[str, int]:
    """Where the attacker knocks."""
    return DOORS[request.param]()


@pytest.mark.parametrize("wrong", attacks.FORGERIES)
def test_a_forged_token_opens_nothing(door: tuple[str, int], wrong: str) -> None:
    token = attacks.FORGERIES[wrong](Ours())
    assert knock(door, "GET", "/v1/points", [bearer(token)])[0] in (401, 403)


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
def test_an_identity_header_alone_opens_nothing(door: tuple[str, int], headers: list[Header]) -> None:
    assert knock(door, "GET", "/v1/points", headers)[0] in (400, 403)


@pytest.mark.parametrize("headers", attacks.SPOOFS.values(), ids=attacks.SPOOFS)
def test_an_identity_header_beside_a_good_token_changes_nothing(
    door: tuple[str, int], headers: list[Header]
) -> None:
    own = bearer(good(Ours()))
    status, body = knock(door, "GET", "/v1/points", [own, *headers])
    assert status == 400 or json.loads(body)["member_id"] == ATTACKER
    status, _ = knock(door, "POST", "/v1/points/earn", [own, *headers], {"amount": 1000})
    assert status in (400, 403)


def test_a_member_acts_for_nobody_whom_it_names_in_the_address(door: tuple[str, int]) -> None:
    own = bearer(good(Ours()))
    for target, sent in attacks.NAMINGS:
        method = "GET" if sent is None else "POST"
        for token, code in (([own], "role-missing"), ([], "no-token")):
            status, body = knock(door, method, target, token, sent)
            assert (status, json.loads(body)["type"].rpartition(":")[2]) == (403, code), target
            assert VICTIM not in body


@pytest.mark.parametrize("place", attacks.UNASKED_PLACES)
def test_a_token_in_the_query_opens_nothing(door: tuple[str, int], place: str) -> None:
    assert knock(door, "GET", f"/v1/points?{place}={good(Ours())}", [])[0] == 403


@pytest.mark.parametrize("name", attacks.OTHER_HEADERS)
def test_a_token_in_another_header_opens_nothing(door: tuple[str, int], name: str) -> None:
    assert knock(door, "GET", "/v1/points", [(name, f"Bearer {good(Ours())}")])[0] == 403


@pytest.mark.parametrize("target", attacks.SNEAKS)
def test_a_detour_opens_nothing(door: tuple[str, int], target: str) -> None:
    status, body = knock(door, "GET", target, [("X-Member-Id", VICTIM)])
    if status == 200:  # the server took it for the health check, which is open to all
        assert json.loads(body)["status"] == "ok"
    else:  # 307 leads to the plain path, where everyone is asked for a token
        assert status in (307, 400, 403, 404)
    assert "balance" not in body


@pytest.mark.parametrize("headers", attacks.PREFLIGHTS.values(), ids=attacks.PREFLIGHTS)
def test_what_is_no_preflight_of_the_shop_is_refused(door: tuple[str, int], headers: list[Header]) -> None:
    for target in ("/v1/points/use", "/healthz", "/metrics"):
        assert knock(door, "OPTIONS", target, headers)[0] in (403, 404)


def test_a_preflight_brings_no_identity_along(door: tuple[str, int]) -> None:
    asks = [("Origin", "https://shop.example.com"), ("Access-Control-Request-Method", "POST")]
    status, body = knock(door, "OPTIONS", "/v1/points", [*asks, ("X-Member-Id", VICTIM)])
    assert (status, body) == (200, "")
    assert knock(door, "GET", "/v1/points", [*asks, ("X-Member-Id", VICTIM)])[0] == 403


def test_no_framing_hides_a_second_request(door: tuple[str, int]) -> None:
    tricks = attacks.smuggles(HOST, good(Ours()))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: attacks.send(door, context(), HOST, one.request), tricks))
    through = {
        trick.name: attacks.statuses(answer)
        for trick, answer in zip(tricks, answers, strict=True)
        if VICTIM.encode() in answer
    }
    assert through == {}


INSIDE: Mapping[str, Mapping[str, str]] = {
    "another namespace, without a proxy": {"namespace": "attack", "inject": "false"},
    "another namespace, with a proxy": {"namespace": "attack", "inject": "true"},
    "the service's namespace, without a proxy": {"namespace": application.NAMESPACE, "inject": "false"},
    "the service's namespace and account, with a proxy": {
        "namespace": application.NAMESPACE, "inject": "true", "account": application.NAME,
    },
}  # fmt: skip
"""Pods that an attacker may have got hold of, none of them the gateway's."""

PROBE = """
import json, socket, ssl, sys, urllib.error, urllib.request
answers = {}
for url in sys.argv[1:]:
    request = urllib.request.Request(url, headers={"X-Member-Id": "m-victim", "X-Member-Role": "admin"})
    try:
        context = ssl._create_unverified_context()
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            answers[url] = [answer.status, answer.read().decode(errors="replace")]
    except urllib.error.HTTPError as error:
        answers[url] = [error.code, error.read().decode(errors="replace")]
    except OSError as error:
        answers[url] = [0, str(error)]
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def pods() -> Iterator[dict[str, tuple[str, str]]]:
    """The attacker's pods, running: namespace and name by where they are."""
    apply_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: attack}\n")
    made = {where: (str(how["namespace"]), f"attacker-{n}") for n, (where, how) in enumerate(INSIDE.items())}
    try:
        for where, how in INSIDE.items():
            namespace, name = made[where]
            pod = _pod(
                name, namespace, {"sidecar.istio.io/inject": how["inject"]}, how.get("account", "default")
            )
            apply_text(yaml.safe_dump(pod))
        for namespace, name in made.values():
            kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace, "--timeout=90s")
        yield made
    finally:
        for namespace, name in made.values():
            kubectl("delete", "pod", name, "-n", namespace, "--now", "--ignore-not-found")
        kubectl("delete", "namespace", "attack", "--wait=false")


@pytest.mark.parametrize("where", INSIDE)
def test_no_other_pod_can_call_the_service(pods: dict[str, tuple[str, str]], where: str) -> None:
    namespace, name = pods[where]
    service = f"{application.NAME}.{application.NAMESPACE}"
    addresses = [str(pod["status"]["podIP"]) for pod in service_pods()]
    urls = [
        f"http://{service}/v1/points",
        f"http://{service}/healthz",
        f"http://{service}:8080/v1/points",
        *(f"http://{address}:8080/v1/points" for address in addresses),
        *(f"https://{address}:8080/v1/points" for address in addresses),
        *(f"http://{address}:15006/v1/points" for address in addresses),
        *(f"http://{address}:15001/v1/points" for address in addresses),
        *(f"http://{address}:15000/config_dump" for address in addresses),
        *(f"http://{address}:15020/v1/points" for address in addresses),
        *(f"http://{address}:15021/v1/points" for address in addresses),
        *(f"http://{address}:15020/quitquitquit" for address in addresses),
    ]
    python = [variants.PYTHON, "-c", PROBE, *urls]
    answers = json.loads(kubectl("exec", "-n", namespace, name, "-c", "app", "--", *python))
    through = {
        url: answer for url, answer in answers.items() if 200 <= answer[0] < 400 or "balance" in answer[1]
    }
    assert through == {}


@pytest.mark.parametrize("where", INSIDE)
def test_no_other_pod_can_pretend_at_the_gateway(pods: dict[str, tuple[str, str]], where: str) -> None:
    namespace, name = pods[where]
    url = f"https://istio-ingressgateway.{GATEWAY_NAMESPACE}/v1/points"
    python = [variants.PYTHON, "-c", PROBE, url]
    answers = json.loads(kubectl("exec", "-n", namespace, name, "-c", "app", "--", *python))
    assert answers[url][0] in (0, 403, 404)


def test_the_operator_does_not_call_a_service_ready_whose_pods_have_no_proxy() -> None:
    labels = {name: value for name, value in service_pods()[0]["metadata"]["labels"].items() if "/" in name}
    bare = _pod("bare", application.NAMESPACE, labels | {"sidecar.istio.io/inject": "false"})
    bare["spec"]["containers"][0]["readinessProbe"] = {
        "exec": {"command": ["/bin/false"]}
    }  # no requests for it
    apply_text(yaml.safe_dump(bare))
    try:
        _look_again()
        wait("NoSidecar", lambda: _ready()["reason"] == "NoSidecar", seconds=30)
        assert "bare" in _ready()["message"]
    finally:
        kubectl("delete", "pod", "bare", "-n", application.NAMESPACE, "--now")
        _look_again()
    wait("Ready again", lambda: _ready()["status"] == "True", seconds=30)


def knock(
    door: tuple[str, int], method: str, target: str, headers: list[Header], body: object = None
) -> tuple[int, str]:
    """Send one request just as it is written; return the status, 0 for a closed connection, and the body."""
    sent = [("Host", HOST), *headers, ("Idempotency-Key", "attack"), ("Connection", "close")]
    data = b"" if body is None else json.dumps(body).encode()
    if data:
        sent.append(("Content-Type", "application/json"))
    answer = attacks.send(door, context(), HOST, request(method, target, sent, data), enough=attacks.whole)
    head, _, text = answer.partition(b"\r\n\r\n")
    found = attacks.statuses(head)
    return (found[0] if found else 0), text.decode(errors="replace")


def bearer(token: str) -> Header:
    """The header that carries a token."""
    return "Authorization", f"Bearer {token}"


def context() -> ssl.SSLContext:
    """TLS as a client of the edge has it; the gateway's own certificate is of the same authority."""
    return ssl.create_default_context(cafile=str(edge.ca()))


def _pod(name: str, namespace: str, labels: Mapping[str, str], account: str = "default") -> dict[str, Any]:
    """A pod that does nothing, with the service's image, which has a Python in it."""
    rights = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "app",
        "image": str(service_pods()[0]["spec"]["containers"][0]["image"]),
        "command": [variants.PYTHON, "-c", "import signal; signal.pause()"],
        "securityContext": rights,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    spec = {
        "serviceAccountName": account,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }  # fmt: skip
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _ready() -> Any:
    """The PointService's condition Ready."""
    found = get("pts", application.NAME)
    assert found is not None
    return next(one for one in found["status"]["conditions"] if one["type"] == "Ready")


def _look_again() -> None:
    """Have the operator look at once: it does not watch pods."""
    annotation = f"test/look={secrets.token_hex(4)}"
    kubectl("annotate", "pts", application.NAME, "-n", application.NAMESPACE, "--overwrite", annotation)
