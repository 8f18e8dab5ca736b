"""Programs built from their Go modules: `go build`, told as it goes on. An interrupted one goes on where it stopped."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from point_local.programs.command import LocalError, environment, run
from point_local.programs.progress import Step

GO = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-trimpath -buildvcs=false -mod=readonly",
    "GOTOOLCHAIN": "local",
    # The collector off costs some GiB and saves a seventh of the processor time.
    "GOGC": "off",
}


def count(module: Path, programs: Sequence[str]) -> int:
    """How many packages programs are made of; downloads the modules that are missing."""
    return len(run(["go", "list", "-deps", *programs], cwd=module, env=GO, timeout=1800).splitlines())


def build(
    module: Path, programs: Sequence[str], output: str, stamp: str, step: Step, done: int, total: int
) -> int:
    """Build a module's programs into `output`: a file, or a folder if it ends in a slash.

    `stamp` is what the linker sets. `done` of `total` packages were compiled before; returns how many are now. Raises
    LocalError with the last lines.
    """
    command = [
        *("go", "build", "-v", "-pgo=off", "-gcflags=all=-dwarf=false", "-ldflags", f"-s -w {stamp}"),
        *("-o", output, *programs),
    ]
    last: list[str] = []
    # -v names each package as it is compiled, which is all the progress that go build can tell.
    with subprocess.Popen(
        command, cwd=module, env=environment(GO), stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    ) as going:
        for line in going.stderr or ():
            done += 1
            last = [*last[-11:], line.rstrip()]
            step.tell(line.strip()[-48:], min(done / total, 0.99))
    if going.returncode != 0:
        raise LocalError(f"building the programs of {module.name} failed:\n" + "\n".join(last))
    return done
