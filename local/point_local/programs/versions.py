"""Versions of what the local cluster is built from; the programs' own are in local/tools/go.mod."""

KUBERNETES = "v1.36.3"
# kubeadm 1.36.3 asks for its helpers by these tags (`kubeadm config images list`); the programs inside
# are those of local/tools/go.mod.
ETCD_IMAGE = "3.6.8-0"
COREDNS_IMAGE = "v1.14.2"
PAUSE_IMAGE = "3.10.2"
# The Envoy rate limit service publishes its image for every commit: this one is local/tools/ratelimit/go.mod's.
RATE_LIMIT_IMAGE = "docker.io/envoyproxy/ratelimit:e2a87f41"
IMAGE_PYTHON = "3.13"
"""Python of the images' base (Debian trixie, and the Containerfiles' default base)."""

APPLICATION = "0.1.0"
SERVICE_IMAGE = f"docker.io/library/point-service:{APPLICATION}"
OPERATOR_IMAGE = f"docker.io/library/point-operator:{APPLICATION}"
LOCAL_HUB = "docker.io/point-local"
LOCAL_TAG = "1"


def local_image(name: str) -> str:
    """The full name of an image that only this machine has."""
    return f"{LOCAL_HUB}/{name}:{LOCAL_TAG}"
