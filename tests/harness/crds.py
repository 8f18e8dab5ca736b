"""The kinds of other projects that the program declares objects of, as these publish them."""

from pathlib import Path

from harness.tenants import PROMETHEUS, PROMETHEUS_CRD
from point_local.alone import apiserver
from point_local.build import tools

TARGET_GROUP_BINDING = Path(__file__).with_name("targetgroupbinding.json")
"""What the program uses of it: the load balancer controller's module can't be had everywhere."""
SECRETS = (
    "github.com/external-secrets/external-secrets@v1.3.2",
    "h1:u2J8RjlHIeF0oZCqtl92adI/uZWUwOesJIDkfql6LqQ=",
)


def published(*, istio: bool = True) -> list[Path]:
    """Files with the CRDs of Istio, the Prometheus operator, external-secrets and the load balancer controller.

    Istio's own chart brings them, too.
    """
    secrets, monitors = tools.module_dir(*SECRETS), tools.module_dir(*PROMETHEUS)
    return [
        *([apiserver.istio_crds()] if istio else []),
        TARGET_GROUP_BINDING,
        *(
            secrets / f"config/crds/bases/external-secrets.io_{kind}.yaml"
            for kind in ("externalsecrets", "clustersecretstores")
        ),
        *(
            monitors / PROMETHEUS_CRD.format(kind)
            for kind in ("servicemonitors", "podmonitors", "prometheusrules")
        ),
    ]
