"""What a page of the shop, in a real browser, reads of the running stack's refusals."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import browser
from point_local.programs.command import wait
from point_local.stack import application, edge, issuer

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

HOST = application.hosts()[0]
EDGE = {HOST: ("127.0.0.1", edge.HTTPS_PORT)}


def _ask(path: str, token: str = "", **more: Any) -> browser.Asked:
    headers = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"} | more.pop("headers", {})
    if token:
        headers |= {"authorization": f"Bearer {token}"}
    return browser.Asked(url=f"https://{HOST}{path}", headers=headers, **more)


def test_a_page_of_the_shop_reads_every_refusal(tmp_path: Path) -> None:
    token = issuer.token("m-browser")
    key = {"idempotency-key": "browser", "content-type": "application/json"}
    asked = [
        _ask("/v1/points", token),
        _ask("/v1/points", "garbage"),
        _ask("/v1/points"),
        _ask("/metrics", token),
        _ask("/v1/points/earn", token, method="POST", headers=key, body='{"amount": 1}'),
        _ask("/v1/nothing", token),
    ]
    allowed, *refused = browser.read("shop.example.com", asked, tmp_path, EDGE)
    assert allowed.status == 200
    assert [one.problem() for one in refused] == [
        (401, "invalid-token"),
        (403, "no-token"),
        (403, "forbidden"),
        (403, "role-missing"),
        (404, "not-found"),
    ]


def test_a_page_of_the_shop_reads_which_limit_it_met(
    pointservice: Callable[[dict[str, Any]], None], tmp_path: Path
) -> None:
    pointservice({"gateway": {"rateLimit": {"perMember": {"requestsPerSecond": 1, "burst": 1}}}})
    tries = iter(range(100))

    def refused() -> browser.Seen | None:
        folder = tmp_path / str(next(tries))
        folder.mkdir()
        asked = [_ask("/v1/points", issuer.token("m-eager"))] * 20
        seen = browser.read("shop.example.com", asked, folder, EDGE)
        return next((one for one in seen if one.status != 200), None)

    seen: list[browser.Seen] = []
    wait("a refusal", lambda: bool(seen.extend(filter(None, [refused()])) or seen), seconds=60)
    assert seen[0].problem() == (429, "too-many-requests")
    assert seen[0].headers["retry-after"] == "1"
    assert seen[0].headers["ratelimit-policy"] == '"member";q=1;w=1'


def test_a_page_of_another_site_reads_nothing(tmp_path: Path) -> None:
    asked = [_ask("/v1/points", issuer.token("m-browser")), browser.Asked(url=f"https://{HOST}/v1/points")]
    seen = browser.read("evil.example.com", asked, tmp_path, EDGE)
    assert [one.status for one in seen] == [0, 0]
