"""What runs in a cluster without nodes: Kubernetes' own controllers, pods that are ready at once, and istiod.

A pod that the API server took counts as ready, since there is no node to run it; istiod's do once istiod itself, as a
process, answers at its Service's address. So its webhooks are asked, and a namespace that is restricted refuses.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from harness.kube import Kube
from point_local.alone.apiserver import ApiServer
from point_local.programs import paths

PROGRAMS = ("kube-controller-manager", "pilot-discovery")
_CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "daemonset-controller",
    "garbage-collector-controller",
    "namespace-controller",
)
_READY = [{"type": t, "status": "True"} for t in ("Initialized", "PodScheduled", "ContainersReady", "Ready")]
_MERGE = {"Content-Type": "application/merge-patch+json"}


def missing_programs() -> list[str]:
    """Return the programs that `run` needs and that are not built."""
    return [name for name in PROGRAMS if not (paths.BIN / name).exists()]


@contextmanager
def run(server: ApiServer) -> Generator[None]:
    """Run them until the block ends; what they say is in the server's directory."""
    with ExitStack() as stack:
        kubeconfig = f"--kubeconfig={server.kubeconfig}"
        _start(
            stack, server, "kube-controller-manager", kubeconfig, f"--controllers={','.join(_CONTROLLERS)}",
            "--leader-elect=false", "--secure-port=0", "--concurrent-gc-syncs=5",
        )  # fmt: skip
        over = threading.Event()
        pods = threading.Thread(target=_pods, args=(stack, server, over), name="pods")
        pods.start()
        stack.callback(pods.join)
        stack.callback(over.set)
        yield


def _pods(stack: ExitStack, server: ApiServer, over: threading.Event) -> None:
    """Say of each pod that it is ready, and end those that are to end; start istiod with its first pod."""
    kube, istiod = Kube(server), ""
    while not over.wait(0.3):
        for pod in kube.client.get("/api/v1/pods").json()["items"]:
            meta = pod["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
            if "deletionTimestamp" in meta:
                kube.client.request("DELETE", path, params={"gracePeriodSeconds": 0})
            elif pod.get("status", {}).get("phase") != "Running":
                if meta["labels"].get("app") == "istiod":
                    istiod = istiod or _istiod(stack, server, kube)
                    if not _answers(istiod):
                        continue
                kube.client.patch(
                    f"{path}/status",
                    json={"status": {"phase": "Running", "conditions": _READY}},
                    headers=_MERGE,
                )
    kube.close()


def _istiod(stack: ExitStack, server: ApiServer, kube: Kube) -> str:
    """Start it, and return its Service's address, where it listens."""
    service = kube.client.get("/api/v1/namespaces/istio-system/services/istiod").raise_for_status().json()
    address = str(service["spec"]["clusterIP"])
    template = kube.client.get("/apis/apps/v1/namespaces/istio-system/deployments/istiod").json()["spec"]
    (container,) = template["template"]["spec"]["containers"]
    said = {e["name"]: e["value"] for e in container["env"] if "value" in e}
    environment = {
        **os.environ, **said, "POD_NAMESPACE": "istio-system", "POD_NAME": "istiod", "SERVICE_ACCOUNT": "istiod",
    }  # fmt: skip
    ports = [f"--{name}Addr=127.0.0.1:0" for name in ("http", "grpc", "secureGRPC", "monitoring")]
    _start(
        stack, server, "pilot-discovery", "discovery", f"--kubeconfig={server.kubeconfig}", *ports,
        f"--httpsAddr={address}:443", "--ctrlz_port=0", environment=environment,
    )  # fmt: skip
    return address


def _answers(address: str) -> bool:
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((address, 443)) == 0


def _start(
    stack: ExitStack, server: ApiServer, program: str, *args: str, environment: dict[str, Any] | None = None
) -> None:
    log = stack.enter_context((server.directory / f"{program}.log").open("wb"))
    process = subprocess.Popen([paths.BIN / program, *args], stdout=log, stderr=log, env=environment)

    def stop() -> None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(stop)
