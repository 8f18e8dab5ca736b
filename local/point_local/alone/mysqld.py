"""The database programs of this machine: MariaDB as installed, MySQL out of its root file system."""

import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from point_local.build import rootfs
from point_local.programs import paths

Flavour = Literal["mysql", "mariadb"]


def available(flavour: Flavour) -> str | None:
    """Return why a database can't be run here, None when it can."""
    if flavour == "mariadb":
        return None if found("mariadbd") else "mariadbd is not installed (Debian: mariadb-server-core)"
    root = paths.ROOTFS / "mysql"
    if (root / "usr/sbin/mysqld").exists() or (paths.ROOTFS / "mysql.tar").exists():
        return None
    return f"there is no MySQL root file system in {paths.ROOTFS} (`make up` makes it)"


def mysql(directory: Path) -> tuple[list[str], list[str]]:
    """Return how to run Debian sid's mysqld out of its root file system, and how to make its data folder.

    Its own dynamic loader runs it on its own libraries, so no chroot and no root is needed.
    """
    root = paths.ROOTFS / "mysql"
    if not (root / "usr/sbin/mysqld").exists():
        archive = rootfs.ensure("mysql")
        part = paths.ROOTFS / f"mysql.{secrets.token_hex(4)}.part"
        part.mkdir(parents=True)
        # Device nodes need root and are of no use here.
        subprocess.run(["tar", "-xf", archive, "-C", part, "--exclude=./dev/*"], check=True, timeout=300)
        try:
            part.rename(root)
        except OSError:  # somebody else was faster
            shutil.rmtree(part)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    loader = next(iter([*root.glob("usr/lib*/ld-linux-*.so.*"), *libraries.glob("ld-linux-*.so.*")]))
    program = [str(loader), "--library-path", str(libraries), str(root / "usr/sbin/mysqld")]
    places = [
        f"--basedir={root / 'usr'}",
        f"--lc-messages-dir={root / 'usr/share/mysql'}",
        f"--character-sets-dir={root / 'usr/share/mysql/charsets'}",
    ]
    install = [*program, "--no-defaults", *places, f"--datadir={directory / 'data'}"]
    wrapper = directory / "mysqld"  # --no-defaults must come first, the places after it
    wrapper.write_text("#!/bin/sh\nshift\nexec " + " ".join([*program, "--no-defaults", *places]) + ' "$@"\n')
    wrapper.chmod(0o755)
    return [str(wrapper)], [*install, "--user=root", "--initialize-insecure"]


def mariadb(directory: Path) -> tuple[list[str], list[str]]:
    install = ["mariadb-install-db", "--no-defaults", f"--datadir={directory / 'data'}", "--user=root"]
    return [found("mariadbd") or "mariadbd"], [
        *install,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]


def found(program: str) -> str | None:
    return shutil.which(program, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/sbin:/bin")
