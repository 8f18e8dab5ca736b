"""How many requests get through: no more than the limit, for all hosts of a PointService together."""

import time
from collections import Counter
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("host", ["points.localhost", "POINTS.localhost:443", "also.localhost"])
def test_no_more_than_the_limit_passes(gateway: str, limit: int, host: str) -> None:
    seconds = 2.0
    with httpx.Client(base_url=gateway, headers={"host": host}) as client:
        _empty_the_bucket(client, limit)
        answers: Counter[int] = Counter()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answers[client.get("/").status_code] += 1
    assert answers[429] > 0
    assert answers[200] <= 1.05 * limit * seconds
    assert answers[200] > 0.7 * limit * seconds  # what a client that was held up did not ask for is lost


def test_all_hosts_share_one_limit(gateway: str, limit: int) -> None:
    with httpx.Client(base_url=gateway) as client:
        _empty_the_bucket(client, limit)
        answers = [client.get("/", headers={"host": "also.localhost"}).status_code for _ in range(5)]
    assert 429 in answers


def test_other_hosts_have_no_limit(gateway: str, limit: int) -> None:
    with httpx.Client(base_url=gateway, headers={"host": "other.localhost"}) as client:
        assert {client.get("/").status_code for _ in range(4 * limit)} == {200}


def test_one_member_takes_no_more_than_its_share_and_nothing_from_others(
    gateway: str, limit: int, issuer: Any
) -> None:
    greedy, modest = (f"Bearer {issuer.token(sub=sub)}" for sub in ("greedy", "modest"))
    headers = {"host": "points.localhost", "authorization": greedy}
    with httpx.Client(base_url=gateway) as client:
        answers = Counter(client.get("/", headers=headers).status_code for _ in range(4 * limit))
        assert client.get("/", headers=headers | {"authorization": modest}).status_code == 200
    assert answers[200] < limit / 2
    assert answers[429] > 0


def test_a_refusal_says_when_to_come_back(gateway: str, limit: int) -> None:
    with httpx.Client(base_url=gateway) as client:
        answer = _empty_the_bucket(client, limit)
    assert (answer.headers["retry-after"], answer.headers["x-local-rate-limit"]) == ("1", "true")


def _empty_the_bucket(client: httpx.Client, limit: int) -> httpx.Response:
    """Ask until refused; return the refusal."""
    for _ in range(20 * limit):
        answer = client.get("/", headers={"host": "points.localhost"})
        if answer.status_code == 429:
            return answer
    pytest.fail("never refused")
