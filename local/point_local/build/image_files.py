"""What a built image holds: its files as a container sees them, read from the archive that buildah wrote."""

import json
import tarfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, cast

SHELLS = frozenset(("sh", "ash", "bash", "dash", "ksh", "mksh", "rbash", "zsh", "busybox"))
"""Programs that run what an attacker types."""
_REMOVED = ".wh."  # a later layer says with this prefix that a file of an earlier one is gone


def listing(archive: Path) -> Mapping[str, tarfile.TarInfo]:
    """Every file, folder and link of the image by its path, without a leading slash."""
    found: dict[str, tarfile.TarInfo] = {}
    for layer in _layers(archive):
        for entry in layer:
            _lay(found, entry)
    return found


def read(archive: Path, paths: Collection[str]) -> dict[str, str]:
    """The text of those files, by path; the last layer that has one decides."""
    texts: dict[str, str] = {}
    for layer in _layers(archive):
        for entry in layer:
            path = _path(entry)
            if path in paths and (file := layer.extractfile(entry)) is not None:
                texts[path] = file.read().decode(errors="replace")
    return texts


def set_id(files: Mapping[str, tarfile.TarInfo]) -> list[str]:
    """Programs that run with the rights of somebody else than who starts them."""
    return sorted(path for path, entry in files.items() if entry.isfile() and entry.mode & 0o6000)


def shells(files: Mapping[str, tarfile.TarInfo]) -> list[str]:
    """The shells, under whatever folder or link."""
    return sorted(path for path, entry in files.items() if _name(path) in SHELLS and _can_run(entry))


def _layers(archive: Path) -> Iterator[tarfile.TarFile]:
    """The image's layers, the lowest first."""
    with tarfile.open(archive) as image:
        manifest = cast("list[dict[str, list[str]]]", json.load(_open(image, "manifest.json")))
        for name in manifest[0]["Layers"]:
            with tarfile.open(fileobj=_open(image, name)) as layer:
                yield layer


def _open(image: tarfile.TarFile, name: str) -> IO[bytes]:
    file = image.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file of the archive")
    return file


def _lay(found: dict[str, tarfile.TarInfo], entry: tarfile.TarInfo) -> None:
    path = _path(entry)
    if not _name(path).startswith(_REMOVED):
        found[path] = entry
        return
    gone = str(PurePosixPath(path).with_name(_name(path).removeprefix(_REMOVED)))
    for other in [p for p in found if p == gone or p.startswith(f"{gone}/")]:
        del found[other]


def _can_run(entry: tarfile.TarInfo) -> bool:
    return entry.issym() or entry.islnk() or (entry.isfile() and entry.mode & 0o111 != 0)


def _path(entry: tarfile.TarInfo) -> str:
    return entry.name.removeprefix("./").strip("/")


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]
