"""Admission webhooks that a test needs: one that is down, and one that takes its time."""

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from point_operator.model.kinds import Kind

CONFIGURATION = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
)


@contextmanager
def asked(kube: Any, kind: Kind, namespace: str, url: str, authority: bytes = b"") -> Generator[None]:
    """Have the API server ask `url` before anything of a kind is made or changed in a namespace."""
    client = {"url": url, "caBundle": base64.b64encode(authority).decode()}
    rule = {
        "apiGroups": [kind.group],
        "apiVersions": [kind.version],
        "operations": ["CREATE", "UPDATE"],
        "resources": [kind.plural],
    }
    webhook = {
        "name": "test.pointservice.io",
        "clientConfig": client,
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 30,
    }
    name = f"test-{namespace}"
    kube.create(CONFIGURATION, {"metadata": {"name": name}, "webhooks": [webhook]})
    try:
        yield
    finally:
        kube.delete(CONFIGURATION, "", name)


@contextmanager
def down(kube: Any, kind: Kind, namespace: str) -> Generator[None]:
    """A webhook at whose address nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with asked(kube, kind, namespace, f"https://127.0.0.1:{free.getsockname()[1]}/"):
            yield


@contextmanager
def slow(
    kube: Any, kind: Kind, namespace: str, seconds: float, denial: str = ""
) -> Generator[threading.Event]:
    """A webhook that allows everything after `seconds`, or denies it; the event is set when it has been asked."""
    been_asked = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            review = msgspec.json.decode(self.rfile.read(int(self.headers["Content-Length"])))
            been_asked.set()
            time.sleep(seconds)
            answer = {"uid": review["request"]["uid"], "allowed": not denial, "status": {"message": denial}}
            body = msgspec.json.encode(
                {key: review[key] for key in ("apiVersion", "kind")} | {"response": answer}
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked may have gone
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its parent's name for it
            """Say nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    directory = kube.server.directory
    certificate, key = kube.server.authority.issue("webhook", ["127.0.0.1"])
    (directory / "webhook.pem").write_text(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "webhook.pem")
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    url = f"https://127.0.0.1:{listening.server_port}/"
    try:
        with asked(kube, kind, namespace, url, (directory / "ca.crt").read_bytes()):
            yield been_asked
    finally:
        listening.shutdown()
        listening.server_close()


@contextmanager
def denying(kube: Any, kind: Kind, namespace: str, message: str) -> Generator[None]:
    """A webhook that denies everything."""
    with slow(kube, kind, namespace, 0, message):
        yield
