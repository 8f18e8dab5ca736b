"""The Pulumi CLI: the one on PATH, else built from its Go module into the cache, once."""

import subprocess
from pathlib import Path

from point_local.build import tools
from point_local.preview.standin.engine import find_cli
from point_local.programs import paths
from point_local.programs.command import LocalError, environment, run
from point_local.programs.progress import Step

MODULE = paths.ROOT / "local" / "pulumi-cli"
_PACKAGE = "github.com/pulumi/pulumi/pkg/v3"
_GO = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly",
    "GOTOOLCHAIN": "local",
    "GOGC": "off",
}


def ensure(step: Step) -> Path:
    """Return the CLI's path, building it first when there is none (about 2.5 minutes on 2 cores)."""
    found = find_cli()
    if found:
        return found
    tools.require_go()
    step.tell("downloading Go modules")
    version = run(["go", "list", "-m", "-f", "{{.Version}}", _PACKAGE], cwd=MODULE, env=_GO).strip()
    program = f"{_PACKAGE}/cmd/pulumi"
    total = len(run(["go", "list", "-deps", program], cwd=MODULE, env=_GO, timeout=1800).splitlines())
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}"
    paths.BIN.mkdir(parents=True, exist_ok=True)
    command = [
        *("go", "build", "-v", "-pgo=off", "-gcflags=all=-dwarf=false", "-ldflags", flags),
        *("-o", str(paths.BIN / "pulumi"), program),
    ]
    last: list[str] = []
    with subprocess.Popen(
        command, cwd=MODULE, env=environment(_GO), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as build:
        for done, line in enumerate(build.stderr or (), 1):
            last = [*last[-11:], line.rstrip()]
            step.tell(line.strip()[-48:], min(done / total, 0.99))
    if build.returncode != 0:
        raise LocalError("building the Pulumi CLI failed:\n" + "\n".join(last))
    return paths.BIN / "pulumi"
