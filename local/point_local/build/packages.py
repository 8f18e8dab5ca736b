"""Debian packages that the local cluster needs; only those that are missing are installed."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from point_local.programs.command import LocalError, run
from point_local.programs.progress import console

CLUSTER: Mapping[str, str] = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "tini": "tini",
    "ethtool": "ethtool",
    "socat": "socat",
}
"""What must be there (a program, or a file when it starts with a slash) and the package that brings it."""

SERVE: Mapping[str, str] = {
    "mariadbd": "mariadb-server-core",
    "mariadb": "mariadb-client-core",
    "redis-server": "redis-server",
}

TESTS: Mapping[str, str] = SERVE | {
    "promtool": "prometheus",
    "chromium-headless-shell": "chromium-headless-shell",
}


def missing(wanted: Mapping[str, str]) -> list[str]:
    """The packages of `wanted` whose program or file is not there."""

    def there(what: str) -> bool:
        if what.startswith("/"):
            return Path(what).exists()
        return shutil.which(what, path="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") is not None

    return sorted({package for what, package in wanted.items() if not there(what)})


def ensure(wanted: Mapping[str, str]) -> None:
    """Install what is missing with apt-get, saying which; no service is started by it.

    Raises LocalError on a system without apt-get, naming what to install by hand.
    """
    packages = missing(wanted)
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise LocalError(
            f"missing and this is not Debian (no apt-get), install by hand: {' '.join(packages)}"
        )
    console.print(f"  installing Debian packages: {' '.join(packages)}", highlight=False)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:  # the packages' own start scripts ask this file; 101 means "don't start anything"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        run(["apt-get", "update", "-q"], env=quiet)
        run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *packages], env=quiet)
    finally:
        if ours:
            policy.unlink()
