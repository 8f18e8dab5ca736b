"""Istio on the local cluster: the charts of the Istio module with the values that AWS uses and a local overlay."""

from point_local import paths, tools
from point_local.command import run, succeeds, wait

GATEWAY_NAMESPACE = "istio-ingress"
_VALUES = paths.ROOT / "pulumi" / "point_infra" / "istio"


def install() -> None:
    """Install or update Istio's base, istiod and the ingress gateway; returns when all answer."""
    charts = tools.module_dir("istio.io/istio") / "manifests" / "charts"
    _chart("istio-base", charts / "base", "istio-system")
    _chart(
        "istiod", charts / "istio-control" / "istio-discovery", "istio-system", *_files("istiod"), "--wait"
    )
    # After a restart of the machine istiod may be reported ready before its webhook can be reached again.
    strict = ["kubectl", "apply", "--server-side", "-f", "-"]
    wait("istiod's webhook answers", lambda: succeeds(strict, stdin=_STRICT), seconds=120, every=1)
    _chart("istio-ingressgateway", charts / "gateway", GATEWAY_NAMESPACE, *_files("gateway"), "--wait")


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
