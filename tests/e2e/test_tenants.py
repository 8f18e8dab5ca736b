"""A hostile tenant at the real gateway: none of its tokens opens ours, and none of our requests is lost."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from harness.neighbour import Neighbour, get_status
from point_local.commands.demo import Client
from point_local.programs.command import kubectl, wait
from point_local.stack import application, issuer

pytestmark = pytest.mark.e2e

OURS = application.hosts()[0]
GATEWAY: dict[str, Any] = {"namespace": "istio-ingress", "selector": {"istio": "ingressgateway"}}
"""Described instead of named, so that it gets past the admission policy and meets the operator."""


def _change(neighbour: Neighbour, gateway: dict[str, Any]) -> None:
    kubectl("patch", *neighbour.resource, "--type=merge", "-p", json.dumps({"spec": {"gateway": gateway}}))


def _restore(neighbour: Neighbour, gateway: dict[str, Any]) -> None:
    operation = [{"op": "replace", "path": "/spec/gateway", "value": gateway}]
    kubectl("patch", *neighbour.resource, "--type=json", "-p", json.dumps(operation))


def _reason(neighbour: Neighbour) -> str:
    path = "jsonpath={.status.conditions[?(@.type=='Degraded')].reason}"
    return kubectl("get", *neighbour.resource, "-o", path)


@contextmanager
def _traffic(token: str) -> Iterator[Counter[int]]:
    """A member of ours who reads all the time: the statuses."""
    statuses: Counter[int] = Counter()
    stopped = threading.Event()

    def read() -> None:
        while not stopped.wait(0.1):
            statuses[get_status(OURS, token)] += 1

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield statuses
    finally:
        stopped.set()
        thread.join()


def test_no_forged_token_opens_ours_and_nothing_of_ours_is_lost(member: Client, neighbour: Neighbour) -> None:
    before = json.loads(kubectl("get", *neighbour.resource, "-o", "json"))["spec"]["gateway"]
    jwt = before["jwt"]
    forged = neighbour.token(member.member, iss=issuer.ISSUER, role="admin")
    attempts = [
        ("IssuerConflict", {"jwt": jwt | {"issuer": issuer.ISSUER, "jwks": neighbour.jwks}}),
        (
            "IssuerConflict",
            {"jwt": jwt | {"issuer": issuer.ISSUER, "jwks": "", "jwksUri": "https://keys.example.com/x"}},
        ),
        ("HostConflict", {"hosts": [neighbour.host, OURS]}),
        ("GatewayNotListed", {"selector": {"istio": "ingressgateway", "app": "istio-ingressgateway"}}),
    ]
    with _traffic(issuer.token(member.member)) as statuses:
        for reason, change in attempts:
            _change(neighbour, GATEWAY | change)
            wait(f"{reason} is said", lambda reason=reason: _reason(neighbour) == reason, seconds=30)
            assert {get_status(OURS, forged) for _ in range(9)} == {401}, change
            if reason != "GatewayNotListed":  # what it had it keeps
                assert get_status(neighbour.host, neighbour.token("m-0")) == 200
            _restore(neighbour, before)
            wait("it is as before", lambda: _reason(neighbour) == "AsExpected", seconds=30)
        neighbour.wait_served()
    assert set(statuses) == {200}, statuses
    assert statuses[200] > 10


def test_a_mistyped_certificate_cuts_nobodys_tls(member: Client, neighbour: Neighbour) -> None:
    _change(neighbour, {"tls": {"credentialName": "mistyped"}})
    wait("it is said", lambda: _reason(neighbour) == "CertificateMissing", seconds=30)
    try:
        for host, token in ((OURS, issuer.token(member.member)), (neighbour.host, neighbour.token("m-0"))):
            assert {get_status(host, token) for _ in range(6)} == {200}
    finally:
        _change(neighbour, {"tls": {"credentialName": None}})
