"""Container images: built here with buildah from the built programs, Debian's packages and this checkout."""

import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from point_local.build import rootfs, sbom
from point_local.programs import paths, versions
from point_local.programs.command import run


@dataclass(frozen=True)
class Image:
    """One image: a root file system (or nothing), files laid over it, and how it starts."""

    name: str
    base: str = "scratch"
    files: Mapping[str, Path] = field(default_factory=dict[str, Path])
    entrypoint: Sequence[str] = ()
    user: str = ""


def _program(name: str, image: str, base: str = "scratch", user: str = "") -> Image:
    to = f"/usr/local/bin/{name}"
    return Image(image, base, {to: paths.BIN / name}, [to], user)


def infrastructure(istio: Path, envoy: Path, database: str) -> list[Image]:
    """The images of Kubernetes, Istio and the data tier.

    `istio` is the Istio module's folder, `envoy` the Envoy program, `database` the root of the data tier.
    """
    control = [
        _program(p, f"registry.k8s.io/{p}:{versions.KUBERNETES}")
        for p in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    proxy = {
        "/usr/local/bin/pilot-agent": paths.BIN / "pilot-agent",
        "/usr/local/bin/envoy": envoy,
        "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": istio
        / "tools/packaging/common/envoy_bootstrap.json",
    }
    return [
        *control,
        _program("etcd", f"registry.k8s.io/etcd:{versions.ETCD_IMAGE}"),
        _program("kube-proxy", f"registry.k8s.io/kube-proxy:{versions.KUBERNETES}", "net"),
        Image(
            f"registry.k8s.io/coredns/coredns:{versions.COREDNS_IMAGE}",
            files={"/coredns": paths.BIN / "coredns"},
            entrypoint=["/coredns"],
        ),
        Image(
            f"registry.k8s.io/pause:{versions.PAUSE_IMAGE}",
            files={"/pause": paths.BIN / "pause"},
            entrypoint=["/pause"],
            user="65535:65535",
        ),
        _program("metrics-server", versions.local_image("metrics-server"), user="65534:65534"),
        _program("pilot-discovery", versions.local_image("pilot"), "net", "1337:1337"),
        Image(versions.local_image("proxyv2"), "net", proxy, ["/usr/local/bin/pilot-agent"], "1337:1337"),
        Image(
            versions.local_image("install-cni"),
            "net",
            {"/usr/local/bin/install-cni": paths.BIN / "install-cni"}
            | {"/opt/cni/bin/istio-cni": paths.BIN / "istio-cni"},
        ),
        Image(
            versions.RATE_LIMIT_IMAGE,
            files={"/bin/ratelimit": paths.BIN / "ratelimit"},  # where the public image has it
            entrypoint=["/bin/ratelimit"],
        ),
        Image(versions.local_image("database"), database),
        Image(versions.local_image("valkey"), "valkey"),
        Image(versions.local_image("prometheus"), "prometheus"),
    ]


def build(image: Image) -> Path:
    """The image as an archive that containerd imports; built only when something it is made of changed."""
    base = rootfs.ensure(image.base) if image.base != "scratch" else None
    sources = [*image.files.values(), *([base] if base else [])]
    stamps = [f"{p}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in sources]

    def make() -> None:
        container = run(["buildah", *_storage(), "from", "scratch"]).strip()
        try:
            if base:
                run(["buildah", *_storage(), "add", "-q", container, base, "/"])
            for to, source in image.files.items():
                mode = "755" if source.parent == paths.BIN or os.access(source, os.X_OK) else "644"
                run(["buildah", *_storage(), "copy", "-q", "--chmod", mode, container, source, to])
            config = ["--entrypoint", _json(image.entrypoint)] if image.entrypoint else []
            user = ["--user", image.user] if image.user else []
            run(["buildah", *_storage(), "config", *config, *user, container])
            run(["buildah", *_storage(), "commit", "-q", container, image.name])
        finally:
            run(["buildah", *_storage(), "rm", container], check=False)

    return _archive(image.name, [repr(image), *stamps], make)


def build_ours(name: str, program: str) -> Path:
    """The image of one of this checkout's own programs, from the Containerfile that builds it anywhere.

    `program` is "service" or "operator"; its wheels come from the cache, so that the build itself needs no network.
    """
    lock = paths.ROOT / "requirements" / f"{program}.txt"
    containerfile = paths.ROOT / "Containerfile"
    package = paths.ROOT / program / f"point_{program}"
    sources = [
        lock,
        containerfile,
        containerfile.with_suffix(".dockerignore"),
        *sorted(p for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts),
    ]
    content = [hashlib.sha256(p.read_bytes()).hexdigest() + str(p.relative_to(paths.ROOT)) for p in sources]
    bases = {a: _base(r) for a, r in (("BASE", "python"), ("BUILD_BASE", "python-build"))}

    def make() -> None:
        wheels = _wheels(lock)
        run(
            [
                "buildah",
                *_storage(),
                "build",
                "--isolation=chroot",
                "--layers=false",
                "--network=host",  # all that chroot isolation allows; pip itself is told to use no index
                "--pull=never",
                "-q",
                f"--build-arg=PROGRAM={program}",
                *(f"--build-arg={k}={v}" for k, v in bases.items()),
                "--build-arg=PIP_ARGS=--no-index --find-links=/wheels",
                f"--volume={wheels}:/wheels:ro",
                f"--file={containerfile}",
                f"--tag={name}",
                paths.ROOT,
            ],
            timeout=1200,
        )

    archive = _archive(name, [name, *content], make)
    sbom.ensure(archive, name)
    return archive


def _base(root: str) -> str:
    """A root file system as an image that a Containerfile can start from; its name."""
    image = Image(f"localhost/base-{root}:1", root)
    build(image)
    if run(["buildah", *_storage(), "images", "-q", image.name], check=False).strip() == "":
        _path(image.name).unlink()  # the archive outlived buildah's own store
        build(image)
    return image.name


def _wheels(lock: Path) -> Path:
    """The wheels that a lock file names, for the images' Python, checked against its hashes."""
    folder = paths.WHEELS / hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    if not folder.exists():
        part = folder.with_suffix(".part")
        run(
            [
                *(sys.executable, "-m", "pip", "download", "-q", "--require-hashes", "--only-binary=:all:"),
                *(f"--python-version={versions.IMAGE_PYTHON}", "--implementation=cp"),
                *(f"--platform=manylinux_2_{n}_x86_64" for n in (17, 28, 34)),
                *("--platform=manylinux2014_x86_64", "--dest", part, "-r", lock),
            ]
        )
        part.rename(folder)
    return folder


def _archive(name: str, inputs: Sequence[str], make: Callable[[], None]) -> Path:
    archive = _path(name)
    stamp = archive.with_suffix(".inputs")
    digest = hashlib.sha256("\n".join(inputs).encode()).hexdigest()
    if archive.exists() and stamp.exists() and stamp.read_text() == digest:
        return archive
    paths.IMAGES.mkdir(parents=True, exist_ok=True)
    make()
    archive.unlink(missing_ok=True)
    # The form whose layers are not compressed: it only travels to a folder beside this one.
    run(["buildah", *_storage(), "push", "-q", name, f"docker-archive:{archive}:{name}"])
    stamp.write_text(digest)
    return archive


def _path(name: str) -> Path:
    return paths.IMAGES / (name.replace("/", "_").replace(":", "_") + ".tar")


def unmount() -> None:
    """Unmount what a build that was killed left mounted: its containers' layers, innermost first."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if Path(m).is_relative_to(paths.CACHE)), reverse=True):
        run(["umount", mount])


def _storage() -> list[str]:
    return [f"--root={paths.CACHE / 'containers'}", f"--runroot={paths.CACHE / 'containers-run'}"]


def _json(words: Sequence[str]) -> str:
    return "[" + ",".join(f'"{w}"' for w in words) + "]"
