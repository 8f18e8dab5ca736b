"""An issuer that changes its keys: istiod fetches them anew, and an issuer that is away costs nothing."""

import json
import ssl
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from harness import mesh
from joserfc.jwk import RSAKey
from point_local.alone import apiserver
from point_local.machine.pki import Authority, write_secret
from point_local.programs import paths
from point_operator.model import api, gateways, kinds, names
from point_operator.resources import plan
from point_operator.resources.gateway.gateway import Sharer
from point_operator.resources.surroundings import Release, Surroundings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

HOST = "points.localhost"
REFRESH = 1
"""Seconds between two fetches of istiod here; the values of this project say a minute."""


class Keys(ThreadingHTTPServer):
    """An issuer's address of keys: it holds `key`, or answers 503 without one. And a service that answers anything."""

    daemon_threads = True
    key: RSAKey | None = None


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer."""
        key = self.server.key  # type: ignore[attr-defined]
        body = json.dumps({"keys": [key.as_dict(private=False)] if key else []}).encode()
        self.send_response(200 if key else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Say nothing."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Keys, Path]]:
    """The issuer's address and who signed its certificate."""
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority("issuer", folder / "ca.crt", folder / "ca.key")
    certificate, key = authority.issue("localhost", ["localhost"])
    (folder / "tls.crt").write_text(certificate)
    write_secret(folder / "tls.key", key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    with Keys(("127.0.0.1", 0), _Handler) as server:
        server.key = RSAKey.generate_key(2048, parameters={"kid": "first"})
        server.socket = context.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True).start()
        yield server, authority.cert
        server.shutdown()


@pytest.fixture(scope="module")
def door(keys: tuple[Keys, Path]) -> Iterator[mesh.Door]:
    """A gateway whose tokens are checked by the keys at that address."""
    missing = [*apiserver.missing_programs()]
    if missing or not (paths.BIN / "pilot-discovery").exists():
        pytest.skip(f"not built: {', '.join(missing)} pilot-discovery (point-local tools)")
    issuer, authority = keys
    uri = f"https://localhost:{issuer.server_port}/keys"
    spec = {
        "image": "i",
        "database": {"host": "h", "credentialsSecret": "a", "migrationSecret": "b"},
        "cache": {"host": "c"},
        "gateway": {
            "hosts": [HOST],
            "jwt": {"issuer": "https://issuer.localhost", "audiences": ["points"], "jwksUri": uri},
        },
    }
    tenant = api.parse({"metadata": {"name": "points", "namespace": "points", "uid": "u"}, "spec": spec})
    made = [*plan.build(tenant, Surroundings(), Release(tenant.spec.image)).everything]
    sharer = Sharer(tenant.namespace, tenant.name, tenant.spec.gateway.hosts, tenant.credential_name)
    for kind in (kinds.ENVOY_FILTER, kinds.GATEWAY):
        shared = plan.build_shared(kind, gateways.DEFAULT, [sharer])
        assert shared is not None
        made.append(shared)
    with Keys(("127.0.0.1", 0), _Handler) as service:
        service.key = issuer.key
        Thread(target=service.serve_forever, daemon=True).start()
        with (
            apiserver.start([apiserver.istio_crds()]) as server,
            mesh.gateway(
                server,
                made,
                {names.service_host(tenant): service.server_port},
                SSL_CERT_FILE=str(authority),
                PILOT_JWT_PUB_KEY_REFRESH_INTERVAL=f"{REFRESH}s",
            ) as running,
        ):
            yield running
        service.shutdown()


def test_new_keys_are_believed_and_old_ones_no_more_and_an_issuer_that_is_away_changes_nothing(
    keys: tuple[Keys, Path], door: mesh.Door, issuer: Any
) -> None:
    address, _ = keys
    first, issuer = address.key, type(issuer)()

    def status(key: RSAKey | None) -> int:
        issuer.key = key
        context = ssl.create_default_context(cafile=str(door.authority))
        with httpx.Client(verify=context) as client:
            return client.get(
                f"https://127.0.0.1:{door.port}/v1/points",
                headers={"host": HOST, "authorization": f"Bearer {issuer.token()}"},
                extensions={"sni_hostname": HOST},
            ).status_code

    def wait_for(key: RSAKey | None, wanted: int) -> None:
        deadline = time.monotonic() + 30
        while (seen := status(key)) != wanted:
            assert time.monotonic() < deadline, seen
            time.sleep(0.2)

    wait_for(first, 200)
    second = RSAKey.generate_key(2048, parameters={"kid": "second"})
    assert status(second) == 401
    address.key = second
    wait_for(second, 200)
    assert status(first) == 401
    address.key = None
    time.sleep(5 * REFRESH)  # what istiod makes of an issuer that answers 503, several times
    assert status(second) == 200
