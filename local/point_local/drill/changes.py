"""What is changed while the stack serves: certificates, the image, the schema."""

import base64
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from point_local.failover import controller
from point_local.machine.cluster import WORKERS
from point_local.programs import versions
from point_local.programs.command import kubectl, wait
from point_local.stack import application, credentials, data, istio
from point_local.stack.manifests import apply_all


@contextmanager
def certificates_rotate() -> Generator[None]:
    """Database, cache and gateway get new certificates while they serve; the block begins when they use them."""
    new = credentials.certificates(istio.GATEWAY_NAMESPACE, application.hosts())
    apply_all(list(new.values()))
    certificates = {
        name: base64.b64decode(cast("dict[str, dict[str, str]]", secret)["data"]["tls.crt"]).decode()
        for name, secret in new.items()
    }
    for pods, secret in (
        ([f"mysql-{z}-0" for z in controller.ZONES], "data/mysql-tls"),
        ([f"valkey-{z}-0" for z in data.CACHE_ZONES], "data/valkey-tls"),
    ):
        for pod in pods:
            # The kubelet looks at a pod's secrets anew when the pod changes, else within two minutes.
            kubectl("annotate", "pod", pod, "-n", "data", f"rotated={time.time():.0f}", "--overwrite")
        for pod in pods:
            wait(
                f"{pod} has its new certificate",
                lambda pod=pod, secret=secret: (
                    kubectl("exec", "-n", "data", pod, "--", "cat", "/tls/tls.crt").strip()
                    == certificates[secret].strip()
                ),
                seconds=150,
                every=1,
            )
    for zone in controller.ZONES:
        data.execute(zone, "ALTER INSTANCE RELOAD TLS")
    for zone in data.CACHE_ZONES:
        data.valkey(zone, "config", "set", "tls-cert-file", "/tls/tls.crt")
    yield


@contextmanager
def rollout() -> Generator[None]:
    """The same image under another name: the operator migrates and rolls every pod, and back again."""
    again = f"{versions.SERVICE_IMAGE}-again"
    for node in WORKERS:
        if node.init() is not None:
            node.exec("ctr", "-n", "k8s.io", "image", "tag", "--force", versions.SERVICE_IMAGE, again)
    _set_image(again)
    try:
        yield
    finally:
        _set_image(versions.SERVICE_IMAGE)
        application.wait_ready()


def _set_image(image: str) -> None:
    patch = json.dumps({"spec": {"image": image}})
    kubectl("patch", "pts", application.NAME, "-n", application.NAMESPACE, "--type=merge", "-p", patch)
