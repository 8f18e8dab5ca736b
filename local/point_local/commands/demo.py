"""`make demo`: what members and the shop can do, and what they can't, through the real gateway."""

import json
import secrets
import ssl
from collections.abc import Mapping

import httpx
from rich.markup import escape

from point_local.programs.command import LocalError
from point_local.programs.progress import console
from point_local.stack import application, edge, issuer


class Client:
    """Calls the point service through the edge as one member; leaving its block closes its connections."""

    def __init__(self, member: str) -> None:
        self.member = member
        context = ssl.create_default_context(cafile=str(edge.ca()))
        self._http = httpx.Client(base_url=edge.url(application.hosts()[0]), verify=context, timeout=10)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        role: str | None = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request with the member's token (in `role`, if given), or with `token` as it is ("" sends none)."""
        token = issuer.token(self.member, role) if token is None else token
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        if method == "POST":
            sent["Idempotency-Key"] = secrets.token_urlsafe(12)
        try:
            return self._http.request(method, path, json=body, headers={**sent, **(headers or {})})
        except httpx.HTTPError as error:
            raise LocalError(
                f"{method} {path}: no answer from the edge ({error}): see `make status`"
            ) from error


def earn_and_use() -> None:
    """One earn and one use by a new member. Raises LocalError when either is refused."""
    with Client(f"m-{secrets.token_hex(4)}") as client:
        earned = client.call("POST", "/v1/points/earn", {"amount": 1000}, role="service")
        used = client.call("POST", "/v1/points/use", {"order_id": "o-1", "amount": 300})
    if (earned.status_code, used.status_code) != (201, 201):
        raise LocalError(
            f"earn answered {earned.status_code}: {earned.text}, use {used.status_code}: {used.text}"
        )
    console.print(
        f"[green]✓[/] member {client.member} earned 1000 and used 300 through {edge.url(application.hosts()[0])}: "
        f"balance {used.json()['balance']}",
        highlight=False,
    )


def run() -> None:
    """Every step with its request and its answer. Raises LocalError at the first answer that is not as it must be."""
    with Client(f"m-{secrets.token_hex(4)}") as client:
        _run(client)


def _run(client: Client) -> None:
    member = client.member

    def step(title: str, expected: int, method: str, path: str, **how: object) -> httpx.Response:
        body = how.get("body")
        console.rule(f"[bold]{escape(title)}", align="left")
        sent = {"as": how.get("role") or "member", **(how.get("headers") or {})}  # pyright: ignore[reportGeneralTypeIssues]
        if how.get("token") == "":
            sent["as"] = "nobody"
        console.print(
            f"→ {method} {path}  {escape(json.dumps(body) if body else '')}  [dim]{escape(str(sent))}[/]"
        )
        answer = client.call(method, path, **how)  # pyright: ignore[reportArgumentType]
        console.print(f"← {answer.status_code}  {escape(answer.text)}", highlight=False)
        if answer.status_code != expected:
            raise LocalError(f"{title}: expected {expected}, got {answer.status_code}")
        return answer

    console.print(f"member {member}, token {issuer.token(member)[:32]}…", highlight=False)
    step("The shop grants 1000", 201, "POST", "/v1/points/earn", body={"amount": 1000}, role="service")
    step(
        "and 500 more",
        201,
        "POST",
        "/v1/points/earn",
        body={"amount": 500, "expires_in_days": 30},
        role="service",
    )
    step("A member can't grant", 403, "POST", "/v1/points/earn", body={"amount": 1000})
    use = {"order_id": "o-1", "amount": 1200}
    step("The member uses 1200, soonest to expire first", 201, "POST", "/v1/points/use", body=use)
    step("What is left", 200, "GET", "/v1/points")
    step("Where the order's points came from", 200, "GET", "/v1/points/orders/o-1")
    step("More than there is", 409, "POST", "/v1/points/use", body={"order_id": "o-2", "amount": 1200})
    step("No token", 403, "GET", "/v1/points", token="")
    spoof = {"X-Member-Id": "somebody-else", "X-Member-Role": "admin"}
    answer = step("Claiming to be somebody else", 200, "GET", "/v1/points", headers=spoof)
    if answer.json()["member_id"] != member:
        raise LocalError(f"the spoofed X-Member-Id reached the service: {answer.text}")
    console.print(f"  the header was dropped: the answer is still {member}'s", highlight=False)
    step("and to be the shop", 403, "POST", "/v1/points/earn", body={"amount": 1000}, headers=spoof)
    console.print("[green]✓[/] every step as it must be")
