"""The edge's plain-HTTP port, in the real Envoy: who reads is sent to HTTPS, the API and what has a body is refused."""

import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest
from point_local.alone.ports import free_port
from point_local.build import tools
from point_local.machine.pki import Authority, write_secret
from point_local.stack import manifests

pytestmark = pytest.mark.integration
HOST = "points.localhost"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of the plain port of an edge with nothing behind it."""
    state = tmp_path_factory.mktemp("edge")
    authority = Authority("edge", state / "ca.crt", state / "ca.key")
    certificate, key = authority.issue(HOST, [HOST])
    (state / "tls.crt").write_text(certificate)
    write_secret(state / "tls.key", key)
    port = free_port()
    text = manifests.render(
        "edge",
        state=state,
        ca=authority.cert,
        host=HOST,
        targets=["127.0.0.1"],
        https_port=free_port(),
        http_port=port,
    )
    (state / "envoy.yaml").write_text(text)
    log = state / "envoy.log"
    command = [
        str(tools.envoy()),
        "-c",
        str(state / "envoy.yaml"),
        "--disable-hot-restart",
        "--concurrency",
        "1",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 30
        while not _answers(port):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/healthz")
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_reads_is_sent_to_https(plain: str, method: str) -> None:
    answer = httpx.request(method, f"{plain}/healthz?a=b", headers={"host": HOST})
    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{HOST}/healthz?a=b")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/points"), ("POST", "/v1/points/use"), ("POST", "/healthz"), ("PUT", "/"), ("DELETE", "/")],
)
def test_the_api_and_what_has_a_body_is_refused(plain: str, method: str, path: str) -> None:
    answer = httpx.request(method, f"{plain}{path}", headers={"host": HOST})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert answer.json()["status"] == 403
    assert "location" not in answer.headers
