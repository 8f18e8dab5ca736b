"""Root file systems for images, made by mmdebstrap from Debian's packages and kept in the cache."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from point_local.programs import paths
from point_local.programs.command import LocalError, run
from point_local.programs.progress import console


@dataclass(frozen=True)
class Root:
    """What one root file system is made of."""

    suite: str
    packages: Sequence[str]
    options: Sequence[str] = ()


ROOTS: Mapping[str, Root] = {
    "net": Root("trixie", ["ca-certificates", "iptables", "nftables"]),
    "python": Root("trixie", ["ca-certificates", "python3"]),
    "python-build": Root("trixie", ["ca-certificates", "python3", "python3-venv", "python3-pip"]),
    "valkey": Root("trixie", ["valkey-server", "valkey-tools"]),
    # MySQL itself is only in Debian's rolling suite, whose release file may be older than its validity says.
    "mysql": Root(
        "sid", ["mysql-server-core", "mysql-client-core"], ['--aptopt=Acquire::Check-Valid-Until "false"']
    ),
    "prometheus": Root("trixie", ["prometheus"]),
    "mariadb": Root("trixie", ["mariadb-server-core", "mariadb-client-core"]),
}


def ensure(name: str) -> Path:
    """The tar archive of a root file system, made when it is not in the cache yet.

    Raises LocalError when Debian's archive can't give its packages.
    """
    root = ROOTS[name]
    archive = paths.ROOTFS / f"{name}.tar"
    if not archive.exists():
        paths.ROOTFS.mkdir(parents=True, exist_ok=True)
        part = paths.ROOTFS / f"{name}.part.tar"
        run(
            [
                "mmdebstrap",
                "-q",
                "--variant=essential",
                *root.options,
                f"--include={','.join(root.packages)}",
                # Nobody reads manuals inside a container, and nothing there may change its user.
                "--dpkgopt=path-exclude=/usr/share/doc/*",
                "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/locale/*",
                '--customize-hook=find "$1" -xdev -perm /6000 -type f -exec chmod a-s {} +',
                root.suite,
                part,
            ]
        )
        part.rename(archive)
    return archive


def database() -> str:
    """Which database the local data tier runs: `mysql`, or `mariadb` on a day when sid can't give MySQL.

    The environment's POINT_LOCAL_DATABASE names one of the two. Raises LocalError when it names another.
    """
    wanted = os.environ.get("POINT_LOCAL_DATABASE")
    if wanted:
        if wanted not in ("mysql", "mariadb"):
            raise LocalError(f"POINT_LOCAL_DATABASE is {wanted!r}: allowed are mysql and mariadb")
        ensure(wanted)
        return wanted
    try:
        ensure("mysql")
    except LocalError:
        console.print("[yellow]Debian sid can't give MySQL today: the data tier runs MariaDB instead[/]")
        ensure("mariadb")
        return "mariadb"
    return "mysql"
