"""Two tenants at one gateway, one of them hostile: what it writes, on a real API server, and what comes of it."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from harness.tenants import add_certificate
from point_operator.model import kinds, names

pytestmark = pytest.mark.integration

ISSUER = "https://victim.localhost"
SHARED = names.shared_name("istio-ingress", {"istio": "ingressgateway"})
DESCRIBED = {"namespace": "istio-ingress", "selector": {"istio": "ingressgateway"}}
"""A gateway that is described instead of named is nothing that the admission policy can look up."""
QUIET = 3.0
"""Seconds in which nothing must change."""


@pytest.fixture
def hostile(make_tenant: Callable[[], Any]) -> Any:
    """A tenant with a service of its own, the older one."""
    made = make_tenant()
    made.ready(gateway={"jwt": {"issuer": "https://hostile.localhost", "jwks": '{"keys": [{"kty": "RSA"}]}'}})
    return made


@pytest.fixture
def victim(make_tenant: Callable[[], Any], hostile: Any) -> Any:  # noqa: ARG001 - it was there before
    """Another one."""
    made = make_tenant()
    made.ready(gateway={"jwt": {"issuer": ISSUER, "jwks": '{"keys": [{"kty": "EC"}]}'}})
    return made


def _policies(tenant: Any) -> list[Any]:
    """What guards and what opens a tenant's service."""
    return [
        tenant.get(kinds.VIRTUAL_SERVICE)["spec"],
        tenant.at_gateway(kinds.REQUEST_AUTHENTICATION)["spec"],
        tenant.at_gateway(kinds.AUTHORIZATION_POLICY)["spec"],
        tenant.at_gateway(kinds.ENVOY_FILTER)["spec"],
    ]


def _claims(tenant: Any) -> list[tuple[list[str], str]]:
    found = tenant.get(kinds.POINT_SERVICE)["status"].get("claims", [])
    return [(one["hosts"], one["issuer"]) for one in found]


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("IssuerConflict", {"jwt": {"issuer": ISSUER, "jwks": '{"keys": [{"kty": "OKP"}]}'}}),
        (
            "IssuerConflict",
            {"jwt": {"issuer": ISSUER, "jwks": "", "jwksUri": "https://hostile.example/keys"}},
        ),
        (
            "IssuerConflict",
            {"jwt": {"issuer": ISSUER, "jwks": '{"keys": [{"kty": "EC"}]}', "memberClaim": "x"}},
        ),
        ("HostConflict", {"hosts": ["OWN", "VICTIM"]}),
        ("GatewayNotListed", {"selector": {"istio": "ingressgateway", "app": "istio-ingressgateway"}}),
    ],
    ids=str,
)
def test_what_is_another_ones_is_not_had_by_editing(
    victim: Any, hostile: Any, operator: Any, reason: str, change: dict[str, Any]
) -> None:
    before, had = _policies(victim), _policies(hostile)
    hosts = [{"VICTIM": victim.host, "OWN": hostile.host}[one] for one in change.get("hosts", [])]
    hostile.spec(gateway=DESCRIBED | change | ({"hosts": hosts} if hosts else {}))
    hostile.wait_reason("Degraded", reason)
    if reason == "HostConflict":  # and the next process sees it the same way
        operator.stop()
        operator.start()
    time.sleep(QUIET)
    hostile.wait_reason("Degraded", reason)
    assert _policies(victim) == before
    assert _claims(victim) == [([victim.host], ISSUER)]
    assert victim.condition("Ready")["status"] == "True"
    assert victim.condition("Degraded")["status"] == "False"
    if reason == "GatewayNotListed":  # the administrator's word: nothing is left
        assert hostile.get(kinds.VIRTUAL_SERVICE) is None
    else:  # it keeps what it had
        assert _policies(hostile) == had
        assert _claims(hostile) == [([hostile.host], "https://hostile.localhost")]


@pytest.mark.parametrize("version", ["v1alpha1", "v1beta1"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hosts": ["VICTIM"]}, "another PointService already has VICTIM at gateway default"),
        (
            {"jwt": {"issuer": ISSUER, "jwks": "", "jwksUri": "https://hostile.example/keys"}},
            f"another PointService uses issuer {ISSUER} at gateway default with other keys or claims",
        ),
        ({"name": "inner"}, "inner is not on the operator's list; it has default"),
    ],
    ids=str,
)
def test_it_is_told_when_it_is_applied(
    victim: Any, make_tenant: Callable[[], Any], change: dict[str, Any], said: str, version: str
) -> None:
    newcomer = make_tenant()
    kind = msgspec.structs.replace(kinds.POINT_SERVICE, version=version)
    change = {key: [victim.host] if key == "hosts" else value for key, value in change.items()}

    def refused() -> str:
        with pytest.raises(httpx.HTTPStatusError) as error:
            newcomer.create(kind=kind, gateway=change)
        return error.value.response.json()["message"]

    assert said.replace("VICTIM", victim.host) in refused()
    assert newcomer.get(kinds.POINT_SERVICE) is None


def test_who_uses_an_issuer_alone_may_change_its_keys(victim: Any) -> None:
    victim.spec(gateway={"jwt": {"jwks": None, "jwksUri": "https://victim.example/keys"}})
    victim.kube.wait(
        "the other keys",
        lambda: "jwksUri" in victim.at_gateway(kinds.REQUEST_AUTHENTICATION)["spec"]["jwtRules"][0],
    )
    victim.kube.wait("the old keys to be let go", lambda: len(_claims(victim)) == 1)


def test_the_namespace_says_which_hosts(make_tenant: Callable[[], Any]) -> None:
    tenant = make_tenant()
    tenant.ready()

    def annotate(hosts: str | None) -> None:
        tenant.kube.patch(
            kinds.NAMESPACE, "", tenant.namespace, {"metadata": {"annotations": {names.HOSTS: hosts}}}
        )

    annotate("*.shop.example.com")
    tenant.edit(kinds.POINT_SERVICE, {"metadata": {"labels": {"look": "again"}}})
    message = tenant.wait_reason("Degraded", "HostNotAllowed")["message"]
    assert f"{tenant.host}: namespace {tenant.namespace} may have *.shop.example.com" in message
    tenant.kube.wait("the route to go", lambda: tenant.get(kinds.VIRTUAL_SERVICE) is None)
    tenant.kube.wait("its policies to go", lambda: tenant.at_gateway(kinds.AUTHORIZATION_POLICY) is None, 30)
    with pytest.raises(httpx.HTTPStatusError) as error:
        tenant.spec(gateway={"hosts": ["a.example.com"]})
    assert "may not have a.example.com but only *.shop.example.com" in error.value.response.json()["message"]
    tenant.spec(gateway={"hosts": ["a.shop.example.com"]})
    tenant.wait_reason("Ready", "Available")
    assert tenant.get(kinds.VIRTUAL_SERVICE)["spec"]["hosts"] == ["a.shop.example.com"]


def test_the_listener_takes_routes_from_the_sharers_alone(victim: Any, hostile: Any) -> None:
    servers = victim.kube.get(kinds.GATEWAY, "istio-ingress", SHARED)["spec"]["servers"]
    assert {host.partition("/")[2] for host in servers[0]["hosts"]} == {"*"}
    namespaces = {host.partition("/")[0] for server in servers for host in server["hosts"]}
    assert {victim.namespace, hostile.namespace} <= namespaces
    assert "*" not in namespaces
    assert "." not in namespaces


def test_a_mistyped_certificate_cuts_nobodys_tls(make_tenant: Callable[[], Any]) -> None:
    tenant = make_tenant()
    add_certificate(tenant.kube, f"{tenant.namespace}-tls")
    tenant.ready(gateway={"tls": {"credentialName": f"{tenant.namespace}-tls"}})

    def presented() -> list[str]:
        servers = tenant.kube.get(kinds.GATEWAY, "istio-ingress", SHARED)["spec"]["servers"]
        own = [one for one in servers if f"{tenant.namespace}/{tenant.host}" in one["hosts"]]
        return [one["tls"]["credentialName"] for one in (*own, servers[0])]

    before = presented()
    tenant.spec(gateway={"tls": {"credentialName": "mistyped"}})
    assert "mistyped" in tenant.wait_reason("Degraded", "CertificateMissing")["message"]
    time.sleep(QUIET)
    assert presented() == before
    metadata = {"name": "mistyped", "namespace": "istio-ingress"}
    broken = {"tls.crt": "-----BEGIN CERTIFICATE-----", "tls.key": "none"}
    tenant.kube.create(kinds.SECRET, {"metadata": metadata, "stringData": broken})
    tenant.kube.wait(
        "what is wrong with it",
        lambda: "holds no certificate in PEM with its key" in tenant.condition("Degraded")["message"],
        30,
    )
    assert presented() == before


def test_the_guard_stays_whoever_is_paused(victim: Any, hostile: Any) -> None:
    guard = (kinds.ENVOY_FILTER, "istio-ingress", SHARED)
    for one in (victim, hostile):
        one.spec(paused=True)
        one.wait_reason("Progressing", "Paused")
        before = one.kube.get(*guard)["metadata"]["uid"]
        one.kube.delete(*guard)
        found = one.kube.wait("the guard", lambda: victim.kube.get(*guard), 5)
        assert found["metadata"]["uid"] != before


def test_nothing_at_the_gateway_looks_like_another_tools(victim: Any) -> None:
    for kind in kinds.AT_GATEWAY:
        assert names.INSTANCE not in victim.at_gateway(kind)["metadata"]["labels"]


def test_a_gateway_taken_off_the_list_is_left_clean(
    victim: Any, operator: Any, server: Any, account: Any, process: Any
) -> None:
    victim.spec(gateway={"name": "default"})
    operator.stop()
    other = process(server, account, "--no-lease", name="other", POINT_OPERATOR_GATEWAYS="gone=gone/a=b/c")
    other.start()
    try:
        victim.wait_reason("Degraded", "GatewayNotListed", seconds=60)
        victim.kube.wait("the route to go", lambda: victim.get(kinds.VIRTUAL_SERVICE) is None)
        for kind in kinds.AT_GATEWAY:
            victim.kube.wait("its policies to go", lambda kind=kind: victim.at_gateway(kind) is None, 120)
    finally:
        other.stop()
        operator.start()
    victim.kube.wait("the route to return", lambda: victim.get(kinds.VIRTUAL_SERVICE), 30)


def test_an_editor_of_a_namespace_has_services_but_records_no_claim(victim: Any, server: Any) -> None:
    namespace = ["-n", victim.namespace]
    server.kubectl(
        "create", "rolebinding", "edit", "--clusterrole=pointservices-edit", "--user=editor", *namespace
    )

    def may(verb: str, *subresource: str) -> str:
        what = ["auth", "can-i", verb, "pointservices.pointservice.io", *subresource, "--as=editor"]
        return server.kubectl(*what, *namespace, check=False).split()[0]

    assert [may(verb) for verb in ("get", "create", "patch", "delete")] == ["yes"] * 4
    assert [may(verb, "--subresource=status") for verb in ("patch", "update")] == ["no"] * 2
