"""What no pod of ours may do, whoever asks for it: the namespaces with their Pod Security Standard and policies."""

from point_local.machine.node import SUBNET
from point_local.programs import paths
from point_local.stack import manifests

NAMESPACES = ("data", "istio-ingress", "istio-system", "monitoring", "points")
"""Namespaces that are made here; the operator's, point-system, comes with the operator."""
_ON_AWS = paths.ROOT / "pulumi" / "point_infra" / "incluster" / "policies"
_MACHINES = f"{SUBNET}.0/24"
_NAMED = {
    "{ipBlock: {cidr: DATA}}": "{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: data}}}",
    "{cidr: NODES}": f"{{cidr: {_MACHINES}}}",
    "{cidr: API}": f"{{cidr: {_MACHINES}}}",
    "{port: JWKS}": "{port: 443}",  # nobody is asked there: the keys stand in the PointService
}
"""What has a name in AWS's policies, and what it is here."""


def restrict() -> None:
    """Make the namespaces, in each of which a pod that is not "restricted" is refused, and their policies."""
    manifests.apply("namespaces", names=NAMESPACES)
    manifests.apply_text(network_policies())


def network_policies() -> str:
    """The network policies as YAML: AWS's and the data tier's. This cluster's network enforces none (see `reach`)."""
    shared = [(_ON_AWS / f"{n}.yaml").read_text() for n in NAMESPACES if (_ON_AWS / f"{n}.yaml").exists()]
    text = "---\n".join([*shared, manifests.render("network-policies", machines=_MACHINES)])
    for name, here in _NAMED.items():
        text = text.replace(name, here)
    return text
