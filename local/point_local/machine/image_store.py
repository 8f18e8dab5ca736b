"""One containerd store with every image, from which each node's store is made by hard links.

Importing an image costs seconds of hashing and unpacking; doing it once instead of once a node is what
makes a warm start fast. Layers never change in place, so nodes can share their files; only containerd's
own databases are copied.
"""

import shutil
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from point_local.machine.node import Node
from point_local.programs import paths
from point_local.programs.command import LocalError, run, wait
from point_local.programs.daemon import Daemon

_STORE = paths.CACHE / "image-store"
_ROOT = _STORE / "containerd"
_DAEMON = Daemon(paths.STATE / "image-store" / "pid")


def fill(archives: Sequence[Path]) -> None:
    """Import the archives that are not in the store yet."""
    new = [a for a in archives if not _imported(a)]
    if not new:
        return
    with _containerd() as socket:
        for archive in new:
            _stamp(archive).unlink(missing_ok=True)
            run(["ctr", "-a", socket, "-n", "k8s.io", "image", "import", archive])
            _stamp(archive).write_text(_identity(archive))


def seed(node: Node) -> None:
    """Give a node that has never run the store's images."""
    to = node.folder / "containerd"
    if (to / "io.containerd.metadata.v1.bolt").exists():
        return
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        run(["cp", "-al", _ROOT, to])
    except LocalError:  # cache and state on different file systems
        shutil.rmtree(to, ignore_errors=True)
        run(["cp", "-a", _ROOT, to])
    for database in to.rglob("*.db"):  # containerd writes these in place
        copy = database.with_suffix(".copy")
        shutil.copy2(database, copy)
        copy.replace(database)
    for archive in (_STORE / "imported").iterdir():
        mark = node.folder / "imported" / archive.name
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(archive.read_text())


def update(node: Node, archives: Mapping[str, Path]) -> set[str]:
    """Import into a running node what changed since it was seeded; the names of those images."""
    changed: set[str] = set()
    for name, archive in archives.items():
        mark = node.folder / "imported" / archive.name
        if not (mark.exists() and mark.read_text() == _identity(archive)):
            node.exec("ctr", "-n", "k8s.io", "image", "import", archive)
            mark.write_text(_identity(archive))
            changed.add(name)
    return changed


def stop() -> None:
    """End a containerd that an interrupted `fill` left behind."""
    _DAEMON.stop()


@contextmanager
def _containerd() -> Generator[Path, None, None]:
    """A containerd on the store, without its Kubernetes part, for as long as the block runs."""
    run_folder = paths.STATE / "image-store"
    run_folder.mkdir(parents=True, exist_ok=True)
    (_STORE / "imported").mkdir(parents=True, exist_ok=True)
    socket = run_folder / "containerd.sock"
    config = run_folder / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{_ROOT}"\nstate = "{run_folder}/run"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\n  address = "{socket}"\n'
    )
    _DAEMON.start(["containerd", "-c", config], run_folder / "containerd.log")
    try:
        wait(
            "containerd of the image store answers",
            lambda: socket.exists() and run(["ctr", "-a", socket, "version"], check=False),
            seconds=30,
        )
        yield socket
    finally:
        _DAEMON.stop()


def _stamp(archive: Path) -> Path:
    return _STORE / "imported" / archive.name


def _imported(archive: Path) -> bool:
    return _stamp(archive).exists() and _stamp(archive).read_text() == _identity(archive)


def _identity(archive: Path) -> str:
    stat = archive.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}"
