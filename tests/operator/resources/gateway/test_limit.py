"""How many requests get through: no more than the limit, for all hosts of a PointService together."""

import time
from collections import Counter
from typing import Any

import httpx
import msgspec
import pytest
from point_operator.model import api
from point_operator.resources.gateway import rate_limit
from point_operator.resources.surroundings import Surroundings

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("host", ["points.localhost", "POINTS.localhost:443", "also.localhost"])
def test_no_more_than_the_limit_passes(gateway: str, limit: int, host: str) -> None:
    seconds = 2.0
    with httpx.Client(base_url=gateway, headers={"host": host}) as client:
        _empty_the_bucket(client, limit)
        answers: Counter[int] = Counter()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answers[client.get("/v1/points").status_code] += 1
    assert answers[429] > 0
    assert answers[200] <= 1.05 * limit * seconds
    assert answers[200] > 0.7 * limit * seconds  # what a client that was held up did not ask for is lost


def test_all_hosts_share_one_limit(gateway: str, limit: int) -> None:
    with httpx.Client(base_url=gateway) as client:
        _empty_the_bucket(client, limit)
        answers = [client.get("/v1/points", headers={"host": "also.localhost"}).status_code for _ in range(5)]
    assert 429 in answers


def test_other_hosts_have_no_limit(gateway: str, limit: int) -> None:
    with httpx.Client(base_url=gateway, headers={"host": "other.localhost"}) as client:
        assert {client.get("/v1/points").status_code for _ in range(4 * limit)} == {200}


def test_one_member_takes_no_more_than_its_share_and_nothing_from_others(
    gateway: str, limit: int, issuer: Any
) -> None:
    greedy, modest = (f"Bearer {issuer.token(sub=sub)}" for sub in ("greedy", "modest"))
    headers = {"host": "points.localhost", "authorization": greedy}
    with httpx.Client(base_url=gateway) as client:
        answers = Counter(client.get("/v1/points", headers=headers).status_code for _ in range(4 * limit))
        assert client.get("/v1/points", headers=headers | {"authorization": modest}).status_code == 200
    assert answers[200] < limit / 2
    assert answers[429] > 0


def test_a_system_that_names_members_in_the_address_has_one_share_for_all_of_them(
    gateway: str, limit: int, issuer: Any
) -> None:
    greedy, modest = (f"Bearer {issuer.token(sub=sub, role='service')}" for sub in ("orders", "promotions"))
    headers = {"host": "points.localhost", "authorization": greedy}
    with httpx.Client(base_url=gateway) as client:
        answers = Counter(
            client.get(f"/v1/members/m-{one}", headers=headers).status_code for one in range(4 * limit)
        )
        assert client.get("/v1/members/m-1", headers=headers | {"authorization": modest}).status_code == 200
    assert answers[200] < limit / 2
    assert answers[429] > 0


def test_a_refusal_says_when_to_come_back(gateway: str, limit: int) -> None:
    with httpx.Client(base_url=gateway) as client:
        answer = _empty_the_bucket(client, limit)
    assert (answer.headers["retry-after"], answer.headers["x-local-rate-limit"]) == ("1", "true")
    assert answer.headers["ratelimit"] == '"service";r=0;t=1'
    assert answer.headers["ratelimit-policy"] == f'"service";q={limit};w=1'


def test_a_refusal_says_that_it_was_the_member_s_own_limit(gateway: str, limit: int, issuer: Any) -> None:
    headers = {"host": "points.localhost", "authorization": f"Bearer {issuer.token(sub='eager')}"}
    with httpx.Client(base_url=gateway, headers=headers) as client:
        answers = [client.get("/v1/points") for _ in range(limit)]
    # The service's own bucket may still be empty from another test: then that one refuses at first.
    said = {one.headers.get("ratelimit-policy") for one in answers if one.status_code == 429}
    assert '"member";q=5;w=1' in said


def test_health_checks_take_nothing_from_the_limit(
    point_service: api.PointService, run_gateway: Any, issuer: Any
) -> None:
    once = api.RateLimit(requests_per_second=1, burst=1)
    strict = msgspec.structs.replace(
        point_service,
        spec=msgspec.structs.replace(
            point_service.spec, gateway=msgspec.structs.replace(point_service.spec.gateway, rate_limit=once)
        ),
    )
    headers = {"host": "points.localhost"}
    token = {"authorization": f"Bearer {issuer.token()}"}
    with (
        run_gateway(strict, rate_limit.build(strict, Surroundings())) as url,
        httpx.Client(base_url=url, headers=headers) as client,
    ):
        assert [client.get("/healthz").status_code for _ in range(8)] == [200] * 8
        assert client.get("/v1/points", headers=token).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/healthz?x=/v1/points"])
def test_who_floods_health_checks_is_refused_and_nobody_else(gateway: str, path: str) -> None:
    flooding, other = ({"host": "points.localhost", "x-forwarded-for": f"192.0.2.{n}"} for n in (251, 252))
    with httpx.Client(base_url=gateway) as client:
        began = time.monotonic()
        answers = [client.get(path, headers=flooding) for _ in range(200)]
        took = time.monotonic() - began
        assert client.get("/healthz", headers=other).status_code == 200
    refused = [one for one in answers if one.status_code == 429]
    assert len(answers) - len(refused) <= 10 * (1 + took) + 1
    assert refused[0].headers["ratelimit-policy"] == '"health";q=10;w=1'


def _empty_the_bucket(client: httpx.Client, limit: int) -> httpx.Response:
    """Ask until refused; return the refusal."""
    for _ in range(20 * limit):
        answer = client.get("/v1/points", headers={"host": "points.localhost"})
        if answer.status_code == 429:
            return answer
    pytest.fail("never refused")
