"""What is built of Pulumi from its Go modules, into the cache, once: the CLI, and the provider for Kubernetes."""

import shutil
from pathlib import Path

from point_local.build import tools
from point_local.build.gobuild import GO, build, count
from point_local.preview.standin.engine import find_cli
from point_local.programs import paths
from point_local.programs.command import run
from point_local.programs.progress import Step

_CLI = "github.com/pulumi/pulumi/pkg/v3"
_KUBERNETES = "github.com/pulumi/pulumi-kubernetes/provider/v4"
KUBERNETES = paths.CACHE / "pulumi-kubernetes" / "pulumi-resource-kubernetes"
"""The provider; its schema lies beside it."""


def ensure(step: Step) -> Path:
    """Return the CLI's path, building it first when there is none (about 2.5 minutes on 2 cores)."""
    found = find_cli()
    if found:
        return found
    module = paths.ROOT / "local" / "pulumi-cli"
    version = run(["go", "list", "-m", "-f", "{{.Version}}", _CLI], cwd=module, env=GO).strip()
    stamp = f"-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    _build(module, f"{_CLI}/cmd/pulumi", paths.BIN / "pulumi", stamp, step)
    return paths.BIN / "pulumi"


def ensure_kubernetes(step: Step) -> Path:
    """Return the path of the provider for Kubernetes, building it first when there is none (11 minutes on 2 cores)."""
    if KUBERNETES.exists():
        return KUBERNETES
    module = paths.ROOT / "local" / "pulumi-kubernetes"
    KUBERNETES.parent.mkdir(parents=True, exist_ok=True)
    source = Path(run(["go", "list", "-m", "-f", "{{.Dir}}", _KUBERNETES], cwd=module, env=GO).strip())
    for name in ("schema.json", "terraform-mapping.json"):
        shutil.copyfile(source / "cmd" / "pulumi-resource-kubernetes" / name, KUBERNETES.parent / name)
    # The provider compares it with the SDK's, and warns.
    _build(module, ".", KUBERNETES, f"-X {_KUBERNETES}/pkg/version.Version=4.0.0", step)
    return KUBERNETES


def _build(module: Path, program: str, output: Path, stamp: str, step: Step) -> None:
    tools.require_go()
    step.tell("downloading Go modules")
    output.parent.mkdir(parents=True, exist_ok=True)
    build(module, [program], str(output), stamp, step, 0, count(module, [program]))
