"""Who may have which host and issuer at a gateway."""

import asyncio
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from point_operator.model import api, names
from point_operator.model.gateways import DEFAULT, read
from point_operator.observe.fleet import Fleet

OTHER = read(f"{DEFAULT};other=istio-ingress/istio=other/istio-other")
CRD = Path(__file__).resolve().parents[3] / "crds/pointservices.yaml"
NOW = "2026-02-01T00:00:00Z"


@pytest.fixture
def make(spec: dict[str, Any]) -> Any:
    """Make a PointService's body; `created` is a day in January."""

    def body(tenant: str, created: int, host: str = "points.localhost", **gateway: Any) -> dict[str, Any]:
        wanted = copy.deepcopy(spec)
        wanted["gateway"] |= {"hosts": [host]} | gateway
        metadata = {"name": "points", "namespace": tenant, "uid": tenant}
        metadata["creationTimestamp"] = f"2026-01-{created:02}T00:00:00Z"
        return {"metadata": metadata, "spec": wanted}

    return body


def _fleet(*bodies: dict[str, Any], **options: Any) -> Fleet:
    fleet = Fleet(OTHER, **options)
    asyncio.run(fleet.refresh(_list(*bodies)))
    return fleet


async def _list(*bodies: dict[str, Any], meanwhile: Callable[[], Any] = lambda: None) -> list[dict[str, Any]]:
    """What the API answers, and what happens before the answer is there."""
    meanwhile()
    return list(bodies)


def _look(fleet: Fleet, body: dict[str, Any]) -> str:
    """Look at a PointService as it is in the cluster; return why it is refused."""
    fleet.see(body)
    refusal = fleet.admit(fleet.read(body), now=NOW)
    return refusal.reason if refusal else ""


def _reasons(*bodies: dict[str, Any]) -> dict[str, str]:
    fleet = _fleet(*bodies)
    return {key[0]: _look(fleet, body) for body in bodies for key in [_key(body)] if key in fleet.refused()}


def _key(body: dict[str, Any]) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _recorded(fleet: Fleet, body: dict[str, Any]) -> dict[str, Any]:
    return body | {"status": {"claims": msgspec.to_builtins(fleet.claims(_key(body)))}}


def test_of_two_that_nobody_has_seen_the_older_one_comes_first(make: Any) -> None:
    assert _reasons(make("new", 2), make("old", 1)) == {"new": "HostConflict"}


def test_who_was_admitted_first_keeps_it_whatever_the_age(make: Any, spec: dict[str, Any]) -> None:
    old, new = make("old", 1, "old.localhost"), make("new", 2)
    fleet = _fleet(old, new)
    jwt = spec["gateway"]["jwt"]
    for change in (
        {"hosts": ["points.localhost"]},
        {"hosts": ["old.localhost", "points.localhost"]},
        {"jwt": jwt | {"jwks": "", "jwksUri": "https://mine"}},
    ):
        taking = copy.deepcopy(old)
        taking["spec"]["gateway"] |= change
        assert _look(fleet, taking) in ("HostConflict", "IssuerConflict")
        assert _look(fleet, new) == ""
        # What it had it keeps, and the next process sees it the same way.
        after = _fleet(_recorded(fleet, taking), _recorded(fleet, new))
        for process in (fleet, after):
            assert [claim.hosts for claim in process.claims(_key(old))] == [("old.localhost",)]
            assert process.refused() == [_key(old)]


def test_a_host_is_free_only_when_nothing_is_made_of_it_any_more(make: Any) -> None:
    first, second = make("first", 1), make("second", 2)
    fleet = _fleet(first, second)
    moved = make("first", 1, "elsewhere.localhost")
    assert _look(fleet, moved) == ""
    assert [claim.hosts for claim in fleet.claims(_key(first))] == [
        ("elsewhere.localhost",),
        ("points.localhost",),
    ]
    assert _look(fleet, second) == "HostConflict"
    fleet.settle(_key(first))
    assert _look(fleet, second) == ""


def test_however_many_changes_are_not_through_its_status_can_record_what_it_has(make: Any) -> None:
    fleet = _fleet(body := make("a", 1, "0.localhost"))
    for number in range(1, 40):
        assert _look(fleet, make("a", 1, f"{number}.localhost")) == ""
    held = [claim.hosts for claim in fleet.claims(_key(body))]
    crd = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    assert len(held) == crd["status"]["properties"]["claims"]["maxItems"]
    assert (held[0], held[-2], held[-1]) == (("39.localhost",), ("25.localhost",), ("0.localhost",))
    assert _look(fleet, make("b", 2, "0.localhost")) == "HostConflict", "by that one it may still serve"


def test_two_records_of_one_host_are_settled_by_age(make: Any) -> None:
    fleet = _fleet(make("old", 1))
    record = fleet.claims(("old", "points"))
    both = [
        make(tenant, day) | {"status": {"claims": msgspec.to_builtins(record)}}
        for tenant, day in (("b", 2), ("a", 1))
    ]
    assert _fleet(*both).refused() == [("b", "points")]


def test_a_host_at_another_gateway_is_another_host(make: Any) -> None:
    assert _reasons(make("a", 1), make("b", 2, selector={"istio": "other"})) == {}
    assert _reasons(make("a", 1), make("b", 2, name="other"), make("c", 3, name="other")) == {
        "c": "HostConflict"
    }


def test_a_refused_one_takes_no_host_from_a_third(make: Any) -> None:
    first, second = make("a", 1, "x.localhost"), make("b", 2, "x.localhost")
    second["spec"]["gateway"]["hosts"].append("y.localhost")
    assert _reasons(first, second, make("c", 3, "y.localhost")) == {"b": "HostConflict"}


@pytest.mark.parametrize(
    "change",
    [
        {"jwks": '{"keys": [{}]}'},
        {"jwks": "", "jwksUri": "https://k"},
        {"memberClaim": "m"},
        {"roleClaim": "r"},
        {"clientClaim": "azp"},
    ],
    ids=str,
)
def test_one_issuer_means_one_set_of_keys_and_claims(
    make: Any, spec: dict[str, Any], change: dict[str, Any]
) -> None:
    other = make("b", 2, "b.localhost", jwt=spec["gateway"]["jwt"] | change)
    assert _reasons(make("a", 1), other) == {"b": "IssuerConflict"}


def test_what_was_claimed_before_there_was_a_client_claim_is_still_the_same(make: Any) -> None:
    plain = api.parse(make("a", 1))
    jwt = plain.spec.gateway.jwt
    assert Fleet.keys(plain) == names.digest([jwt.jwks, jwt.jwks_uri, jwt.member_claim, jwt.role_claim])[:16]


def test_other_audiences_and_other_issuers_are_no_conflict(make: Any, spec: dict[str, Any]) -> None:
    jwt = spec["gateway"]["jwt"]
    second = make("b", 2, "b.localhost", jwt=jwt | {"audiences": ["b"]})
    third = make("c", 3, "c.localhost", jwt=jwt | {"issuer": "https://c", "memberClaim": "m"})
    assert _reasons(make("a", 1), second, third) == {}


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ({"namespace": "istio-system"}, "is no gateway of"),
        ({"selector": {"istio": "ingressgateway", "app": "istio-ingressgateway"}}, "is no gateway of"),
        ({"serviceAccount": "nobody"}, "is no gateway of"),
        ({"namespace": "istio-ingress"}, "fits several gateways of"),
        ({"name": "third"}, "gateway.name third is not on"),
    ],
    ids=str,
)
def test_a_gateway_that_is_not_listed_is_refused(make: Any, gateway: dict[str, Any], said: str) -> None:
    fleet = _fleet(body := make("a", 1, **gateway))
    refusal = fleet.admit(fleet.read(body), now=NOW)
    assert refusal is not None
    assert refusal.reason == "GatewayNotListed"
    assert said in refusal.message
    assert str(DEFAULT) in refusal.message


@pytest.mark.parametrize(
    "gateway",
    [
        {},
        {"name": "default"},
        {"selector": {"istio": "ingressgateway"}},
        {"serviceAccount": "istio-ingressgateway"},
        {"namespace": "istio-ingress", "selector": {"istio": "ingressgateway"}},
    ],
    ids=str,
)
def test_a_gateway_may_be_named_or_described(make: Any, gateway: dict[str, Any]) -> None:
    fleet = _fleet(body := make("a", 1, **gateway))
    assert fleet.refused() == []
    found = fleet.read(body).spec.gateway
    assert (found.name, found.service_account) == ("default", "istio-ingressgateway")


@pytest.mark.parametrize(
    ("host", "text", "listed", "allowed"),
    [
        ("a.shop.example.com", "*.shop.example.com", False, True),
        ("a.b.shop.example.com", "x.y, *.shop.example.com", False, True),
        ("shop.example.com", "*.shop.example.com", False, False),
        ("badshop.example.com", "*.shop.example.com", False, False),
        ("x.y", "x.y", True, True),
        ("x.y", "", False, False),
        ("x.y", "*", True, True),
        ("x.y", None, False, True),
        ("x.y", None, True, False),
    ],
)
def test_the_namespace_says_which_hosts(
    make: Any, host: str, text: str | None, listed: bool, allowed: bool
) -> None:
    fleet = _fleet(body := make("a", 1, host), hosts_listed=listed)
    fleet.allow_hosts("a", {} if text is None else {"pointservice.io/hosts": text})
    assert _look(fleet, body) == ("" if allowed else "HostNotAllowed")
    assert bool(fleet.claims(_key(body))) is allowed


def test_sharers_come_in_the_order_of_their_admission(make: Any) -> None:
    fleet = _fleet(make("new", 3, "n.localhost"), make("old", 2), make("refused", 4))
    late = make("late", 1, "late.localhost")
    assert _look(fleet, late) == ""
    found = fleet.sharers("istio-ingress", {"istio": "ingressgateway"})
    assert [one.namespace for one, _ in found] == ["old", "new", "late"]


def test_a_mistyped_certificate_leaves_the_one_that_was_there(make: Any) -> None:
    fleet = _fleet(body := make("a", 1, tls={"credentialName": "good"}))
    fleet.note_certificate("istio-ingress", "bad", valid=False)
    body["spec"]["gateway"]["tls"] = {"credentialName": "bad"}
    assert _look(fleet, body) == ""
    assert [claim.credential_name for claim in fleet.claims(_key(body))] == ["good"]
    fleet.note_certificate("istio-ingress", "bad", valid=True)
    assert _look(fleet, body) == ""
    assert [claim.credential_name for claim in fleet.claims(_key(body))] == ["bad"]


def test_what_goes_frees_its_host(make: Any) -> None:
    old, new = make("old", 1), make("new", 2)
    fleet = _fleet(old, new)
    assert fleet.refused() == [("new", "points")]
    assert fleet.forget(("old", "points"))
    assert _look(fleet, new) == ""
    assert fleet.refused() == []


def test_one_made_anew_under_the_same_name_inherits_nothing(make: Any) -> None:
    fleet = _fleet(make("a", 1), other := make("b", 2))
    again = make("a", 3, "elsewhere.localhost")
    again["metadata"]["uid"] = "another"
    fleet.see(again)
    assert _look(fleet, other) == ""


def test_what_is_heard_of_while_a_list_is_awaited_is_newer_than_the_list(make: Any) -> None:
    new, gone, kept = make("new", 3), make("gone", 1, "gone.localhost"), make("kept", 2, "kept.localhost")
    again = make("again", 4, "again.localhost")
    old = copy.deepcopy(again) | {"metadata": again["metadata"] | {"uid": "before"}}
    fleet = _fleet(gone, kept, old)

    def meanwhile() -> None:
        assert _look(fleet, new) == ""
        assert fleet.forget(_key(gone))
        assert _look(fleet, again) == ""

    found, news = asyncio.run(fleet.refresh(_list(gone, kept, old, meanwhile=meanwhile)))
    assert found == {_key(one) for one in (gone, kept, again)}
    assert news == {_key(one) for one in (new, gone, again)}
    assert {one.uid for one in fleet} == {"new", "kept", "again"}
    assert {key[0]: bool(fleet.claims(key)) for key in map(_key, (new, kept, again))} == {
        "new": True, "kept": True, "again": True,
    }  # fmt: skip
    assert _look(fleet, make("other", 5)) == "HostConflict", "the new one keeps what it was admitted to"


def test_who_is_not_in_a_list_is_gone(make: Any) -> None:
    fleet = _fleet(make("gone", 1), kept := make("kept", 2, "kept.localhost"))
    assert asyncio.run(fleet.refresh(_list(kept))) == ({_key(kept)}, {("gone", "points")})
    assert [one.key for one in fleet] == [_key(kept)]
