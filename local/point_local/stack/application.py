"""What the user would install: metrics, the operator, and one PointService with its secrets."""

import base64
import functools
from typing import TYPE_CHECKING, cast

import yaml

from point_local.machine.cluster import authority
from point_local.programs import paths, versions
from point_local.programs.command import kubectl, run, wait_established
from point_local.stack import issuer
from point_local.stack.credentials import LOG_KEY, secret
from point_local.stack.manifests import apply, apply_all, apply_text

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE = "points"
NAME = "points"
EXAMPLE = paths.ROOT / "examples" / "pointservice.yaml"


def example() -> dict[str, object]:
    """The example PointService with the local issuer's keys in place of its empty set, and a key for its logs."""
    resource = yaml.safe_load(EXAMPLE.read_text())
    resource["spec"]["gateway"]["jwt"]["jwks"] = issuer.jwks()
    resource["spec"]["logKeySecret"] = LOG_KEY
    return cast("dict[str, object]", resource)


@functools.cache
def hosts() -> tuple[str, ...]:
    """The hosts of the example; the first is the one that the edge is named after."""
    spec = cast("Mapping[str, Mapping[str, list[str]]]", example()["spec"])
    return tuple(spec["gateway"]["hosts"])


def install_metrics() -> None:
    """metrics-server, which the autoscaler reads."""
    names = [f"metrics-server.kube-system{s}" for s in (".svc", ".svc.cluster.local")]
    if not kubectl("get", "secret", "metrics-server-tls", "-n", "kube-system", check=False):
        cert, key = authority().issue(names[0], names)
        apply_all([secret("kube-system", "metrics-server-tls", {"tls.crt": cert, "tls.key": key})])
    apply(
        "metrics-server",
        image=versions.local_image("metrics-server"),
        ca_bundle=base64.b64encode(authority().pem.encode()).decode(),
    )


def install_operator() -> None:
    """The CRD, the namespace and the operator's chart, as a user would install them."""
    ours = ("apply", "--server-side", "--force-conflicts")
    kubectl(*ours, "-k", paths.ROOT / "crds")
    kubectl(*ours, "-f", paths.ROOT / "operator" / "deploy" / "namespace.yaml")
    wait_established(kubectl, "crd", "pointservices.pointservice.io")
    # What an earlier version installed without Helm becomes the release's.
    release = ("helm", "upgrade", "--install", "--take-ownership", "--force-conflicts", "point-operator")
    run([*release, str(paths.ROOT / "operator" / "chart"), "--namespace", "point-system"], timeout=120)


def apply_pointservice() -> None:
    """Apply the example PointService."""
    apply_text(yaml.safe_dump(example()))


def wait_ready(seconds: int = 240) -> None:
    """Return once the operator says that the PointService is Ready. Raises LocalError with its conditions."""
    kubectl(
        "wait",
        "--for=condition=Ready",
        f"pts/{NAME}",
        "-n",
        NAMESPACE,
        f"--timeout={seconds}s",
        timeout=seconds + 10,
    )
    # Ready says that the service serves; a rollout may still be on its way.
    kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAMESPACE, f"--timeout={seconds}s")


def restart(changed: set[str]) -> None:
    """Roll what runs images that were built anew under the same name."""
    if versions.OPERATOR_IMAGE in changed:
        kubectl("rollout", "restart", "deployment", "-n", "point-system")
    if versions.SERVICE_IMAGE in changed:
        # Without its Job the operator migrates again, and the new pods are not ready before that.
        kubectl("delete", "jobs", "-n", NAMESPACE, "--all", "--ignore-not-found")
        kubectl("rollout", "restart", "deployment", "-n", NAMESPACE)
