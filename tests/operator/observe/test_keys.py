"""Whether an issuer's keys can be had, asked of a real server."""

import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from harness import gateway_trials
from point_local.machine.pki import Authority
from point_operator.observe import keys

KEYS = b'{"keys": [{"kty": "RSA", "n": "n", "e": "AQAB"}]}'
ANSWERS: dict[str, tuple[int, bytes]] = {
    "/keys": (200, KEYS),
    "/empty": (200, b'{"keys": []}'),
    "/page": (200, b"<html>"),
    "/list": (200, b"[]"),
    "/gone": (404, b""),
    "/moved": (302, b""),
}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ssl.SSLContext]]:
    """An issuer's address, and whom to trust for it."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = ANSWERS[self.path]
            self.send_response(status)
            self.send_header("Location", "https://169.254.169.254/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name for it
            """Say nothing."""

    folder = tmp_path_factory.mktemp("issuer")
    certificate, key = Authority("issuer", folder / "ca.crt", folder / "ca.key").issue(
        "localhost", ["localhost"]
    )
    (folder / "server.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_port}", ssl.create_default_context(cafile=str(folder / "ca.crt"))
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/keys", ""),
        ("/moved", ""),
        ("/empty", "holds no key"),
        ("/page", "is no JSON Web Key Set"),
        ("/list", "is no JSON Web Key Set"),
        ("/gone", "answers 404"),
    ],
)
async def test_what_an_issuer_answers_is_told(
    issuer: tuple[str, ssl.SSLContext], path: str, said: str
) -> None:
    address, trust = issuer
    told = await keys.fetched(address + path, refused=lambda _: False, trust=trust)
    assert said in told
    assert bool(told) == bool(said)


async def test_nothing_of_a_spec_leads_to_the_machine_itself(issuer: tuple[str, ssl.SSLContext]) -> None:
    address, trust = issuer
    assert "is 127.0.0.1, an address inside" in await keys.fetched(f"{address}/keys", trust=trust)


@pytest.mark.parametrize(
    "uri", ["https://127.0.0.1/keys", "https://[::1]/keys", "http://login.example.com/keys"]
)
async def test_an_address_or_plain_text_is_never_asked(uri: str) -> None:
    assert "no https URL of a host with a name" in await keys.fetched(uri)


async def test_a_certificate_of_somebody_else_is_told(issuer: tuple[str, Any]) -> None:
    told = await keys.fetched(f"{issuer[0]}/keys", refused=lambda _: False)
    assert "can't be fetched" in told
    assert "certificate" in told.lower()


async def test_an_issuer_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # or its name would be asked for outside
    assert "jwksUri" in await keys.fetched("https://login.points.invalid/keys")


@pytest.mark.parametrize(
    ("address", "inside"),
    [("127.0.0.1", True), ("169.254.169.254", True), ("::1", True), ("0.0.0.0", True), ("8.8.8.8", False)],
)
def test_the_machine_and_its_link_are_inside(address: str, inside: bool) -> None:
    assert keys.is_inside(ipaddress.ip_address(address)) == inside


@pytest.mark.parametrize(
    ("jwks", "said"),
    [
        (gateway_trials.JWKS, ""),
        ('{"keys": []}', "holds no key: every token is refused"),
        ('{"keys": [', "no JSON"),
        ('{"keys": {}}', "no JSON"),
    ],
)
def test_keys_that_the_spec_holds_are_read(jwks: str, said: str) -> None:
    assert said in keys.given(jwks)
    assert bool(keys.given(jwks)) == bool(said)
