"""The service's image under another name and with another way to start: what a release, good or bad, would be.

Only the image's configuration is new. Its layers are on the machines already, so that a variant takes a second.
"""

import hashlib
import io
import json
import tarfile
from typing import Any, cast

from point_local.machine.cluster import WORKERS
from point_local.machine.node import Node
from point_local.programs import paths, versions

PYTHON = "/opt/point/bin/python"

ITSELF = "from point_service.main import main\nmain()\n"
"""Starts the service as its own image does."""

CRASHES = """
import sys
if sys.argv[1] == "serve":
    sys.exit("out of order")
from point_service.main import main
main()
"""
"""Migrates, and then ends as soon as it is started."""

MIGRATION_FAILS = """
import sys
if sys.argv[1] == "migrate":
    sys.exit("no such column: left")
from point_service.main import main
main()
"""

_ANSWERS = """
import os, signal, sys
if sys.argv[1] != "serve":
    from point_service.main import main
    sys.exit(main())
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200 if self.path in GOOD else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""

NEVER_READY = f"GOOD = ('/healthz',){_ANSWERS}"
"""Migrates and lives, but says that it is not ready."""

ANSWERS_503 = f"GOOD = ('/healthz', '/readyz'){_ANSWERS}"
"""Migrates, says that it is ready, and answers every request of a member with 503."""


def install(name: str, program: str) -> str:
    """Give every worker an image that starts the Python text `program`; return its name.

    The arguments (`serve` or `migrate`) are in `sys.argv[1:]`.
    """
    full = f"docker.io/library/point-service:{name}"
    archive = paths.STATE / f"variant-{name}.tar"
    archive.write_bytes(_archive(full, program))
    try:
        for worker in WORKERS:
            _ctr(worker, "image", "import", str(archive))
    finally:
        archive.unlink()
    return full


def remove(name: str) -> None:
    """Take a variant away from every worker."""
    for worker in WORKERS:
        _ctr(worker, "image", "rm", f"docker.io/library/point-service:{name}")


def _archive(name: str, program: str) -> bytes:
    """An OCI layout of one image that names the service's layers without holding them."""
    original = _ctr(WORKERS[0], "image", "ls", f"name=={versions.SERVICE_IMAGE}").splitlines()[1].split()[2]
    manifest = cast("dict[str, Any]", json.loads(_ctr(WORKERS[0], "content", "get", original)))
    config = json.loads(_ctr(WORKERS[0], "content", "get", str(manifest["config"]["digest"])))
    config["config"]["Entrypoint"] = [PYTHON, "-c", program]
    blobs: dict[str, bytes] = {}

    def descriptor(media_type: str, content: object) -> dict[str, object]:
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    manifest["config"] = descriptor(manifest["config"]["mediaType"], config)
    image = descriptor(manifest["mediaType"], manifest) | {"annotations": {"io.containerd.image.name": name}}
    blobs["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [image]}).encode()
    blobs["oci-layout"] = b'{"imageLayoutVersion": "1.0.0"}'
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, data in blobs.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _ctr(node: Node, *args: str) -> str:
    return node.exec("ctr", "-n", "k8s.io", *args)
