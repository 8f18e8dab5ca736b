"""What someone may try at the gateway: forged tokens, headers and paths, broken framing. Data, and how to send it.

The same table is thrown at our filters in a plain Envoy (tests/operator/gateway) and at the running stack
(tests/e2e).
"""

import base64
import hmac
import json
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from joserfc import jwt
from joserfc.jwk import RSAKey

VICTIM = "m-victim"
"""The member that the attacker wants to be. Nothing that a server says to an attacker may hold this name."""

Header = tuple[str, str]


class Signer(Protocol):
    """An issuer whose tokens the gateway believes; its key is used for good tokens and to build bad ones."""

    @property
    def key(self) -> RSAKey:
        """The private key."""
        ...

    def claims(self, **changes: object) -> dict[str, object]:
        """Claims of a good token, with changes; None leaves one out."""
        ...


SPOOFS: dict[str, list[Header]] = {
    "the header itself": [("X-Member-Id", VICTIM)],
    "twice, in two cases": [("x-member-id", VICTIM), ("X-MEMBER-ID", "other")],
    "the role": [("X-Member-Role", "admin")],
    "the client": [("X-Client-Id", VICTIM), ("x_client_id", VICTIM), ("X-CLIENT_ID", VICTIM)],
    "underscores": [("x_member_id", VICTIM), ("X_Member_Role", "admin")],
    "underscores and dashes": [("x-member_id", VICTIM), ("x_member-role", "admin")],
    "empty ones": [("X-Member-Id", ""), ("X-Member-Role", ""), ("X-Client-Id", "")],
}
"""Identity headers as a client may write them."""

UNASKED_PLACES = ["access_token", "Authorization", "token"]
"""Query parameters in which a token must not be looked for."""

OTHER_HEADERS = ["x-forwarded-authorization", "cookie", "proxy-authorization"]
"""Headers in which a token must not be looked for."""

FORGERIES: dict[str, Callable[[Signer], str]] = {
    "another issuer": lambda by: good(by, iss="https://evil"),
    "no issuer": lambda by: good(by, iss=None),
    "an issuer that starts like ours": lambda by: good(by, iss=f"{by.claims()['iss']}/evil"),
    "another audience": lambda by: good(by, aud="other"),
    "no audience": lambda by: good(by, aud=None),
    "expired": lambda by: good(by, exp=int(time.time()) - 3600),
    "not valid yet": lambda by: good(by, nbf=int(time.time()) + 3600),
    "another key of the same name": lambda by: _by_a_stranger(by, str(by.key.kid)),
    "an unknown key": lambda by: _by_a_stranger(by, "z"),
    "no signature": lambda by: good(by).rpartition(".")[0] + ".",
    "a cut signature": lambda by: good(by)[:-8],
    "another payload": lambda by: _with(by, payload=by.claims(sub=VICTIM)),
    "algorithm none": lambda by: _with(by, header={"alg": "none"}, signature=""),
    "algorithm None with our key's name": lambda by: _with(
        by, header={"alg": "None", "kid": by.key.kid}, signature=""
    ),
    "HS256 with the public key as secret": lambda by: _confused(by),
    "garbage": lambda _: "garbage",
    "two dots": lambda _: "..",
    "not JSON": lambda by: _with(by, header="x", payload="y"),
}
"""Tokens that must not be believed."""

SNEAKS = [
    "/v1/points",
    "//v1/points",
    "/v1//points",
    "/./v1/points",
    "/healthz/../v1/points",
    "/healthz/%2e%2e/v1/points",
    "/healthz/..%2fv1/points",
    "/healthz/%2e%2e%2fv1%2fpoints",
    "/healthz;/../v1/points",
    "/healthz;a=b/../v1/points",
    "/healthz/..;/v1/points",
    "/healthz\\..\\v1\\points",
    "/%76%31/points",
    "/V1/points",
    "/healthz%00/v1/points",
    "/healthz?/../v1/points",
    "/healthz#/../v1/points",
    f"/v1/members/{VICTIM}",
    f"/healthz/..%2fv1/members/{VICTIM}",
    "/metrics",
    "/readyz",
    "/openapi.json",
    "/stats/prometheus",
]
"""Request targets that someone without a token may ask for, in the hope of reaching what needs one."""

_NAMED = [
    (f"/v1/members/{VICTIM}", ""),
    (f"/v1/members/{VICTIM.replace('-', '%2D')}", ""),
    (f"/v1/members/{base64.urlsafe_b64encode(VICTIM.encode()).decode()}", "?encoding=base64url"),
]
_ACTS: dict[str, dict[str, object] | None] = {
    "": None,
    "/grants": None,
    "/history": None,
    "/orders/o-1": None,
    "/earn": {"amount": 1000},
    "/earn/1/cancel": {},
    "/use": {"order_id": "o-1", "amount": 1},
    "/use/cancel": {"order_id": "o-1", "amount": 1},
}
NAMINGS = [(address + act + query, body) for address, query in _NAMED for act, body in _ACTS.items()]
"""Targets that name the victim, which the shop's systems may ask for and no member; with a body it is a POST."""

_FOR_POST = ("Access-Control-Request-Method", "POST")
PREFLIGHTS: dict[str, list[Header]] = {
    "of an origin that is not allowed": [("Origin", "https://evil.example.com"), _FOR_POST],
    "of an origin that starts like one": [("Origin", "https://shop.example.com.evil.example.com"), _FOR_POST],
    "of no origin": [_FOR_POST],
    "without the method it is for": [("Origin", "https://shop.example.com")],
}
"""OPTIONS requests that are no preflight of the shop's pages."""


@dataclass(frozen=True)
class Smuggle:
    """Bytes whose framing two servers may read differently; the second request in them is the victim's."""

    name: str
    request: bytes


def good(by: Signer, **changes: object) -> str:
    """A token that is signed as it should be."""
    return jwt.encode({"alg": "RS256", "kid": str(by.key.kid)}, by.claims(**changes), by.key)


def request(method: str, target: str, headers: list[Header], body: bytes = b"") -> bytes:
    """An HTTP/1.1 request, byte for byte: no client puts it in order."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def smuggles(host: str, token: str) -> list[Smuggle]:
    """Every framing trick, each around a read of the victim's points; `token` is the attacker's own."""
    inner = request(
        "GET", "/v1/points", [("Host", host), ("X-Member-Id", VICTIM), ("X-Member-Role", "admin")]
    )
    size, end, victim = len(inner), b"0\r\n\r\n", VICTIM.encode()
    own = [("Host", host), ("Authorization", f"Bearer {token}"), ("Idempotency-Key", "smuggle")]
    upgrade = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")]

    def post(name: str, extra: list[Header], body: bytes) -> Smuggle:
        return Smuggle(name, request("POST", "/v1/points/use", [*own, *extra]) + body)

    def read(name: str, *extra: Header) -> Smuggle:
        return Smuggle(name, request("GET", "/v1/points", [*own, *extra]))

    te, length = ("Transfer-Encoding", "chunked"), ("Content-Length", str(size + len(end)))
    one_chunk = b"%x\r\n%b\r\n%b" % (size, inner, end)
    trailer = b"0\r\nX-Member-Id: %b\r\n\r\n" % victim
    elsewhere = request("GET", f"http://{host}/v1/points", [("Host", "a.localhost")])
    return [
        post("length and chunks", [length, te], end + inner),
        post("chunks and length", [te, length], end + inner),
        post("chunks and a short length", [te, ("Content-Length", "4")], one_chunk),
        post("an unknown coding", [length, ("Transfer-Encoding", "xchunked")], end + inner),
        post("two codings", [length, te, ("Transfer-Encoding", "identity")], end + inner),
        post("a space before the colon", [length, ("Transfer-Encoding ", "chunked")], end + inner),
        post("a tab in the coding", [length, ("Transfer-Encoding", "\tchunked\x0b")], end + inner),
        post("a folded coding", [length, ("Transfer-Encoding", "\r\n chunked")], end + inner),
        post("two lengths", [("Content-Length", "0"), ("Content-Length", str(size))], inner),
        post("lengths in a list", [("Content-Length", f"0, {size}")], inner),
        post("a signed length", [("Content-Length", f"+{size}")], inner),
        post("a negative length", [("Content-Length", "-1")], inner),
        post("an endless chunk size", [te], b"f" * 20 + b"\r\n" + inner),
        post("identity in a trailer", [te, ("Trailer", "X-Member-Id")], trailer),
        read("a bare line feed", ("A", f"b\nX-Member-Id: {VICTIM}")),
        read("a bare carriage return", ("A", f"b\rX-Member-Id: {VICTIM}")),
        read("a folded header", ("A", f"b\r\n X-Member-Id: {VICTIM}")),
        read("a NUL in a header", ("X-Member-Id", f"\0{VICTIM}")),
        read("two hosts", ("Host", "other.localhost")),
        read("identity named as hop by hop", ("Connection", "close, X-Member-Id")),
        Smuggle("another host in the target", elsewhere),
        Smuggle("a body of the health check", request("GET", "/healthz", [("Host", host)], inner)),
        Smuggle("an upgrade to HTTP/2", request("GET", "/healthz", [("Host", host), *upgrade]) + inner),
        Smuggle("a tunnel", request("CONNECT", f"{host}:443", [("Host", host)]) + inner),
        Smuggle("an old protocol", b"GET /v1/points HTTP/1.0\r\nX-Member-Id: %b\r\n\r\n" % victim),
    ]


def send(
    address: tuple[str, int],
    context: ssl.SSLContext,
    name: str,
    data: bytes,
    *,
    seconds: float = 2.0,
    enough: Callable[[bytes], bool] = lambda _: False,
) -> bytes:
    """Send bytes over TLS; return all that is answered.

    Returns when it is `enough`, the server closes, or it is silent for `seconds`.
    """
    answered = bytearray()
    with (
        socket.create_connection(address, timeout=seconds) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        try:
            secure.sendall(data)
            while part := secure.recv(1 << 16):
                answered += part
                if enough(bytes(answered)):
                    break
        except (TimeoutError, OSError):  # silent, or it has had enough of us
            pass
    return bytes(answered)


def whole(answered: bytes) -> bool:
    """Whether one answer is there to its end, by the length that it tells."""
    head, end, body = answered.partition(b"\r\n\r\n")
    told = [line.split(b":")[1] for line in head.lower().splitlines() if line.startswith(b"content-length:")]
    return bool(end and told) and len(body) >= int(told[0])


def statuses(answered: bytes) -> list[int]:
    """The status of each answer."""
    return [int(line.split()[1]) for line in answered.splitlines() if line.startswith(b"HTTP/1.1 ")]


def _by_a_stranger(by: Signer, key_name: str) -> str:
    stranger = RSAKey.generate_key(2048, parameters={"kid": key_name})
    return jwt.encode({"alg": "RS256", "kid": key_name}, by.claims(), stranger)


def _with(by: Signer, **parts: object) -> str:
    """A good token of which some parts were exchanged without signing it anew."""
    own = dict(zip(("header", "payload", "signature"), good(by).split("."), strict=True))
    changed: Mapping[str, str] = {name: _encoded(part) if part != "" else "" for name, part in parts.items()}
    return ".".join((own | changed).values())


def _confused(by: Signer) -> str:
    """A token whose HMAC secret is the public key, for a checker that lets the token choose the algorithm."""
    signed = f"{_encoded({'alg': 'HS256', 'kid': by.key.kid})}.{_encoded(by.claims())}"
    mac = hmac.digest(by.key.as_pem(private=False), signed.encode(), "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
