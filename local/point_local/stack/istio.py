"""Istio on the local cluster: the charts of the Istio module with the values that AWS uses and a local overlay."""

from point_local.build import tools
from point_local.programs import paths
from point_local.programs.command import kubectl, run, succeeds, wait
from point_local.stack.manifests import apply

GATEWAY_NAMESPACE = "istio-ingress"
_VALUES = paths.ROOT / "pulumi" / "point_infra" / "incluster" / "istio"


def install() -> None:
    """Install or update Istio's base, its plugin of the nodes' network, istiod and the ingress gateway.

    Returns when all answer.
    """
    charts = tools.module_dir("istio.io/istio") / "manifests" / "charts"
    _chart("istio-base", charts / "base", "istio-system")
    _chart("istio-cni", charts / "istio-cni", "kube-system", *_files("cni"))
    _chart(
        "istiod", charts / "istio-control" / "istio-discovery", "istio-system", *_files("istiod"), "--wait"
    )
    # After a restart of the machine istiod may be reported ready before its webhook can be reached again.
    strict = ["kubectl", "apply", "--server-side", "-f", "-"]
    wait("istiod's webhook answers", lambda: succeeds(strict, stdin=_STRICT), seconds=120, every=1)
    apply("gateway-account", namespace=GATEWAY_NAMESPACE)
    _chart("istio-ingressgateway", charts / "gateway", GATEWAY_NAMESPACE, *_files("gateway"), "--wait")
    # A pod with a proxy can start once its node redirects what goes in and out of it.
    kubectl("rollout", "status", "daemonset/istio-cni-node", "-n", "kube-system", "--timeout=120s")


def _chart(release: str, chart: object, namespace: str, *args: str) -> None:
    run(
        [
            *("helm", "upgrade", "--install", release, str(chart), "--namespace", namespace),
            *("--create-namespace", "--timeout", "3m", *args),
        ],
        timeout=240,
    )


def _files(name: str) -> list[str]:
    return [f"--values={_VALUES / f'{name}.yaml'}", f"--values={paths.MANIFESTS / f'{name}.yaml'}"]


_STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
