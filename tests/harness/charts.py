"""Charts whose sources are in Go modules that the project has, in a repository of Helm's on loopback."""

import io
import shutil
import tarfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from harness.crds import SECRETS
from point_local.build import tools

EXTERNAL_SECRETS = "1.3.1"
"""The chart's version in its module."""
_ISTIO = ("base", "istio-cni", "istio-control/istio-discovery", "gateway")


@contextmanager
def repository(folder: Path, istio: str) -> Generator[str]:
    """Serve, until the block ends, Istio's charts as release `istio` and external-secrets' as its own; gives the URL.

    External-secrets' module is of an older release than the one that the program installs, and its chart's CRDs, which
    are put in at a release, are not there.
    """
    folder.mkdir()
    charts = tools.module_dir("istio.io/istio") / "manifests" / "charts"
    packed = [_pack(charts / name, folder, istio) for name in _ISTIO]
    packed.append(_pack(tools.module_dir(*SECRETS) / "deploy" / "charts" / "external-secrets", folder))
    entries = {p["name"]: [{**p, "urls": [f"{p['name']}.tgz"]}] for p in packed}
    (folder / "index.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "entries": entries}))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, name="charts")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        pass


def _pack(source: Path, folder: Path, version: str = "") -> dict[str, Any]:
    """Pack a chart, and return what Chart.yaml says of it.

    With `version`, as Istio's release-builder puts it in; without the charts that it brings, which are off.
    """
    chart = yaml.safe_load((source / "Chart.yaml").read_text())
    chart.pop("dependencies", None)
    if version:
        chart |= {"version": version, "appVersion": version}
    copy = folder / chart["name"]
    shutil.copytree(source, copy)
    for file in (copy, *copy.rglob("*")):
        file.chmod(0o755 if file.is_dir() else 0o644)  # Go's module cache is read-only
    for file in (copy / "Chart.lock", copy / "templates" / "crds" / "README.md"):
        file.unlink(missing_ok=True)
    (copy / "Chart.yaml").write_text(yaml.safe_dump(chart))
    if version:
        values = copy / "values.yaml"
        values.write_text(values.read_text().replace("tag: latest", f"tag: {version}"))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(copy, chart["name"])
    (folder / f"{chart['name']}.tgz").write_bytes(packed.getvalue())
    return chart
