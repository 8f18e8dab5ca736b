"""What members and the shop do, through TLS, the gateway, the mesh, the service, Redis and MySQL."""

import json
import ssl
import subprocess
import urllib.request
from urllib.parse import quote

import pytest
from point_local.commands.demo import Client
from point_local.failover import controller
from point_local.programs import paths
from point_local.programs.command import run
from point_local.stack import data, edge

pytestmark = pytest.mark.e2e


def test_points_earned_by_the_shop_are_used_by_the_member(member: Client) -> None:
    earned = member.call("POST", "/v1/points/earn", {"amount": 1000}, role="service")
    assert earned.status_code == 201
    assert earned.json()["balance"] == 1000
    used = member.call("POST", "/v1/points/use", {"order_id": "o-1", "amount": 300})
    assert used.status_code == 201
    assert used.json()["allocations"] == [{"grant_id": earned.json()["grant_id"], "amount": 300}]
    assert member.call("GET", "/v1/points").json()["balance"] == 700


def test_a_member_can_not_grant_points(member: Client) -> None:
    assert member.call("POST", "/v1/points/earn", {"amount": 1000}).status_code == 403


def test_the_same_key_gives_the_same_answer_once(member: Client) -> None:
    member.call("POST", "/v1/points/earn", {"amount": 100}, role="service")
    body, key = {"order_id": "o-1", "amount": 60}, {"Idempotency-Key": "same"}
    first = member.call("POST", "/v1/points/use", body, headers=key)
    again = member.call("POST", "/v1/points/use", body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert member.call("GET", "/v1/points").json()["balance"] == 40


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ({"order_id": "o-9", "amount": 101}, {}, 409),
        ({"order_id": "o-9", "amount": 0}, {}, 422),
        ({"order_id": "o-9", "amount": 1}, {"Idempotency-Key": ""}, 400),
        ({"order_id": "o-1", "amount": 1}, {}, 409),
        ({"order_id": "o-9", "amount": 2}, {"Idempotency-Key": "taken"}, 422),
    ],
    ids=["more than there is", "no amount", "no key", "an order already used", "a key with another body"],
)
def test_a_refusal_is_a_problem_document(
    member: Client, body: dict[str, object], headers: dict[str, str], status: int
) -> None:
    member.call("POST", "/v1/points/earn", {"amount": 100}, role="service")
    first = {"order_id": "o-1", "amount": 1}
    member.call("POST", "/v1/points/use", first, headers={"Idempotency-Key": "taken"})
    answer = member.call("POST", "/v1/points/use", body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert member.call("GET", "/v1/points").json()["balance"] == 99


@pytest.mark.parametrize("subject", ["auth0|ab/c+d==", "https://id.example.com/users/7?a=b&c#d"])
def test_whoever_the_issuer_names_is_a_member_also_in_an_address(subject: str) -> None:
    with Client(subject) as client:
        assert client.call("GET", "/v1/points").json()["member_id"] == subject
        address = f"/v1/admin/members/{quote(subject, safe='')}"
        assert client.call("GET", address, role="admin").json()["member_id"] == subject
        assert client.call("GET", f"{address}/history", role="admin").json() == {
            "entries": [],
            "next_cursor": None,
        }


def test_an_acknowledged_use_is_on_all_three_copies(member: Client) -> None:
    member.call("POST", "/v1/points/earn", {"amount": 100}, role="service")
    writer = controller.recorded_writer()
    count = f"SELECT COUNT(*) FROM points.ledger_entry WHERE member_id = '{member.member}'"
    position = data.execute(writer, "SELECT @@GLOBAL.gtid_executed").replace("\n", "")
    for copy in set("abc") - {writer}:
        assert data.execute(copy, f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{position}', 20)").strip() == "0"
        assert data.execute(copy, count).strip() == "1"


def test_the_printed_handles_work_as_they_are() -> None:
    url, ca = (
        run(["make", "-s", "url"], cwd=paths.ROOT).strip(),
        run(["make", "-s", "ca"], cwd=paths.ROOT).strip(),
    )
    curl = subprocess.run(
        ["curl", "-sS", "--cacert", ca, f"{url}/healthz"], capture_output=True, text=True, check=True
    )
    assert json.loads(curl.stdout)["status"] == "ok"
    with urllib.request.urlopen(f"{url}/healthz", context=ssl.create_default_context(cafile=ca)) as answer:
        assert answer.status == 200
    kubeconfig = run(["make", "-s", "kubeconfig"], cwd=paths.ROOT).strip()
    assert kubeconfig == str(paths.KUBECONFIG)
    token = run(["make", "-s", "token", "MEMBER=m-handles", "ROLE=admin"], cwd=paths.ROOT).strip()
    with Client("m-handles") as client:
        assert client.call("GET", "/v1/points", token=token).status_code == 200


def test_plain_http_is_sent_to_https() -> None:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"]
    host = edge.url("points.localhost").removeprefix("https://")
    out = subprocess.run([*command, f"http://{host}/healthz"], capture_output=True, text=True, check=True)
    assert out.stdout == f"301 https://{host}/healthz"


def test_a_call_of_the_api_by_plain_http_is_refused() -> None:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "--json", "{}"]
    host = edge.url("points.localhost").removeprefix("https://")
    out = subprocess.run(
        [*command, f"http://{host}/v1/points/use"], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "403"


def test_the_demo_ends_well() -> None:
    run(["make", "-s", "demo"], cwd=paths.ROOT)
