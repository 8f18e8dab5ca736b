"""Where things are: the checkout, what is kept between runs, and what belongs to a running cluster."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "point-platform"
"""Kept between runs: programs, root file systems, wheels, images. Safe to delete."""

STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "point-platform"
"""Belongs to this machine's cluster: certificates, keys, kubeconfig, logs, the nodes' files."""

BIN = CACHE / "bin"
ROOTFS = CACHE / "rootfs"
IMAGES = CACHE / "images"
WHEELS = CACHE / "wheels"
NODES = STATE / "nodes"
PKI = STATE / "pki"
LOGS = STATE / "logs"
KUBECONFIG = STATE / "kubeconfig"
MANIFESTS = ROOT / "local" / "point_local" / "stack" / "manifests"
TOOLS_MODULE = ROOT / "local" / "tools"
